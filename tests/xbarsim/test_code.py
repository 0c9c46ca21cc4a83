"""Files that a user names as code: run once, and whatever goes wrong in them is one line."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from xbarsim.campaigns.task import Task
from xbarsim.campaigns.worker import Bench
from xbarsim.code import PREFIX, call_code, code_of, is_code, load_code
from xbarsim.errors import InputError

MINE = """\
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xbarsim.campaigns.task import Outcome
from xbarsim.errors import InputError

with open(Path(__file__).with_suffix(".runs"), "a") as runs:
    runs.write("x")


@dataclass(frozen=True)
class Coins:
    shots: int = 10
    code: tuple[Path, ...] = (Path(__file__),)

    def describe(self):
        return {"metric": "heads", "coins": self.shots}

    def prepare(self):
        return lambda seed, trials: [Outcome(self.shots, trial % self.shots) for trial in trials]


class Accelerator:
    def program(self, network):
        return network


made = Accelerator()
number = 3


def coins():
    return Coins()


def needs(one):
    return one


def fails():
    raise RuntimeError("first line\\nsecond line")


def leaves():
    raise SystemExit(0)


def refuses():
    raise InputError("mine", "more", "less")


class Needs:
    def __init__(self, one):
        pass
"""


@pytest.fixture
def mine(tmp_path):
    """A file of somebody's own."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def runs(path):
    return len(path.with_suffix(".runs").read_text())


def test_a_file_is_run_once_however_it_is_named(mine, monkeypatch):
    module = load_code(mine)
    monkeypatch.chdir(mine.parent)
    assert load_code("mine.py") is load_code(str(mine)) is load_code("./mine.py") is module
    assert runs(mine) == 1
    assert module.__name__.startswith(PREFIX)


def test_files_of_one_name_in_two_folders_are_two_modules(mine, tmp_path):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other/mine.py"
    other.write_text("number = 4")
    assert call_code(f"{other}:number", "a number") == 4
    assert call_code(f"{mine}:number", "a number") == 3


def test_functions_and_classes_are_called_and_objects_taken(mine):
    assert call_code(f"{mine}:coins", "coins").shots == 10
    assert call_code(f"{mine}:Coins", "coins") == call_code(f"{mine}:coins", "coins")
    assert call_code(f"{mine}:made", "an accelerator") is load_code(mine).made
    assert isinstance(call_code(f"{mine}:Accelerator", "an accelerator"), load_code(mine).Accelerator)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("needs", r"mine\.py:needs: expected a function without arguments that gives coins, got TypeError"),
        ("Needs", r"mine\.py:Needs: expected a function without arguments that gives coins, got TypeError"),
        ("fails", "got RuntimeError: first line second line"),
        ("leaves", "got SystemExit: 0"),
        ("refuses", r"mine\.py:refuses: mine: expected more, got less"),
        ("none", r"expected coins named 'none', got .*coins, needs, .*; name it as file\.py:function"),
        ("", "expected coins named ''"),
    ],
)
def test_what_goes_wrong_in_a_function_is_one_line(mine, name, message):
    with pytest.raises(InputError, match=message) as caught:
        call_code(f"{mine}:{name}", "coins")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 / 0", "expected a file that runs, got ZeroDivisionError: division by zero"),
        ("def broken(:", "expected a file that runs, got SyntaxError"),
        ("import sys; sys.exit()", "expected a file that runs, got SystemExit"),
        ("import no_such_package", "got ModuleNotFoundError: No module named 'no_such_package'"),
        ("a = '\0'", "expected a file that runs"),
        ("from xbarsim.errors import InputError\nraise InputError('a', 'b', 'c')", "a: expected b, got c"),
    ],
)
def test_files_that_do_not_run_are_one_line_and_are_run_again(tmp_path, content, message):
    path = tmp_path / "broken.py"
    path.write_text(content)
    before = set(sys.modules)
    with pytest.raises(InputError, match=message) as caught:
        load_code(path)
    assert f"code {path}" in str(caught.value) and "\n" not in str(caught.value)
    assert not any(name.startswith(PREFIX) for name in set(sys.modules) - before)
    path.write_text("number = 12345")  # repaired
    assert call_code(f"{path}:number", "a number") == 12345


def test_what_is_no_python_file_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("number = 3")
    (tmp_path / "folder.py").mkdir()
    for path, got in (
        (tmp_path / "mine.txt", "another one"),
        (tmp_path / "folder.py", "another one"),
        (tmp_path / "none.py", "nothing there"),
        ("", "another one"),
        ("a" * 5000 + ".py", "nothing there"),
        ("a\0.py", "nothing there"),
    ):
        with pytest.raises(InputError, match=f"expected a Python file, got {got}"):
            load_code(path)


def test_references_to_code_are_told_from_other_words():
    assert is_code("mine.py:network") and is_code("../my code/mine.py:network")
    for words in ("isaac", "isaac:arrays=3", "mine.py", "mine.pyc:network", ":network", "data.npz", ""):
        assert not is_code(words)


def test_the_files_of_classes_are_found_once(mine):
    coins = call_code(f"{mine}:coins", "coins")
    assert code_of(coins, 3, coins, np.zeros(2), call_code(f"{mine}:made", "it")) == (mine.resolve(),)
    assert code_of(1, "a") == ()


RECEIVER = """\
import pickle, sys
bench = pickle.load(open(sys.argv[1], "rb"))
from xbarsim.campaigns.worker import Job
finished = bench.run(Job(0, (3, 4)))
print(finished.error, [outcome.hits for outcome, _ in finished.outcomes])
"""


def test_classes_of_a_file_travel_to_another_process(mine, tmp_path):
    """A bench runs the file that defines its workloads before it unpacks them."""
    task = Task(workload=call_code(f"{mine}:coins", "coins"), trials=10)
    (tmp_path / "bench").write_bytes(pickle.dumps(Bench([task])))
    done = subprocess.run(
        [sys.executable, "-c", RECEIVER, str(tmp_path / "bench")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[3, 4]"
    assert runs(mine) == 2  # once here and once there
