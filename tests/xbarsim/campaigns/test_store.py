"""The file: what it keeps, what it refuses, what it survives."""

import os
import resource
import shutil
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.helpers.workloads import Chips
from xbarsim.campaigns.estimates import estimate, moments
from xbarsim.campaigns.exchange import merge, read_frame
from xbarsim.campaigns.store import APPLICATION, Row, Store
from xbarsim.campaigns.task import Task
from xbarsim.errors import InputError

TASK = Task(workload=Chips(), trials=1000)


def filled(path, trials=20):
    with Store(path, "write") as store:
        run = store.begin_run("a command")
        (number,) = store.add([TASK])
        store.append(Row(number, t, run, 100, 90 + t % 10, 0.5, None) for t in range(trials))
    return path


def test_rows_are_there_again(tmp_path):
    with Store(filled(tmp_path / "a.db")) as store:
        assert store.results(1).tolist() == [[t, 100, 90 + t % 10] for t in range(20)]
        (status,) = store.status()
        assert (status.key, status.done, status.planned, status.failed) == (TASK.key, 20, 1000, 0)
        assert status.seconds == 10 and status.description["faults"]["rate"] == 0.1
        ((number, _, command, _),) = store.runs()
        assert (number, command) == (1, "a command")


@pytest.mark.parametrize("shots", [1, 7, 100])
def test_sums_of_a_store_are_those_of_its_rows(tmp_path, shots):
    rng = np.random.default_rng(shots)
    with Store(tmp_path / "a.db", "write") as store:
        run = store.begin_run("")
        (number,) = store.add([TASK])
        for count in (1, 2, 30, 500):
            rows = [
                Row(number, 1000 * count + t, run, shots, rng.integers(shots + 1), 0, None)
                for t in range(count)
            ]
            store.append(row._replace(hits=int(row.hits)) for row in rows)
            _, *both = store.results(number).T
            found, expected = store.status()[0].moments, moments(*both)
            assert (found.trials, found.single) == (expected.trials, expected.single)
            assert found[1:3] == pytest.approx(expected[1:3], abs=1e-14)
            assert str(found.estimate()) == str(estimate(*both))


def test_equal_rows_have_no_spread(tmp_path):
    with Store(tmp_path / "a.db", "write") as store:
        run = store.begin_run("")
        (number,) = store.add([TASK])
        store.append(Row(number, t, run, 10_000, 9917, 0, None) for t in range(1000))
        assert store.status()[0].moments.variance == 0


