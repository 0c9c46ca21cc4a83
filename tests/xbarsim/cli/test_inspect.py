"""`xbarsim inspect` from outside."""

import json

import pytest

from tests.helpers.program import document, refused, run_well

FEW = ("--images", "6")


def results(capsys, *arguments):
    return document(capsys, "inspect", *arguments)["results"]


def test_arrays_accuracy_and_cost(capsys):
    out = run_well(capsys, "inspect", "--images", "40")
    assert "7 arrays" in out and "fault-free chip" in out and "collapses" in out
    found = results(capsys, "--images", "40")
    assert found["facts"]["shots"] == 40 and found["cost_per_image"]["latency_ns"] > 0
    assert found["subject"]["network"] == "digits-mlp" and "cycles" not in found


def test_what_training_takes(capsys):
    found = results(capsys, "--images", "4", "--training")["training"]
    assert [layer["operations"] > 0 for layer in found].count(True) >= 3
    assert "Training digits-mlp, by layer" in run_well(capsys, "inspect", "--images", "4", "--training")


def test_a_board_tells_accuracy_cycles_and_its_folding(capsys, board, folder):
    found = results(capsys, *board, "--out", "out")
    assert (found["facts"]["healthy_hits"], found["facts"]["shots"]) == (15, 20)
    assert len(found["cycles"]["layers"]) == 9
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["folding.json", "inspect.json"]
    again = results(capsys, *board, "--folding", "out/folding.json")
    assert again["cycles"] == found["cycles"] and again["facts"] == found["facts"]
    assert "Pynq-Z1, 100 MHz" in run_well(capsys, "inspect", *board, *FEW)


def test_a_folding_changes_the_cycles_and_no_class(capsys, board, folder):
    (folder / "folding.json").write_text(json.dumps({"MatrixVectorActivation_1": {"PE": 1, "SIMD": 1}}))
    shipped, slow = results(capsys, *board), results(capsys, *board, "--folding", "folding.json")
    assert slow["facts"]["healthy_hits"] == shipped["facts"]["healthy_hits"]
    assert slow["cycles"]["interval_cycles"] > 100 * shipped["cycles"]["interval_cycles"]


@pytest.mark.parametrize(("rate", "clock_MHz"), [(500, 100), (3000, 200)])
def test_a_target_rate_is_reached(capsys, board, rate, clock_MHz):
    clocked = [f"finn:clock_MHz={clock_MHz}" if word == "finn" else word for word in board]
    found = results(capsys, *clocked, *FEW, "--target-rate", rate)
    assert rate <= clock_MHz * 1e6 / found["cycles"]["interval_cycles"] < 8 * rate


def test_protection_shares_add_up(capsys, board, folder):
    study = results(capsys, *board, "--images", "2", "--protect", "40", "--out", "out")["protection"]
    assert set(study["schedules"]) == {"natural", "gather", "spread"}
    total = study["safety"]["total"]
    assert sum(row["faults"] for row in study["safety"]["rows"]) == total["faults"] == 3840
    effects = ("masked", "unchanged", "caught_unchanged", "caught_changed", "dangerous")
    assert sum(total[name] for name in effects) == 2 * 3840
    assert (folder / "out" / "protection.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--target-rate", "1e9"], "expected at most 14046.9"),
        (["--target-rate", "-1"], "--target-rate: expected a finite number above 0, got -1.0"),
        (["--target-rate", "nan"], "--target-rate: expected a finite number above 0, got nan"),
        (["--folding", "none.json"], "folding none.json: expected a file"),
        (["--folding", ".", "--target-rate", "9"], "--folding: expected a file or a rate to reach, got both"),
        (["--protect", "-1"], "--protect: expected an integer in 0..1920, got -1"),
        (["--protect", "1921"], "--protect: expected an integer in 0..1920"),
        (["--images", "0"], "--images: expected an integer"),
        (["--data", "mnist"], "expected"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_mistakes_leave_earlier_files(capsys, board, folder, options, words):
    (folder / "out").mkdir()
    for name in ("inspect.json", "folding.json"):
        (folder / "out" / name).write_text(name)
    assert words in refused(capsys, "inspect", *board, *options, "--out", "out")
    assert {path.name: path.read_text() for path in (folder / "out").iterdir()} == {
        name: name for name in ("inspect.json", "folding.json")
    }


def test_other_places_are_refused(capsys, board, folder):
    assert "--network: expected a file" in refused(capsys, "inspect", "-n", "nowhere", "-a", "finn")
    (folder / "empty").mkdir()
    assert "expected" in refused(capsys, "inspect", "-n", "empty", "-a", "finn")
    assert "file none.onnx" in refused(capsys, "inspect", "-n", _empty(folder / "none.onnx"), "-a", "finn")


def _empty(path):
    path.write_bytes(b"")
    return path.name


def test_qonnx_files_are_boards_too(capsys, folder):
    pytest.importorskip("qonnx")
    from tests.helpers.qonnx_files import Line

    line = Line((1, 8, 8)).cnv_input().conv(4, 1, (3, 3), 1).norm(4).bipolar()
    line.op("Flatten", axis=1).linear(12, 4 * 36, 1).norm(12).bipolar()
    path = line.linear(10, 12, 1).save(folder)
    own = ("-n", path, "-a", "finn")
    assert "expected its data, got none" in refused(capsys, "inspect", *own)
    assert results(capsys, *own, "-d", "digits", "--images", "30")["facts"]["shots"] == 30
