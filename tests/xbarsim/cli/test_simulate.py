"""`xbarsim simulate` from outside."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import xbarsim as xb
from networks.zoo import zoo_path
from tests.helpers.program import document, refused, run_well
from xbarsim import __version__
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry

QUICK = ("--chips", "2", "--images", "60", "--seed", "3")
STUCK = ("--faults", "stuck-cells:rate=0.02")


def tasks(capsys, *arguments):
    return document(capsys, "simulate", *arguments)["results"]["tasks"]


def test_tables_for_people_and_a_document_for_machines(capsys):
    out = run_well(capsys, "simulate", *QUICK)
    for words in ("digits-mlp on isaac: 7 arrays", "float network", "fault-free chip", "1 % stuck"):
        assert words in out
    found = document(capsys, "simulate", *QUICK)
    assert (found["version"], found["command"], found["parameters"]["seed"]) == (__version__, "simulate", 3)
    (task,) = found["results"]["tasks"]
    assert task["shots"] == [60, 60] and task["facts"]["resources"]["arrays"] == 7
    assert task["is"]["faults"] == {"name": "stuck-cells", "rate": 0.01, "mix": "measured"}
    assert document(capsys, "simulate", *QUICK) == found


def test_the_counts_are_those_of_python(capsys):
    (task,) = tasks(capsys, *QUICK, *STUCK)
    accelerator = xb.accelerators.parse("isaac")
    subject = xb.SubjectReference(network="digits-mlp", accelerator=accelerator, images=60).load()
    (same,) = xb.grid(xb.Accuracy(), subjects=subject, faults=xb.StuckCells(rate=0.02), trials=2, seed=3)
    assert task["task"] == same.key
    assert task["hits"] == xb.collect([same]).trials["hits"].tolist()


def test_several_models_are_tasks_of_their_own(capsys):
    found = tasks(capsys, *QUICK, *STUCK, "--faults", "soft-cells:rate=0.02", "--faults", "none")
    assert [task["is"]["faults"]["name"] for task in found] == ["stuck-cells", "soft-cells", "none"]
    assert found[2]["hits"] == [found[2]["facts"]["healthy_hits"]] * 2


def test_results_are_written_beside_each_other(capsys, folder):
    found = document(capsys, "simulate", *QUICK, "--out", "out")
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "accuracy.png", "simulate.json", "trials.csv"
    ]  # fmt: skip
    assert json.loads((folder / "out" / "simulate.json").read_text()) == found
    assert (folder / "out" / "trials.csv").read_text().count("\n") == 3


def test_trials_are_kept_in_a_store_and_gone_on_with(capsys, folder):
    few = tasks(capsys, *QUICK, *STUCK, "--store", "a.db")
    more = tasks(capsys, "--chips", "3", *QUICK[2:], *STUCK, "--store", "a.db")
    assert more[0]["hits"][:2] == few[0]["hits"] and len(more[0]["hits"]) == 3
    assert "wrote" in run_well(capsys, "report", "a.db")


def test_fault_maps_are_chips(capsys, folder):
    geometry = CellGeometry(arrays=7)
    for number in (0, 1):
        FaultMap.of(geometry, array=number, row=0, column=0, kind="stuck_hrs").save(f"{number}.safetensors")
    (task,) = tasks(capsys, "--images", "20", "--fault-map", "0.safetensors", "--fault-map", "1.safetensors")
    assert task["counts"]["faults"] == [1, 1] and task["is"]["faults"]["name"] == "given"
    FaultMap.of(CellGeometry(arrays=99), array=98, row=0, column=0, kind="stuck_hrs").save("other")
    assert "expected 7 arrays" in refused(capsys, "simulate", "--images", "20", "--fault-map", "other")


def test_weights_with_nan_of_other_shape_or_truncated_get_one_line(capsys, folder):
    good = load_file(zoo_path("digits-mlp"))
    name = next(iter(good))
    nan = {n: t.clone() for n, t in good.items()}
    nan[name].view(-1)[0] = float("nan")
    for case, tensors in {"nan": nan, "shape": good | {name: good[name][:1].clone()}}.items():
        save_file(tensors, folder / case)
    (folder / "cut").write_bytes(zoo_path("digits-mlp").read_bytes()[:200])
    for case, words in (("nan", "NaN"), ("shape", "shape"), ("cut", "a safetensors file")):
        assert words in refused(capsys, "simulate", *QUICK, "--weights", case)


@pytest.mark.parametrize("fidelity", ["bit-serial", "analog", "parasitic"])
def test_other_fidelities_meet_the_same_faults(capsys, fidelity):
    small = ("--chips", "2", "--images", "20", "--seed", "3", *STUCK)
    (digital,), (found,) = tasks(capsys, *small), tasks(capsys, *small, "--fidelity", fidelity)
    assert found["counts"]["faults"] == digital["counts"]["faults"]
    if fidelity == "bit-serial":
        assert found["hits"] == digital["hits"] and found["task"] != digital["task"]
    else:
        assert found["is"]["hardware"] != digital["is"]["hardware"]
        assert "hfo2-wan" in found["facts"]["words"]["accelerator"]
        assert tasks(capsys, *small, "--fidelity", fidelity) == [found]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fidelity", "exact"], "--fidelity: expected one of analog, bit-serial, digital, parasitic"),
        (["--device", "ideal"], "--device: expected none with fidelity digital"),
        (["--fidelity", "analog", "--wire-ohm", "1"], "--wire-ohm: expected none with fidelity analog"),
        (["--fidelity", "analog", "--device", "tin"], "--device: expected one of cmo-hfox"),
        (["--fidelity", "analog", "--device", "cmo-hfox", "--age", "inf"], "--age: expected a finite"),
        (["--fidelity", "analog", "--age", "1e9"], "--age: expected a finite number in 0..172800"),
        (["--fidelity", "analog", "--age", "-1"], "--age: expected a finite number"),
        (["--fidelity", "parasitic", "--wire-ohm", "-1"], "expected a finite number"),
        (["--fidelity", "analog", "--accelerator", "finn"], "--fidelity: expected a ReRAM accelerator beside it"),
    ],
)
def test_wrong_physics_are_refused(capsys, options, message):
    assert message in refused(capsys, "simulate", *QUICK, *options)


def test_results_do_not_hang_on_the_number_of_threads():
    arguments = ["simulate", *QUICK, "--json"]
    found = []
    for threads in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", "from xbarsim.cli.app import main; main()", *arguments],
            env=os.environ | {"NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(done.stdout)
    assert found[0] == found[1]


def test_a_board_meets_all_its_channels_by_default(capsys, board):
    (task,) = tasks(capsys, *board, "--images", "2")
    assert len(task["hits"]) == 3840 and set(task["counts"]["value"]) == {-1, 1}
    out = run_well(capsys, "simulate", *board, "--images", "2", "--chips", "40")
    assert "40 single faults on 2 images" in out and "The worst faults" in out


def test_samples_of_single_faults_are_part_of_the_whole(capsys, board, folder):
    model = ("--faults", "single:kinds=pe+pixel,layers=1+2", "--images", "4")
    (whole,) = tasks(capsys, *board, *model)
    (part,) = tasks(capsys, *board, *model, "--chips", "9", "--out", "out")

    def rows(task):
        return list(zip(task["hits"], *(task["counts"][name] for name in ("kind", "layer", "unit", "value")), strict=True))

    assert rows(part) == rows(whole)[:9] and len(set(rows(whole))) == len(rows(whole))
    assert len(list((folder / "out").glob("single-faults-*.png"))) == 1
    (other,) = tasks(capsys, *board, *model, "--chips", "9", "--seed", "2")
    assert rows(other) != rows(part)


def test_a_list_of_faults_from_a_spreadsheet_is_a_chip(capsys, board, folder):
    head = "kind,layer,unit,word,bit,value,image\r\n"
    (folder / "faults.csv").write_bytes(b"\xef\xbb\xbf" + head.encode() + b"pe,1,3,-1,-1,1,-1\r\n")
    (task,) = tasks(capsys, *board, "--images", "4", "--fault-map", "faults.csv")
    assert task["counts"]["faults"] == [1]
    (folder / "faults.csv").write_text("kind,layer\npe,1\n")
    assert "expected the columns" in refused(capsys, "simulate", *board, "--fault-map", "faults.csv")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("single:kinds=colour", "SingleFaults.kinds: expected one of accumulator, channel"),
        ("single:kinds=", "kinds: expected at least one"),
        ("single:layers=x", "fault model single, layers: expected"),
        ("single:layers=99", "layer"),
        ("stuck-cells:rate=0.1", "stuck-cells: expected the cells of arrays"),
    ],
)
def test_faults_that_a_board_has_not_are_refused(capsys, board, model, words):
    assert words in refused(capsys, "simulate", *board, "--images", "2", "--faults", model)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (("3-7-weights.bin", lambda b: b[:-1]), "3-7-weights.bin: expected 2304 bytes, got 2303"),
        (("3-7-thres.bin", lambda b: b + bytes(8)), "3-7-thres.bin: expected 64 bytes, got 72"),
        (("0-3-weights.bin", lambda b: bytes([8]) + b[1:]), "0-3-weights.bin: expected no bit set above the 3 lanes"),
        (
            ("0-3-thres.bin", lambda b: np.array([1 << 40], "<i8").tobytes() + b[8:]),
            "0-3-thres.bin: expected thresholds of 24 bits",
        ),
        (("9-0-thres.bin", lambda b: bytes(8)), "got 9-0-thres.bin"),
        (("classes.txt", lambda b: b"cat\n"), "expected 10 lines, got 1"),
    ],
    ids=lambda v: v[0] if isinstance(v, tuple) else "",
)
def test_damaged_boards_are_refused_by_file(capsys, board, folder, damage, words):
    import shutil

    copy = shutil.copytree(board[1], folder / "cnvW1A1")
    name, change = damage
    path = copy / name
    path.write_bytes(change(path.read_bytes() if path.exists() else b""))
    assert words in refused(capsys, "simulate", "-n", copy, "-a", "finn", "--images", "2")
