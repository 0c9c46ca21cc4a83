"""The program from outside: results for people and machines, and one line for every mistake."""

import json
import os
import re
import resource
import subprocess
import sys

import pytest
from safetensors.torch import load_file, save_file

from xbarsim import __version__
from xbarsim.cli.app import main
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry

QUICK = ["--chips", "2", "--images", "100", "--seed", "3"]


def run(capsys, *arguments):
    """Exit code, standard output and standard error of the program, in this process."""
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def document(capsys, *arguments):
    code, out, err = run(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_help_answers_without_loading_torch_and_numba():
    code = "import sys; from xbarsim.cli.app import main\ntry: main(['--help'])\n"
    code += "finally: print({'torch', 'numba', 'matplotlib', 'numpy'} & set(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"
    for name in (
        "demo",
        "simulate",
        "detect",
        "retrain",
        "faults",
        "march",
        "train",
        "networks",
        "accelerators",
    ):
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)


def test_program_without_a_command_shows_its_help(capsys):
    code, out, _ = run(capsys)
    assert code == 0
    assert "Usage: xbarsim" in out
    assert run(capsys, "--version")[1] == f"{__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        ["simulate", *QUICK],
        ["detect", *QUICK, "--patterns", "3"],
        ["retrain", *QUICK, "--epochs", "1", "--train-images", "200"],
        ["march", "run", "MATS+", "--rows", "8", "--columns", "8", "--rate", "0.1"],
        ["march", "coverage", "MATS+"],
        ["march", "list"],
        ["networks"],
        ["accelerators"],
    ],
    ids=lambda c: " ".join(c[:2]),
)
def test_every_command_prints_tables_or_one_json_document(capsys, command):
    code, out, err = run(capsys, *command)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) > 3
    found = document(capsys, *command)
    assert found["version"] == __version__
    assert command[0] in found["command"]
    assert found["results"]
    assert document(capsys, *command) == found


def test_simulate_counts_and_writes_its_files(capsys, tmp_path):
    found = document(capsys, "simulate", *QUICK, "--out", tmp_path)
    results = found["results"]
    assert results["arrays"] == 7
    assert [c["shots"] for c in results["chips"]] == [100, 100]
    assert found["parameters"]["seed"] == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["accuracy.png", "simulate.json"]
    assert json.loads((tmp_path / "simulate.json").read_text()) == found


def test_demo_tells_the_whole_story(capsys, tmp_path):
    code, out, _ = run(capsys, "demo", "--chips", "2", "--tested", "3", "--out", tmp_path)
    assert code == 0
    for title in ("Accuracy on 500", "Detection with N = 10", "Latency of N = 10", "Sent to repair"):
        assert title in out
    figures = {"accuracy.png", "detection.png", "latency.png", "repair.png", "chip-0.png"}
    assert figures | {"demo.json", "chip-0.safetensors"} == {p.name for p in tmp_path.iterdir()}


def test_fault_map_goes_from_sampling_through_march_to_retraining(capsys, tmp_path):
    drawn = tmp_path / "faults.safetensors"
    sampled = document(
        capsys, "faults", "sample", "--network", "digits-mlp", "--rate", "0.02", "--out", drawn
    )
    assert sampled["results"]["geometry"]["arrays"] == 7
    assert (
        document(capsys, "march", "run", "-f", drawn, "--out", tmp_path)["results"]["difference"]["missing"]
        == 0
    )
    shown = document(capsys, "faults", "show", drawn, "--against", tmp_path / "diagnosed.safetensors")[
        "results"
    ]
    assert shown["difference"]["equal"] == len(shown["faults"]) == sum(sampled["results"]["counts"].values())
    retrained = document(
        capsys,
        "retrain",
        "-f",
        tmp_path / "diagnosed.safetensors",
        "--images",
        "100",
        "--out",
        tmp_path / "sent",
    )
    (repair,) = retrained["results"]["repairs"]
    assert repair["stuck_cells"] == len(shown["faults"])
    assert (tmp_path / "sent/update-0.safetensors").stat().st_size == repair["update_bytes"]
    assert document(capsys, "faults", "draw", drawn, "--out", tmp_path / "map.svg")["results"]["counts"]