def test_a_trial_is_counted_once_and_never_changed(tmp_path):
    with Store(filled(tmp_path / "a.db"), "write") as store:
        with pytest.raises(InputError, match="not there yet"):
            store.append([Row(1, 20, 1, 100, 1, 0, None), Row(1, 7, 1, 100, 1, 0, None)])
        assert len(store.results(1)) == 20  # the other row of that call is not there either
    raw = sqlite3.connect(tmp_path / "a.db")
    for sql in ("UPDATE trials SET hits = 0", "DELETE FROM trials"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            raw.execute(sql)


def test_a_task_is_added_once_and_may_grow(tmp_path):
    with Store(filled(tmp_path / "a.db"), "write") as store:
        grown = Task(workload=Chips(), trials=5000)
        assert store.add([grown, Task(workload=Chips(0.3), trials=1)]) == [1, 2]
        assert [task.planned for task in store.status()] == [5000, 1]


def test_failures_count_until_a_later_attempt_succeeds(tmp_path):
    with Store(filled(tmp_path / "a.db"), "write") as store:
        for trial in (25, 25, 26):
            store.append_failure(1, trial, 1, 0.1, "ValueError: no")
        assert store.status()[0].failed == 2
        store.append([Row(1, 25, 1, 100, 1, 0, None)])
        assert store.status()[0].failed == 1
        assert store.failures() == [(1, 25, "ValueError: no")] * 2 + [(1, 26, "ValueError: no")]


def test_one_writes_and_others_read_meanwhile(tmp_path):
    path = filled(tmp_path / "a.db")
    with Store(path, "write") as store:
        with pytest.raises(InputError, match="nobody else writes, got one in use; wait"):
            Store(path, "write")
        store.append([Row(1, 20, 1, 100, 1, 0, None)])
        with Store(path) as reader:
            assert len(reader.results(1)) == 21
        (tmp_path / "link.db").symlink_to(path)
        with pytest.raises(InputError, match="nobody else writes"):
            Store(tmp_path / "link.db", "write")
    Store(path, "write").close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a lock beside the file has to do")
def test_another_name_of_the_same_file_lets_no_second_writer_in(tmp_path):
    path, link = filled(tmp_path / "a.db"), tmp_path / "folder" / "hard.db"
    link.parent.mkdir()
    link.hardlink_to(path)
    with Store(path, "write") as store:
        with pytest.raises(InputError, match="nobody else writes, got one in use; wait"):
            Store(link, "write")
        with Store(path) as reader:  # opening and closing others leaves the locks as they are
            store.append([Row(1, 20, 1, 100, 1, 0, None)])
            assert len(reader.results(1)) == 21
    with Store(link, "write"), pytest.raises(InputError, match="in use"):
        Store(path, "write")
    Store(path, "write").close()


def test_a_path_too_long_is_told(tmp_path):
    for path in (tmp_path / ("a" * 300), tmp_path / ("a/" * 3000 + "a")):
        for mode in ("read", "write"):
            with pytest.raises(InputError, match=r"too long; .*choose a shorter path"):
                Store(path, mode)
    assert list(tmp_path.iterdir()) == []


def test_runs_that_begin_together_are_told_apart(tmp_path):
    with Store(tmp_path / "a.db", "write") as store:
        numbers = [store.begin_run("the same") for _ in range(3)]
        assert len({run[1:] for run in store.runs()}) == len(numbers)


def test_readers_change_nothing_and_leave_nothing_beside_the_file(tmp_path):
    path = filled(tmp_path / "a.db")
    before = path.read_bytes()
    with Store(path) as store:
        store.status()
        with pytest.raises(InputError, match="readonly"):
            store.begin_run("")
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} <= {"a.db", "a.db.lock"}


