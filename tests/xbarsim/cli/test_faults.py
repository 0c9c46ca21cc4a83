"""`xbarsim faults` from outside: files of the faults that every other command draws."""

import pytest

from tests.helpers.program import document, refused, run_well
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.pe import PeFaults

SIZE = ("--rows", "20", "--columns", "30", "--levels", "2")


def test_a_drawn_map_is_the_chip_that_simulate_meets(capsys):
    model = ("--faults", "stuck-cells:rate=0.02,mix=even", "--seed", "4")
    sampled = document(capsys, "faults", "sample", *model, "-n", "digits-mlp", "--trial", "1")["results"]
    assert sampled["file"] == "faults.safetensors" and sampled["geometry"]["arrays"] == 7
    (task,) = document(capsys, "simulate", *model, "--chips", "2", "--images", "30")["results"]["tasks"]
    (same,) = document(capsys, "simulate", "--fault-map", sampled["file"], "--images", "30")["results"]["tasks"]
    assert same["hits"] == task["hits"][1:] and same["counts"]["faults"] == task["counts"]["faults"][1:]
    assert sum(sampled["counts"].values()) == same["counts"]["faults"][0]


def test_what_march_diagnoses_is_held_against_the_map(capsys, folder):
    document(capsys, "faults", "sample", "-f", "stuck-cells:rate=0.02", "-o", "drawn")
    marched = document(capsys, "march", "run", "-f", "drawn", "--out", ".")["results"]
    assert marched["difference"]["missing"] == 0
    shown = document(capsys, "faults", "show", "drawn", "--against", "diagnosed.safetensors")["results"]
    assert shown["difference"]["equal"] == len(shown["faults"]) == len(FaultMap.load("drawn"))
    out = run_well(capsys, "faults", "show", "drawn", "--against", "diagnosed.safetensors")
    assert "the same" in out and "The first 20 of" in out


@pytest.mark.parametrize(
    "model",
    ["faulty-count:count=9", "faulty-rows:rows=2", "faulty-columns:columns=2", "faulty-clusters:clusters=2", "soft-cells:rate=0.1"],
)
def test_every_model_of_cells_is_drawn_and_merged(capsys, model):
    document(capsys, "faults", "sample", *SIZE, "-f", model, "--out", "a")
    before = FaultMap.load("a")
    more = ("-f", "faulty-count:count=5,mix=flip", "--merge", "a", "--seed", "2", "--out", "b")
    document(capsys, "faults", "sample", *SIZE, *more)
    after = FaultMap.load("b")
    assert before.permanent == after.permanent and len(after) >= len(before) > 0


@pytest.mark.parametrize("name", ["map.png", "map.svg", "map.pdf"])
def test_a_map_is_drawn(capsys, folder, name):
    document(capsys, "faults", "sample", *SIZE, "-f", "faulty-count:count=9", "--out", "a")
    assert sum(document(capsys, "faults", "draw", "a", "--out", name)["results"]["counts"].values()) == 9
    assert (folder / name).stat().st_size > 1000


def test_faults_of_a_board_are_a_list(capsys, board):
    network, accelerator = board[:2], board[2:4]
    command = ("faults", "sample", *network, *accelerator, "-f", "single:kinds=pe")
    found = document(capsys, *command)["results"]
    assert found["file"] == "faults.csv" and found["counts"]["pe"] == 1
    assert len(PeFaults.load("faults.csv")) == 1


def test_faults_of_other_places_are_refused(capsys):
    assert "expected the units of a FINN design" in refused(capsys, "faults", "sample", "-f", "single")
    document(capsys, "faults", "sample", *SIZE, "-f", "faulty-count:count=9", "--out", "a")
    assert "expected" in refused(capsys, "faults", "sample", "-f", "faulty-count:count=9", "--merge", "a")
