"""Boards, campaigns and protection from outside: results for people and machines, one line for a mistake."""

import csv
import json
import shutil

import numpy as np
import pytest

from tests.helpers.program import document, run
from xbarsim import __version__
from xbarsim.faults.pe import PeFault, PeFaultKind, PeFaults

PNG = b"\x89PNG\r\n\x1a\n"
FEW = ["--images", "6"]
HEAD = "kind,layer,unit,word,bit,value,image\n"
FAULT_COLUMNS = HEAD.strip().split(",")


@pytest.fixture
def board(finn_data, monkeypatch):
    """The random board's folder, its images being the data set."""
    monkeypatch.setenv("XBARSIM_DATA", str(finn_data))
    return finn_data / "cnvW1A1"


def results(capsys, *arguments):
    return document(capsys, *arguments)["results"]


def faults_of(capsys, *arguments):
    """The faults' columns of a campaign as arrays."""
    found = results(capsys, "inject", *arguments)["faults"]
    return {name: np.array(values) for name, values in found.items()}


def without_seconds(value):
    if isinstance(value, dict):
        return {name: without_seconds(item) for name, item in value.items() if name != "seconds"}
    return [without_seconds(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("board", FEW),
        ("inject", [*FEW, "--sample", "10"]),
        ("inject", [*FEW, "--sample", "10", "--transient", "--kinds", "weight,pixel"]),
        ("inject", ["--count"]),
        ("protect", ["--images", "3"]),
    ],
    ids=["board", "inject", "transient", "count", "protect"],
)
def test_commands_print_tables_or_one_json_document(capsys, board, command, options):
    code, out, err = run(capsys, command, board, *options)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) > 5
    found = document(capsys, command, board, *options)
    assert (found["version"], found["command"]) == (__version__, command)
    assert found["parameters"]["board"] == str(board)
    again = document(capsys, command, board, *options)
    assert without_seconds(again) == without_seconds(found)


def test_board_tells_accuracy_and_cost(capsys, board, tmp_path):
    found = results(capsys, "board", board, "--out", tmp_path)
    assert (found["network"], found["dataset"]) == ("cnvW1A1", "cifar10")
    assert (found["hits"], found["shots"]) == (15, 20)
    assert len(found["cost"]["cycles"]["layers"]) == 9
    assert sorted(p.name for p in tmp_path.iterdir()) == ["board.json", "folding.json"]
    assert json.loads((tmp_path / "board.json").read_text())["results"] == found
    again = results(capsys, "board", board, "--folding", tmp_path / "folding.json")
    assert without_seconds(again) == without_seconds(found)


def test_folding_changes_the_cost_and_no_class(capsys, board, tmp_path):
    shipped = results(capsys, "board", board)
    path = tmp_path / "folding.json"
    path.write_text(json.dumps({"MatrixVectorActivation_1": {"PE": 1, "SIMD": 1}}))
    slow = results(capsys, "board", board, "--folding", path)
    assert slow["hits"] == shipped["hits"]
    assert slow["cost"]["cycles"]["interval_cycles"] > 100 * shipped["cost"]["cycles"]["interval_cycles"]


@pytest.mark.parametrize(("rate", "clock_MHz"), [(500, None), (5000, None), (3000, 200)])
def test_target_rate_is_reached(capsys, board, tmp_path, rate, clock_MHz):
    options = ["--target-rate", rate, "--out", tmp_path, *([] if clock_MHz is None else ["--clock-mhz", 200])]
    found = results(capsys, "board", board, *FEW, *options)
    reached = (clock_MHz or 100) * 1e6 / found["cost"]["cycles"]["interval_cycles"]
    assert rate <= reached < 4 * rate
    code, out, _ = run(capsys, "board", board, *FEW, "--folding", tmp_path / "folding.json")
    assert code == 0
    assert f"{found['cost']['cycles']['interval_cycles']:,} cycles" in out


def test_wanted_clock_gets_a_line_of_its_own(capsys, board):
    code, out, _ = run(capsys, "board", board, *FEW, "--target-rate", "3000", "--clock-mhz", "200")
    assert code == 0
    assert "target, 200 MHz" in out