def test_missing_foreign_and_later_files_are_refused_and_stay(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Store(tmp_path / "none.db")
    text = tmp_path / "text.db"
    text.write_text("this is no database, " * 100)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as raw:
        raw.execute("CREATE TABLE x (y)")
    later = filled(tmp_path / "later.db")
    with sqlite3.connect(later) as raw:
        raw.execute("PRAGMA user_version = 99")
    for path, words in (
        (text, "not a database"),
        (foreign, "another SQLite file"),
        (later, "version 99; export"),
    ):
        before = path.read_bytes()
        for mode in ("read", "write"):
            with pytest.raises(InputError, match=words):
                Store(path, mode)
        if path is not later:
            assert path.read_bytes() == before


def test_a_damaged_store_gives_one_line(tmp_path):
    path = filled(tmp_path / "a.db", trials=5000)
    content = bytearray(path.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 12288)
    path.write_bytes(content)
    with pytest.raises(InputError, match="malformed; it is damaged: go on with a copy"), Store(path) as store:
        store.results(1)


@pytest.mark.parametrize("how", ["bytes", "zeros", "short"])
def test_whatever_is_damaged_gives_one_line_or_nothing(how, tmp_path):
    path = filled(tmp_path / "a.db", trials=300)
    with Store(path, "write") as store:
        store.append(Row(1, t, 1, 100, 90, 0.5, '{"faults": 3}') for t in range(300, 900))
    whole, rng = path.read_bytes(), np.random.default_rng(len(how))
    refused = 0
    for place in range(25):
        content = bytearray(whole)
        if how == "bytes":
            for at in rng.integers(100, len(content), 20):
                content[at] = rng.integers(256)
        elif how == "zeros":
            at = 512 * int(rng.integers(1, len(content) // 512))
            content[at : at + 512] = bytes(512)
        else:
            content = content[: int(rng.integers(1, len(content)))]
        damaged = tmp_path / f"{place}.db"
        damaged.write_bytes(content)
        for use in (_read, read_frame, lambda path: merge(f"{path}.merged", [path])):
            try:
                use(damaged)
            except InputError as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > 10


def _read(path):
    with Store(path) as store:
        return store.status(), store.runs(), store.failures(), store.results(1)


def test_a_command_may_have_any_bytes(tmp_path):
    with Store(tmp_path / "a.db", "write") as store:
        store.begin_run("xbarsim campaign run x\udcff.toml")
        assert store.runs()[0][2] == r"xbarsim campaign run x\udcff.toml"


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_read_only_store_can_be_read(tmp_path):
    path = filled(tmp_path / "folder" / "a.db")
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with Store(path) as store:
            assert len(store.results(1)) == 20
        with pytest.raises(InputError, match="can be used"):
            Store(path, "write")
    finally:
        path.parent.chmod(0o755)


def test_a_folder_that_refuses_new_files_is_no_obstacle_to_reading(tmp_path, monkeypatch):
    path = filled(tmp_path / "a.db")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Store(path) as store:
        assert len(store.results(1)) == 20
        assert sorted(tmp_path.iterdir()) == before  # no log was begun


def test_a_store_that_cannot_be_written_gives_one_line(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "a.db" / "b.db"):
        (tmp_path / "a.db").touch()
        with pytest.raises(InputError):
            Store(path, "write")


def test_a_full_disk_loses_nothing(tmp_path):
    path = filled(tmp_path / "a.db")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Store(path, "write") as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        try:
            with pytest.raises(InputError, match="stored before is kept"):
                for first in range(100, 10**5, 100):
                    store.append(
                        Row(1, t, 1, 100, 1, 0, '{"faults": 1000000000}') for t in range(first, first + 100)
                    )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with Store(path) as store:
        found = store.results(1)[:, 0]
        assert (found[:20] == np.arange(20)).all()
        assert len(found) % 100 == 20  # whole calls, or nothing of them
        assert not store.failures()


def test_a_copy_without_its_log_is_a_store(tmp_path):
    path = filled(tmp_path / "a.db")
    shutil.copy(path, tmp_path / "b.db")
    with Store(tmp_path / "b.db") as store:
        assert len(store.results(1)) == 20
    assert int.from_bytes(path.read_bytes()[68:72]) == APPLICATION


def test_a_reader_meets_no_store_or_a_whole_one(tmp_path):
    paths, met = [tmp_path / f"{i}.db" for i in range(30)], []

    def read_all():
        for path in paths:
            while not path.exists():
                pass
            with Store(path) as store:
                met.append(store.status())

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_all)
        for path in paths:
            Store(path, "write").close()
        reading.result()
    assert met == [[]] * len(paths)


def test_the_log_of_a_deleted_store_does_not_come_back(tmp_path):
    path = tmp_path / "a.db"
    with Store(path, "write") as store:
        store.add([TASK])
        shutil.copy(f"{path}-wal", tmp_path / "kept")
    assert (tmp_path / "kept").stat().st_size
    path.unlink()
    shutil.move(tmp_path / "kept", f"{path}-wal")
    with Store(path, "write") as store:
        assert store.status() == []


def test_no_pipe_or_device_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        for mode in ("read", "write"):
            with pytest.raises(InputError, match="no regular file"):
                Store(path, mode)


def test_rows_that_cannot_be_are_not_written(tmp_path):
    path = filled(tmp_path / "a.db", trials=1)
    with Store(path, "write") as store:
        for shots, hits in ((10, 11), (0, 0), (10, -1)):
            with pytest.raises(InputError, match="0 <= hits <= shots"):
                store.append([Row(1, 5, 1, 10, 5, 0.0, None), Row(1, 6, 1, shots, hits, 0.0, None)])
        assert len(store.results(1)) == 1
