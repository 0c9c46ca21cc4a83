"""A request to stop ends a program within two seconds, whatever swallows it; libraries are left alone."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from xbarsim import stops

BEGIN = """
import os, signal, sys, threading, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from xbarsim import stops
def told(name="up"):
    Path(sys.argv[1]).write_text("")
"""
STUBBORN = {
    "sleeps": "def work():\n told()\n time.sleep(60)\n return 0",
    "swallows": """
def work():
    told()
    while True:
        try:
            time.sleep(0.05)
        except BaseException:
            pass""",
    "converts": """
def work():
    told()
    try:
        time.sleep(60)
    except BaseException as error:
        raise SystemError("returned a result with an exception set") from error""",
    "returns": """
def work():
    told()
    try:
        time.sleep(60)
    except BaseException:
        return 0""",
    "holds a lock": """
def work():
    lock = threading.Lock()
    lock.acquire()
    told()
    try:
        time.sleep(60)
    finally:
        lock.acquire()""",
    "waits for a thread": """
def work():
    threading.Thread(target=time.sleep, args=(60,)).start()
    told()
    time.sleep(60)
    return 0""",
    "is in a destructor": """
class Slow:
    def __del__(self):
        told()
        time.sleep(60)
def work():
    while True:
        Slow()""",
}


def stopped(tmp_path, work, *numbers):
    """Exit code and standard error of a program that is stopped by signals while it works."""
    up = tmp_path / "up"
    code = f"{BEGIN}\n{work}\nstops.run_program(work)"
    program = subprocess.Popen(
        [sys.executable, "-c", code, up], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        while not up.exists():
            assert program.poll() is None
            time.sleep(0.02)
        for number in numbers:
            program.send_signal(number)
            time.sleep(0.05)
        _, err = program.communicate(timeout=20)
    finally:
        program.kill()
    return program.returncode, err


@pytest.mark.parametrize("work", STUBBORN.values(), ids=STUBBORN)
def test_whatever_swallows_a_signal_the_program_ends_with_one_line(work, tmp_path):
    assert stopped(tmp_path, work, signal.SIGINT) == (130, "xbarsim: stopped\n")


@pytest.mark.parametrize("numbers", [(15,), (2, 2), (15, 15), (2, 15), (15, 2, 2, 15)])
def test_signals_in_a_row_are_one_request(numbers, tmp_path):
    assert stopped(tmp_path, STUBBORN["swallows"], *numbers) == (128 + numbers[0], "xbarsim: stopped\n")


def test_unfinished_files_go_and_the_remedy_is_told(tmp_path):
    work = f"""
from xbarsim.files import write_atomically
def write(path):
    path.write_text("half")
    told()
    while True:
        try:
            time.sleep(0.05)
        except BaseException:
            pass
def work():
    stops.remedy("the file is as it was")
    write_atomically({str(tmp_path / "a.txt")!r}, write)"""
    (tmp_path / "a.txt").write_text("whole")
    assert stopped(tmp_path, work, signal.SIGTERM) == (143, "xbarsim: stopped; the file is as it was\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "up"]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_a_signal_while_a_program_takes_itself_down_leaves_no_trace(tmp_path):
    work = """
def work():
    import atexit
    atexit.register(lambda: (told(), time.sleep(0.5)))
    print("done", file=sys.stderr)
    return 3"""
    assert stopped(tmp_path, work, signal.SIGINT) == (3, "done\n")


def test_what_a_program_printed_is_written_and_its_code_kept():
    code = "from xbarsim import stops; stops.run_program(lambda: print('here') or 7)"
    for closed, out in (("", "here\n"), (" >&-", "")):
        command = ["sh", "-c", f'"$0" -c "$1"{closed}', sys.executable, code]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (found.returncode, found.stdout, found.stderr) == (7, out, "")


def test_a_process_is_started_whole_or_not_at_all():
    def work():
        with stops.undisturbed_children():
            os.kill(os.getpid(), signal.SIGTERM)
            seen.append(stops.asked())
        seen.append("after")
        return 0

    seen: list = []
    with stops.installed():
        assert stops.obeyed(work) == 143
    assert seen == [True]


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    work = """
def work():
    told()
    time.sleep(0.5)
    return 7
signal.signal(signal.SIGINT, signal.SIG_IGN)"""
    assert stopped(tmp_path, work, signal.SIGINT) == (7, "")


def test_nothing_is_handled_by_an_import_or_afterwards():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook
    threads = threading.active_count()
    with stops.installed():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
        with stops.installed():
            assert not stops.asked()
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook)
    while threading.active_count() > threads:
        time.sleep(0.01)


def test_a_stop_in_this_process_is_obeyed_and_over(capfd, monkeypatch):
    monkeypatch.setattr(signal, "SIG_IGN", None)  # pytest may run in the background

    def work():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    with stops.installed():
        assert stops.obeyed(work) == 143
        assert stops.asked()
        with pytest.raises(KeyboardInterrupt):
            stops.check()
    assert capfd.readouterr().err == "xbarsim: stopped\n"
    assert not stops.asked()
    stops.check()


def test_without_a_handler_an_interrupt_is_a_stop_all_the_same(capfd):
    def interrupted():
        raise KeyboardInterrupt

    assert stops.obeyed(interrupted) == 130
    assert capfd.readouterr().err == "xbarsim: stopped\n"
    assert stops.obeyed(lambda: 3) == 3
    with pytest.raises(OSError, match="disk"):
        stops.obeyed(partial(_raise, OSError("disk")))


def _raise(error):
    raise error


def test_an_error_that_an_interrupt_caused_is_known():
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise SystemError from error
    except SystemError as error:
        assert stops.caused(error)
    assert not stops.caused(SystemError())


def test_beside_the_main_thread_nothing_is_handled():
    found = []

    def beside():
        with stops.installed():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]


def test_what_is_held_is_finished_before_the_interrupt(capfd, monkeypatch):
    monkeypatch.setattr(signal, "SIG_IGN", None)
    finished = []

    def work():
        with stops.undisturbed_children():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
            finished.append("child")
        finished.append("more")

    with stops.installed():
        assert stops.obeyed(work) == 143
    assert finished == ["child"]


def test_children_do_not_see_ctrl_c_from_their_first_moment_on():
    code = "import os; os.kill(os.getpid(), 2); print('here')"
    with stops.undisturbed_children():
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "here\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