@pytest.mark.parametrize("way", [["--count", "9"], ["--rows", "2"], ["--columns", "2"], ["--clusters", "2"]])
def test_faults_are_sampled_in_every_way_and_merged(capsys, tmp_path, way):
    first = tmp_path / "a.safetensors"
    size = ["--array-rows", "20", "--array-columns", "30", "--levels", "2"]
    document(capsys, "faults", "sample", *size, *way, "--out", first)
    before = FaultMap.load(first)
    merged = ["--merge", first, "--seed", "2", "--out", tmp_path / "b.safetensors"]
    document(capsys, "faults", "sample", *size, "--count", "5", "--mix", "flip", *merged)
    after = FaultMap.load(tmp_path / "b.safetensors")
    assert before.permanent == after.permanent
    assert len(after) > len(before)


def test_injected_coupling_faults_show_up(capsys):
    found = document(
        capsys,
        "march",
        "run",
        "--rate",
        "0",
        "--rows",
        "8",
        "--columns",
        "8",
        "--inject",
        "<0w1;0/1/->@0,2,3@0,2,4",
    )
    assert found["results"]["other_cells"] == [2 * 8 + 3]


SMALL_MAP = ["faults", "sample", "--array-rows", "4", "--array-columns", "4"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["simulate", "--rate", "1.2"], "rate: expected a number in 0..1, got 1.2"),
        (["simulate", "--rate", "nan"], "rate: expected a number in 0..1, got nan"),
        (["simulate", "--rate", "many"], "command line: Invalid value for '--rate'"),
        (["simulate", "--chips", "0"], "chips: expected an integer"),
        (["simulate", "--images", "0"], "number of images: expected an integer"),
        (["simulate", "--seed", "-1"], "seed: expected an integer"),
        (["simulate", "--mix", "salt"], "mix: expected one of even, flip"),
        (["simulate", "--network", "lenet6"], "network: expected one of cnv-w1a1, cnv-w1a1-half"),
        (["simulate", "--network", "lenet"], "run 'xbarsim train lenet'"),
        (["simulate", "--accelerator", "tpu"], "accelerator: expected one of"),
        (["simulate", "--cells", "dram"], "cells: expected one of"),
        (["simulate", "--weights", "no-such-file"], "model file no-such-file: expected a file"),
        (["simulate", "--fault-map", "no-such-file"], "fault map no-such-file: expected a file"),
        (["simulate", "--colour", "red"], "command line: No such option"),
        (["detect", "--patterns", "501"], "patterns: expected an integer in 1..500"),
        (["detect", "--epsilon", "0"], "epsilon: expected a finite number above 0"),
        (["detect", "--march", "Foo"], "March test: expected one of"),
        (["retrain", "--epochs", "-1"], "epochs: expected an integer"),
        (["retrain", "--learning-rate", "0"], "learning rate: expected a finite number above 0"),
        (["march", "run", "^(r0"], "March test, element 1: expected a closed bracket"),
        (["march", "run", "--inject", "<0w1/0/->@0,128,0"], "--inject: expected PRIMITIVE"),
        (["march", "run", "--inject", "<0w1/0/->"], "--inject: expected PRIMITIVE"),
        (["march", "run", "--inject", "broken@0,0,0"], "fault primitive: expected <S/F/R>"),
        (["march", "run", "--levels", "3"], "CellGeometry.levels: expected 2, 4, 8 or 16"),
        (["march", "coverage", "|w3; ^(r3,w0,r0)"], "levels 0 and 1, for binary coverage"),
        ([*SMALL_MAP, "--rate", "0.1", "--count", "2"], "faults sample: expected one of --rate, --count"),
        ([*SMALL_MAP, "--count", "17"], "count: expected an integer in 0..16"),
        (["faults", "show", "no-such-file"], "fault map no-such-file"),
        (["simulate", "--seed", str(2**64)], "seed: expected an integer"),
        (["retrain", "--march", "|w0; ^(r1)"], "correct the notation"),
        (["faults"], "command line: Missing command"),
        (["conquer"], "command line: No such command 'conquer'"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_bad_input_gets_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("xbarsim: ")
    assert err.count("\n") == 1
    assert words in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_weights_with_nan_of_other_shape_or_truncated_get_one_line(capsys, tmp_path, digits_weights):
    good = load_file(digits_weights)
    name = next(iter(good))
    nan = {n: t.clone() for n, t in good.items()}
    nan[name].view(-1)[0] = float("nan")
    cases = {"nan": nan, "shape": good | {name: good[name][:1].clone()}}
    for case, tensors in cases.items():
        save_file(tensors, tmp_path / case)
    (tmp_path / "cut").write_bytes(digits_weights.read_bytes()[:200])
    for case, words in (("nan", "NaN"), ("shape", "shape"), ("cut", "a safetensors file")):
        code, _, err = run(capsys, "simulate", *QUICK, "--weights", tmp_path / case)
        assert code == 2
        assert words in err
        assert err.count("\n") == 1


def test_fault_map_of_another_chip_gets_one_line(capsys, tmp_path):
    path = FaultMap.of(CellGeometry(arrays=99), array=98, row=0, column=0, kind="stuck_hrs").save(
        tmp_path / "map"
    )
    for command in ("simulate", "detect", "retrain"):
        code, _, err = run(capsys, command, "--images", "100", "--fault-map", path)
        assert code == 2
        assert "fault map: expected 7 arrays" in err


PROGRAM = "from xbarsim.cli.app import main; main()"


def limited(arguments, folder, size):
    """Run the program where no file may grow beyond `size` bytes: a full disk."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    command = f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {PROGRAM}"
    return subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=folder,
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache")},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_space_left_keeps_the_earlier_file(tmp_path):
    path = tmp_path / "faults.safetensors"
    earlier = FaultMap.of(CellGeometry(arrays=1), array=0, row=0, column=0, kind="stuck_hrs")
    earlier.save(path)
    done = limited(["faults", "sample", "--rate", "0.5", "--out", str(path)], tmp_path, 4096)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "a place that can be written" in done.stderr
    assert FaultMap.load(path) == earlier
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_folder_that_cannot_be_written_is_found_before_the_work(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("not a folder")

    def work(*arguments, **options):
        raise AssertionError("the work began")

    monkeypatch.setattr("xbarsim.cli.setup.build_workbench", work)
    code, _, err = run(capsys, "retrain", "--out", tmp_path / "file")
    assert code == 2
    assert "a place that can be written" in err


def test_reader_that_goes_away_ends_the_program_quietly():
    done = subprocess.run(
        f"{sys.executable} -c '{PROGRAM}' march list | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "March tests"


def test_results_do_not_hang_on_the_number_of_threads(digits_weights):
    arguments = ["simulate", *QUICK, "--weights", str(digits_weights), "--json"]
    found = []
    for threads in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            env=os.environ | {"NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(done.stdout)
    assert found[0] == found[1]


def test_terminal_without_arrows_shows_something_else(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "march", "list"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "?(w0); ?(r0,w1); ?(r1,w0)" in done.stdout


@pytest.mark.parametrize("fidelity", ["bit-serial", "analog", "parasitic"])
def test_simulate_at_other_fidelities(capsys, digits_weights, fidelity, tmp_path, monkeypatch):
    monkeypatch.setenv("XBARSIM_CACHE", str(tmp_path))
    command = ["simulate", "--weights", digits_weights, "--rate", "0.02", *QUICK]
    digital = document(capsys, *command)["results"]
    found = document(capsys, *command, "--fidelity", fidelity)["results"]
    assert [c["faults"] for c in found["chips"]] == [c["faults"] for c in digital["chips"]]
    if fidelity == "bit-serial":
        assert found["chips"] == digital["chips"]
        assert found["physics"] is None
    else:
        assert found["physics"]["device"]["name"] == "hfo2-wan"
        assert found["physics"]["seconds"] == 1
        assert found["physics"]["wires"]["word_ohm"] == (fidelity == "parasitic")
        assert found["chips"] != digital["chips"]
        assert document(capsys, *command, "--fidelity", fidelity)["results"] == found
    code, out, _ = run(capsys, *command, "--fidelity", fidelity)
    assert code == 0
    assert ("hfo2-wan cells" in out) == (fidelity in ("analog", "parasitic"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fidelity", "exact"], "fidelity: expected one of analog, bit-serial, digital, parasitic"),
        (["--device", "ideal"], "--device: expected no value with --fidelity digital"),
        (["--fidelity", "analog", "--wire-ohm", "1"], "--wire-ohm: expected no value with --fidelity analog"),
        (["--fidelity", "analog", "--device", "tin"], "device: expected one of cmo-hfox"),
        (["--fidelity", "analog", "--device", ""], "device: expected one of cmo-hfox"),
        (["--fidelity", "analog", "--device", "cmo-hfox", "--age", "inf"], "seconds: expected a finite"),
        (["--fidelity", "analog", "--age", "1e9"], "seconds: expected a finite number in 0..172800"),
        (["--fidelity", "analog", "--age", "-1"], "seconds: expected a finite number"),
        (
            ["--fidelity", "parasitic", "--wire-ohm", "-1"],
            "Wires.word_ohm: expected a finite number",
        ),
    ],
)
def test_wrong_physics_are_refused(capsys, digits_weights, options, message):
    code, out, err = run(capsys, "simulate", "--weights", digits_weights, *QUICK, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