def test_campaign_counts_add_up(capsys, board):
    found = results(capsys, "inject", board, "--kinds", "channel,pe,lane", "--sample", "40")
    columns = {name: np.array(values) for name, values in found["faults"].items()}
    hits, flips, masked = columns["hits"], columns["flips"], columns["masked"]
    assert (found["baseline_hits"], found["shots"]) == (15, 20)
    assert {len(values) for values in columns.values()} == {40}
    assert found["classes"] <= 40
    assert (hits >= 0).all() and (hits <= 20).all()
    assert (flips + masked <= 20).all()
    assert (abs(hits - 15) <= flips).all()
    assert flips.any() and masked.any()


def test_campaign_writes_faults_results_and_a_figure(capsys, board, tmp_path):
    options = [*FEW, "--kinds", "weight", "--layers", "0", "--sample", "12"]
    found = document(capsys, "inject", board, *options, "--out", tmp_path)
    names = {"inject.json", "accuracy.png", "faults.csv", "results.csv"}
    assert {p.name for p in tmp_path.iterdir()} == names
    assert json.loads((tmp_path / "inject.json").read_text()) == found
    assert (tmp_path / "accuracy.png").read_bytes().startswith(PNG)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    columns = found["results"]["faults"]
    assert {name: [row[name] for row in rows] for name in rows[0]} == {
        name: list(map(str, values)) for name, values in columns.items()
    }
    again = results(capsys, "inject", board, *FEW, "--faults", tmp_path / "faults.csv")
    assert without_seconds(again) == without_seconds(found["results"])


