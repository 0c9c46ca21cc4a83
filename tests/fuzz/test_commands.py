"""Every option of every command with wrong and odd values: exit code 0 or 2, one line, no traceback."""

import numpy as np
import pytest

from tests.fuzz.commands import GOOD, MAY_FAIL, cases, commands, make_files
from tests.fuzz.watch import COUNT, MEMORY_MB, SEED, soon, taken_MB
from tests.helpers.program import run


@pytest.fixture
def here(tmp_path, monkeypatch):
    make_files(tmp_path)
    monkeypatch.chdir(tmp_path / "folder")
    return tmp_path


def test_every_command_has_its_good_call(here, capsys):
    assert {name for name in commands() if not name.startswith("study ")} == set(GOOD)
    for name, words in GOOD.items():
        with soon():
            code, _, err = run(capsys, *name.split(), *(word.format(here=here) for word in words))
        assert code == 0 or name in MAY_FAIL, err


def test_any_value_of_any_option_gives_a_result_or_one_line(here, capsys):
    before = taken_MB()
    listed = list(cases(here))
    order = np.random.default_rng(SEED).permutation(len(listed))
    for place in order[: COUNT // 2]:
        name, words = listed[place]
        try:
            with soon():
                code, out, err = run(capsys, *name.split(), *words)
            assert code in (0, 2)
            assert "Traceback" not in err and "\x1b" not in out + err
            if code == 2:
                assert out == "" and err.startswith("xbarsim: ")
                assert err[:-1].isprintable() and len(err) < 3000
        except BaseException as error:
            raise AssertionError(f"xbarsim {name} {words}") from error
    assert taken_MB() <= max(before, MEMORY_MB)
