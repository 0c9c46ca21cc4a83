"""Unfinished files are gone whatever ends a process, and nobody else's are touched."""

import os
import subprocess
import sys

import pytest

from tests.helpers.tree import ROOT
from xbarsim import unfinished as module
from xbarsim.unfinished import unfinished

WRITE = """
import os, signal, sys
from pathlib import Path
from xbarsim.unfinished import unfinished
with unfinished(Path(sys.argv[1])) as path:
    path.write_text("half")
    path.with_name(path.name + "-wal").write_text("a database's log")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path):
    """A folder where a process was killed while it wrote, and the two files that it left."""
    command = [sys.executable, "-c", WRITE, tmp_path / "result.db"]
    assert subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False).returncode == -9
    left = sorted(tmp_path.iterdir())
    assert len(left) == 2 and all(path.name.startswith(".xbarsim-") for path in left)
    return tmp_path, left


def test_what_a_killed_process_left_goes_with_the_next_write(killed):
    folder, _ = killed
    with unfinished(folder / "other.txt") as path:
        assert list(folder.iterdir()) == [path]
        assert path.suffix == ".txt"
    assert list(folder.iterdir()) == []


def test_what_others_write_stays(killed, monkeypatch):
    folder, left = killed
    ours = f"{module._mark()}{os.getpid()}-0.txt"
    mine = [".xbarsim", ".xbarsim-results", f"{module._mark()}notes", f"{module._mark()}1-0.txt", ours]
    for name in mine:
        (folder / name).write_text("precious")
    elsewhere = left[0].with_name(left[0].name.replace(module._mark(), ".xbarsim-01234567-"))
    left[0].rename(elsewhere)
    with unfinished(folder / "other.txt"):
        pass
    assert {path.name for path in folder.iterdir()} == {*mine, elsewhere.name}


def test_a_folder_is_looked_through_once(tmp_path, killed):
    with unfinished(tmp_path / "a"):
        pass
    (tmp_path / f"{module._mark()}999999999-0").write_text("")
    with unfinished(tmp_path / "b"):
        pass
    assert len(list(tmp_path.iterdir())) == 1


def test_it_stays_where_it_was_moved(tmp_path):
    with unfinished(tmp_path / "a.txt") as path:
        path.write_text("whole")
        path.replace(tmp_path / "a.txt")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]
