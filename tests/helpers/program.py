"""The program `xbarsim` from outside, in the process of the tests."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.helpers.tree import ROOT
from xbarsim.cli.app import main


def run(capsys, *arguments):
    """Exit code, standard output and standard error of the program."""
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def document(capsys, *arguments):
    """The JSON document of a command that ends well; a long one says on standard error how far it is."""
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def refused(capsys, *arguments):
    """The one line of a refused command."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("xbarsim: ") and err.count("\n") == 1
    assert err[:-1].isprintable() and "Traceback" not in err
    return err


def run_well(capsys, *arguments):
    """Standard output of a command that ends well."""
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    return out


PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # ignored in the background
    "from xbarsim.cli.entry import main; main()"
)


def begun(*arguments):
    """The program, just started, in a process and a process group of its own and in the current folder."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def signalled(program, *numbers, group=False):
    """Exit code and standard error of a program that gets signals, 50 ms apart, as its group may too."""
    for number in numbers:
        if program.poll() is None:
            (os.killpg if group else os.kill)(program.pid, number)
            time.sleep(0.05)
    try:
        _, err = program.communicate(timeout=60)
    finally:
        program.kill()
    return program.returncode, err