def test_seed_decides_the_sample(capsys, board):
    options = [board, *FEW, "--kinds", "threshold", "--sample", "30", "--seed"]
    one, same, other = (faults_of(capsys, *options, seed) for seed in (1, 1, 2))
    assert all((one[name] == same[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in FAULT_COLUMNS)


def test_sample_is_part_of_the_whole(capsys, board):
    options = [board, *FEW, "--kinds", "pe", "--layers", "1,2"]
    whole, part = faults_of(capsys, *options), faults_of(capsys, *options, "--sample", "9")
    rows = {tuple(row) for row in zip(*whole.values(), strict=True)}
    drawn = [tuple(row) for row in zip(*part.values(), strict=True)]
    assert (len(rows), len(set(drawn))) == (2 * (32 + 16), 9)
    assert set(drawn) < rows


def test_kinds_and_layers_are_lists(capsys, board):
    found = faults_of(capsys, board, *FEW, "--kinds", "pe, pixel", "--layers", "6,3")
    assert set(found["kind"]) == {"pe", "pixel"}
    assert set(found["layer"]) == {3, 6}
    twice = faults_of(capsys, board, *FEW, "--kinds", "pe,pixel,pe", "--layers", "6,3,6")
    assert all((twice[name] == found[name]).all() for name in found)


def test_transient_faults_change_one_image_at_most(capsys, board):
    options = [board, "--kinds", "channel,weight", "--layers", "0,4", "--sample", "60", "--transient"]
    found = faults_of(capsys, *options)
    assert found["image"].min() >= 0 and found["image"].max() < 20
    assert len(set(found["image"])) > 5
    assert (found["flips"] <= 1).all() and (found["masked"] >= 19).all()
    other = faults_of(capsys, *options, "--seed", "2")
    assert (other["image"] != found["image"]).any()


def test_loopback_faults_hit_all_layers(capsys, board):
    found = faults_of(capsys, board, *FEW, "--loopback", "4,8", "--kinds", "pe")
    assert len(found["layer"]) == 2 * 4
    assert set(found["layer"]) == {-1}
    code, out, _ = run(capsys, "inject", board, *FEW, "--loopback", "4,8", "--kinds", "pe", "--sample", "3")
    assert code == 0
    assert "pe    all " in out


def test_counts_are_those_of_the_lists(capsys, board):
    counts = results(capsys, "inject", board, "--count")["faults"]
    assert list(counts) == [kind.name for kind in PeFaultKind]
    assert counts["channel"] == 2 * (64 + 64 + 128 + 128 + 256 + 256 + 512 + 512)
    assert counts["pe"] == 2 * (16 + 32 + 16 + 16 + 4 + 1 + 1 + 1)
    assert len(faults_of(capsys, board, "--images", "1", "--kinds", "pe")["kind"]) == counts["pe"]
    shared = results(capsys, "inject", board, "--count", "--loopback", "4,8")["faults"]
    assert shared["pe"] == 2 * 4


def test_fault_list_from_a_spreadsheet_is_read(capsys, board, tmp_path):
    path = tmp_path / "faults.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + "pe,1,3,-1,-1,1,4\n").replace("\n", "\r\n").encode())
    found = faults_of(capsys, board, *FEW, "--faults", path)
    assert [found[name].tolist() for name in FAULT_COLUMNS] == [["pe"], [1], [3], [-1], [-1], [1], [4]]


def test_protection_shares_add_up(capsys, board, tmp_path):
    found = results(capsys, "protect", board, "--images", "3", "--protected", "40", "--out", tmp_path)
    study = found["protection"]
    assert set(study["schedules"]) == {"natural", "gather", "spread"}
    assert sum(row["faults"] for row in study["safety"]["rows"]) == study["safety"]["total"]["faults"] == 3840
    total = study["safety"]["total"]
    effects = ("masked", "unchanged", "caught_unchanged", "caught_changed", "dangerous")
    assert sum(total[name] for name in effects) == 3 * 3840
    assert {p.name for p in tmp_path.iterdir()} == {"protect.json", "protection.png"}
    assert (tmp_path / "protection.png").read_bytes().startswith(PNG)


def test_more_protection_leaves_less_danger(capsys, board):
    found = [
        results(capsys, "protect", board, "--images", "2", "--protected", k)["protection"] for k in (0, 1920)
    ]
    none, every = (study["safety"]["total"] for study in found)
    assert none["caught_changed"] == 0 < none["dangerous"]
    assert every["dangerous"] == 0 < every["caught_changed"]


def test_qonnx_files_are_boards_too(capsys, tmp_path):
    pytest.importorskip("qonnx")
    from tests.accel_models.finn.test_qonnx import Line

    line = Line((1, 8, 8)).cnv_input().conv(4, 1, (3, 3), 1).norm(4).bipolar()
    line.op("Flatten", axis=1).linear(12, 4 * 36, 1).norm(12).bipolar()
    path = line.linear(10, 12, 1).save(tmp_path)
    code, _, err = run(capsys, "board", path)
    assert code == 2
    assert "--dataset: expected the data set of the network" in err
    options = ["--dataset", "digits", "--images", "30"]
    assert results(capsys, "board", path, *options)["shots"] == 30
    found = results(capsys, "inject", path, *options, "--kinds", "channel,threshold")
    assert set(found["faults"]["layer"]) == {0, 1}
    assert results(capsys, "protect", path, *options, "--protected", "3")["protection"]["network"] == "line"
    code, _, err = run(capsys, "board", path, "--network", "cnvW1A1")
    assert code == 2
    assert "--network: expected a folder" in err


def refused(capsys, *arguments):
    """The one line of a refused command."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("xbarsim: ")
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    assert "Traceback" not in err
    return err


def _cut(folder):
    path = folder / "3-7-weights.bin"
    path.write_bytes(path.read_bytes()[:-1])


def _lengthen(folder):
    path = folder / "3-7-thres.bin"
    path.write_bytes(path.read_bytes() + bytes(8))


def _bit_above_the_lanes(folder):
    path = folder / "0-3-weights.bin"
    path.write_bytes(bytes([8]) + path.read_bytes()[1:])  # three lanes


def _threshold_too_wide(folder):
    path = folder / "0-3-thres.bin"
    path.write_bytes(np.array([1 << 40], "<i8").tobytes() + path.read_bytes()[8:])


DAMAGED = {
    "cut": (_cut, "3-7-weights.bin: expected 2304 bytes, got 2303"),
    "long": (_lengthen, "3-7-thres.bin: expected 64 bytes, got 72"),
    "missing": (lambda folder: (folder / "8-0-weights.bin").unlink(), "8-0-weights.bin: expected"),
    "bit": (_bit_above_the_lanes, "0-3-weights.bin: expected no bit set above the 3 lanes"),
    "threshold": (_threshold_too_wide, "0-3-thres.bin: expected thresholds of 24 bits"),
    "PE": (lambda folder: (folder / "0-16-weights.bin").write_bytes(bytes(8)), "got 0-16-weights.bin"),
    "layer": (lambda folder: (folder / "9-0-thres.bin").write_bytes(bytes(8)), "got 9-0-thres.bin"),
    "classes": (lambda folder: (folder / "classes.txt").write_text("cat\n"), "expected 10 lines, got 1"),
    "names": (lambda folder: (folder / "classes.txt").unlink(), "classes.txt: expected the names"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_boards_are_refused_by_file(capsys, board, tmp_path, case):
    damage, words = DAMAGED[case]
    folder = shutil.copytree(board, tmp_path / "cnvW1A1")
    damage(folder)
    assert words in refused(capsys, "board", folder)


def test_thresholds_out_of_order_are_refused_by_file(capsys, board, tmp_path):
    from accel_models.finn.board import write_board
    from tests.accel_models.finn.networks import random_network

    folder = tmp_path / "lfcW1A2"
    write_board(random_network("lfcW1A2", np.random.default_rng(1)), folder)
    path = folder / "1-5-thres.bin"
    path.write_bytes(np.array([9, 3], "<i8").tobytes() + path.read_bytes()[16:])
    assert "1-5-thres.bin: expected the thresholds of a row in ascending order" in refused(
        capsys, "inject", folder
    )


@pytest.mark.parametrize(
    ("command", "place", "words"),
    [
        ("board", "nowhere", "board nowhere: expected a folder of parameter files, got no such folder"),
        (
            "inject",
            "mnist",
            "expected a network of cnvW1A1, cnvW1A2, cnvW2A2, lfcW1A1, lfcW1A2, got 'mnist'",
        ),
        ("protect", "cnvW1A1/classes.txt", "expected a folder of parameter files"),
        ("board", "none.onnx", "file none.onnx: expected an ONNX file"),
    ],
)
def test_other_places_are_refused(capsys, board, monkeypatch, command, place, words):
    monkeypatch.chdir(board.parent)
    assert words in refused(capsys, command, place)


CAMPAIGN = [
    (["--kinds", "colour"], "--kinds: expected one of accumulator, channel, lane"),
    (["--kinds", ""], "--kinds: expected one of"),
    (["--kinds", "channel", "--layers", "8"], "faults: expected at least one, got none; choose other kinds"),
    (["--layers", "x"], "--layers: expected integers with commas, got 'x'"),
    (["--layers", ""], "--layers: expected integers with commas"),
    (["--layers", "99"], "layer: expected an integer in 0..8, got 99"),
    (["--layers", "-1"], "layer: expected an integer in 0..8, got -1"),
    (["--loopback", "3"], "--loopback: expected two numbers, PE,SIMD, got '3'"),
    (["--loopback", "4,8", "--kinds", "pe", "--layers", "0"], "--layers: expected no pe faults beside it"),
    (["--loopback", "3,x"], "--loopback: expected integers with commas"),
    (["--loopback", "0,1"], "pe: expected an integer in 1..65536, got 0"),
    (["--loopback", "1," + "9" * 30], "simd: expected an integer in 1..65536"),
    (
        ["--loopback", "65536,65536", "--kinds", "weight"],
        "list of weight faults in a layer: expected at most",
    ),
    (["--sample", "3841"], "sample of faults: expected an integer in 1..3840, got 3841"),
    (["--sample", "0"], "sample of faults: expected an integer in 1..3840, got 0"),
    (["--sample", "-1"], "sample of faults: expected an integer"),
    (["--sample", "many"], "command line: Invalid value for '--sample'"),
    (["--images", "0"], "number of images: expected an integer"),
    (["--images", "-3"], "number of images: expected an integer"),
    (["--memory-mb", "1"], "memory_MB: expected an integer in 16.."),
    (["--seed", "-1", "--sample", "2"], "seed: expected an integer"),
    (["--dataset", "mnist"], "images for cnvW1A1: expected shape (N, 32, 32, 3), got (4, 28, 28, 1)"),
    (["--dataset", "imagenet"], "data set: expected one of cifar10, digits"),
    (["--network", "lenet"], "expected a network of cnvW1A1"),
    (["--network", "lfcW1A1"], "0-0-weights.bin: expected 3328 bytes, got 288; get the file again, or name"),
    (["--faults", "none.csv"], "fault list none.csv: expected a CSV file that can be read"),
    (["--faults", "."], "fault list .: expected a CSV file that can be read"),
    (["--faults", "none.csv", "--layers", "1"], "--layers: expected no --faults beside it"),
]
BOARD = [
    (["--target-rate", "1e9"], "images_per_s: expected at most 14046.9"),
    (["--target-rate", "-1"], "--target-rate: expected a finite number above 0, got -1.0"),
    (["--target-rate", "nan"], "--target-rate: expected a finite number above 0, got nan"),
    (["--target-rate", "0"], "--target-rate: expected a finite number above 0"),
    (["--target-rate", "inf"], "--target-rate: expected a finite number above 0"),
    (["--target-rate", "9", "--clock-mhz", "0"], "--clock-mhz: expected a finite number above 0"),
    (["--clock-mhz", "200"], "--clock-mhz: expected --target-rate beside it"),
    (["--folding", "none.json"], "folding none.json: expected a file"),
    (["--folding", ".", "--target-rate", "9"], "--target-rate: expected no --folding beside it"),
    (["--images", "0"], "number of images: expected an integer"),
]
PROTECT = [
    (["--images", "-1"], "number of images: expected an integer"),
    (["--protected", "-1"], "--protected: expected an integer in 0..1920, got -1"),
    (["--protected", "1921"], "--protected: expected an integer in 0..1920"),
    (["--dataset", "digits"], "images for cnvW1A1: expected shape (N, 32, 32, 3)"),
]
MISTAKES = [("inject", *c) for c in CAMPAIGN] + [("board", *b) for b in BOARD]
MISTAKES += [("protect", *p) for p in PROTECT]


@pytest.mark.parametrize(
    ("command", "options", "words"), MISTAKES, ids=[f"{c} {' '.join(o)}"[:60] for c, o, _ in MISTAKES]
)
def test_mistakes_get_one_line_and_leave_earlier_files(
    capsys, board, tmp_path, monkeypatch, command, options, words
):
    monkeypatch.chdir(tmp_path)
    earlier = {name: tmp_path / "out" / name for name in (f"{command}.json", "faults.csv", "folding.json")}
    (tmp_path / "out").mkdir()
    for name, path in earlier.items():
        path.write_text(name)
    assert words in refused(capsys, command, board, *options, "--out", "out")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {n: n for n in earlier}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "expected the columns kind,layer,unit,word,bit,value,image, got nothing"),
        ("kind,layer\npe,1\n", "expected the columns kind,layer,unit,word,bit,value,image, got kind,layer"),
        ("\x1b[31m\n", "expected the columns"),
        (HEAD, "faults: expected at least one, got none"),
        (HEAD + "channel,1,3\n", "line 2: expected a kind of channel, pe"),
        (HEAD + "chanel,1,3,-1,-1,1,-1\n", "line 2: expected a kind of channel, pe"),
        (HEAD + "channel,one,3,-1,-1,1,-1\n", "line 2: expected a kind of channel, pe"),
        (HEAD + "channel,\x1b[31m,3,-1,-1,1,-1\n", "line 2: expected a kind of channel, pe"),
        (HEAD + "channel,1," + "9" * 30 + ",-1,-1,1,-1\n", "line 2: expected a kind of channel, pe"),
        (HEAD + "channel,9,3,-1,-1,1,-1\n", "fault: expected a layer in 0..8, got 9"),
        (HEAD + "pe,-1,3,-1,-1,1,-1\n", "fault: expected a layer in 0..8, got -1"),
        (HEAD + "channel,8,3,-1,-1,1,-1\n", "expected no unit, for this kind and layer, got 3"),
        (HEAD + "channel,1,64,-1,-1,1,-1\n", "expected unit in 0..63, got 64"),
        (HEAD + "channel,1,3,0,-1,1,-1\n", "expected no word, for this kind and layer, got 0"),
        (HEAD + "channel,1,3,-1,-1,5,-1\n", "expected value -1 or 1, got 5"),
        (HEAD + "weight,0,2,99999,1,0,-1\n", "expected word in 0..35, got 99999"),
        (HEAD + "weight,0,2,3,3,0,-1\n", "expected bit in 0..2, got 3"),
        (HEAD + "weight,0,2,3,1,7,-1\n", "expected value 0 or 1, got 7"),
        (HEAD + "threshold,0,0,0,24,1,-1\n", "expected bit in 0..23, got 24"),
        (HEAD + "threshold,8,0,0,0,1,-1\n", "expected no unit, for this kind and layer, got 0"),
        (HEAD + "pixel,0,900,-1,-1,1,-1\n", "expected unit in 0..899, got 900"),
        (HEAD + "channel,1,3,-1,-1,1,6\n", "transient fault: expected an image in 0..5, got 6"),
        (
            HEAD + "channel,1,3,-1,-1,1,-7\n",
            "expected image -1 (permanent) or the number of an image, got -7",
        ),
    ],
)
def test_fault_lists_that_do_not_fit_are_refused(capsys, board, tmp_path, content, words):
    path = tmp_path / "faults.csv"
    path.write_text(content)
    assert words in refused(capsys, "inject", board, *FEW, "--faults", path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("PE=1", "expected JSON"),
        ("[1]", "the whole file"),
        ('{"MatrixVectorActivation_1": {"PE": 5}}', "MatrixVectorActivation_1: PE: expected a divisor of 64"),
        ('{"MatrixVectorActivation_1": {"PE": "2"}}', "MatrixVectorActivation_1: PE: expected an integer"),
        ('{"MatrixVectorActivation_9": {"PE": 1}}', "expected a number in 0..8, got 9"),
        ('{"Convolution_1": {"PE": 1}}', "Convolution_1: expected a node such as MatrixVectorActivation_0"),
    ],
)
def test_foldings_that_do_not_fit_are_refused(capsys, board, tmp_path, content, words):
    path = tmp_path / "folding.json"
    path.write_text(content)
    assert words in refused(capsys, "board", board, "--folding", path)


@pytest.mark.parametrize("command", ["board", "inject", "protect"])
def test_folder_that_cannot_be_written_is_found_before_the_work(
    capsys, board, tmp_path, monkeypatch, command
):
    def work(*arguments, **options):
        raise AssertionError("the work began")

    monkeypatch.setattr("xbarsim.studies.boards.board_bench", work)
    (tmp_path / "file").write_text("not a folder")
    assert "a place that can be written" in refused(capsys, command, board, "--out", tmp_path / "file")


def test_file_that_cannot_be_written_gets_one_line(capsys, board, tmp_path):
    faults = PeFaults.of([PeFault(kind=PeFaultKind.pe, layer=1, unit=3, value=1)])
    path = faults.save(tmp_path / "one.csv")
    (tmp_path / "out" / "results.csv").mkdir(parents=True)
    options = ["--faults", path, "--out", tmp_path / "out"]
    code, _, err = run(capsys, "inject", board, *FEW, *options)
    assert code == 2
    assert "results.csv: expected a place that can be written" in err
    assert err.count("\n") == 1
    assert PeFaults.load(tmp_path / "out" / "faults.csv").table.tolist() == faults.table.tolist()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bytes(3072), "test_batch.bin: expected records of 3073 bytes, got 3072 bytes"),
        (b"", "test_batch.bin: expected records of 3073 bytes, got 0 bytes"),
        (bytes([10]) + bytes(3072), "test_batch.bin: expected labels 0..9, got 10"),
    ],
)
def test_damaged_data_sets_are_refused(capsys, board, tmp_path, monkeypatch, content, words):
    path = tmp_path / "cifar-10-batches-bin" / "test_batch.bin"
    path.parent.mkdir()
    path.write_bytes(content)
    monkeypatch.setenv("XBARSIM_DATA", str(tmp_path))
    assert words in refused(capsys, "board", board)
    monkeypatch.setenv("XBARSIM_DATA", str(tmp_path / "nowhere"))
    assert "XBARSIM_DATA: expected a folder" in refused(capsys, "board", board)
