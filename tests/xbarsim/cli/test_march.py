"""`xbarsim march` from outside."""

import pytest

from tests.helpers.program import document, run_well

SMALL = ("--rows", "8", "--columns", "8")


@pytest.mark.parametrize(
    "command",
    [["run", "MATS+", *SMALL, "--rate", "0.1"], ["coverage", "MATS+"], ["list"]],
    ids=lambda command: command[0],
)
def test_tables_or_one_document(capsys, command):
    assert len(run_well(capsys, "march", *command).splitlines()) > 3
    found = document(capsys, "march", *command)
    assert found["results"] and found["command"] == f"march {command[0]}"
    assert document(capsys, "march", *command) == found


def test_stuck_cells_are_found_and_written(capsys, folder):
    found = document(capsys, "march", "run", *SMALL, "--rate", "0.1", "--out", "out")["results"]
    assert found["injected"] == found["diagnosed"] and found["difference"]["missing"] == 0
    assert {path.name for path in (folder / "out").iterdir()} == {
        "march-run.json", "injected.safetensors", "diagnosed.safetensors", "diagnosed.png"
    }  # fmt: skip


def test_injected_coupling_faults_show_up(capsys):
    inject = ("--inject", "<0w1;0/1/->@0,2,3@0,2,4")
    found = document(capsys, "march", "run", "--rate", "0", *SMALL, *inject)["results"]
    assert found["other_cells"] == [2 * 8 + 3]


def test_restoring_takes_longer(capsys):
    plain, restored = (
        document(capsys, "march", "run", *SMALL, *more)["results"]["latency_ns"] for more in ((), ("--restore",))
    )
    assert all(restored[mode] > plain[mode] for mode in plain)


def test_named_tests_are_listed_with_their_notation(capsys):
    tests = document(capsys, "march", "list")["results"]["tests"]
    assert {"MATS+", "March C-", "March SS"} <= {test["name"] for test in tests}
    assert all(test["writes"] > 0 and test["reads"] > 0 for test in tests)
