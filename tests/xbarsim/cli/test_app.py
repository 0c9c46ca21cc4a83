"""The program as a whole: its help, one line for every mistake, and what the system does to it."""

import os
import re
import resource
import subprocess
import sys
import warnings

import pytest

from tests.helpers.program import refused, run, run_well
from tests.helpers.workloads import Chips
from xbarsim import __version__
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.task import Task
from xbarsim.cli.app import _warnings_in_a_line
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry

PROGRAM = "from xbarsim.cli.app import main; main()"
COMMANDS = (
    "simulate",
    "detect",
    "repair",
    "train",
    "inspect",
    "report",
    "list",
    "demo",
    "faults",
    "march",
    "study",
    "campaign",
)
SMALL_MAP = ["faults", "sample", "--rows", "4", "--columns", "4"]


def test_help_answers_without_loading_torch_and_numba():
    code = "import sys; from xbarsim.cli.app import main\ntry: main(['--help'])\n"
    code += "finally: print({'torch', 'numba', 'matplotlib', 'numpy'} & set(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)


def test_warnings_are_one_line_of_what_they_say():
    before = warnings.formatwarning
    with _warnings_in_a_line():
        assert warnings.formatwarning(UserWarning("few\ninputs"), UserWarning, "a.py", 3) == (
            "xbarsim: few inputs\n"
        )
    assert warnings.formatwarning is before


def test_a_program_without_a_command_shows_its_help(capsys):
    assert "Usage: xbarsim" in run_well(capsys)
    assert run_well(capsys, "--version") == f"{__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(capsys, command):
    assert f"Usage: xbarsim {command}" in run_well(capsys, command, "--help")


def test_earlier_names_still_answer_and_are_not_shown(capsys):
    assert "digits-mlp" in run_well(capsys, "networks") and "isaac" in run_well(capsys, "accelerators")
    assert "Usage: xbarsim retrain" in run_well(capsys, "retrain", "--help")
    assert not re.search(r"^  (retrain|networks|accelerators) ", run_well(capsys, "--help"), re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["simulate", "--rate", "1"], "command line: No such option: --rate"),
        (["simulate", "--chips", "many"], "command line: Invalid value for '--chips'"),
        (["simulate", "--chips", "0"], "--chips: expected an integer"),
        (["simulate", "--images", "0"], "--images: expected an integer"),
        (["simulate", "--seed", "-1"], "--seed: expected an integer"),
        (["simulate", "--seed", str(2**64)], "--seed: expected an integer"),
        (["simulate", "--workers", "0"], "--workers: expected an integer"),
        (
            ["simulate", "--network", "lenet6"],
            "--network: expected a file, file.py:function, or one of digits-mlp",
        ),
        (["simulate", "--network", "resnet32"], "train it with 'xbarsim train resnet32'"),
        (["simulate", "--network", "none.py:net"], "code none.py: expected a Python file, got nothing there"),
        (["simulate", "--accelerator", "tpu"], "--accelerator: expected one of"),
        (["simulate", "--accelerator", "isaac:arrays=many"], "accelerator isaac, arrays: expected"),
        (["simulate", "--accelerator", "none.toml"], "accelerator none.toml: expected a TOML file"),
        (["simulate", "--data", "none"], "--data: expected a file, a folder, or one of"),
        (["simulate", "--cells", "dram"], "--cells: expected one of"),
        (["simulate", "--accelerator", "finn", "--cells", "puma"], "--cells: expected a ReRAM accelerator"),
        (["simulate", "--weights", "none"], "model file none: expected a file"),
        (["simulate", "--faults", "cells"], "--faults: expected one of"),
        (
            ["simulate", "--faults", "stuck-cells"],
            "fault model stuck-cells: expected a value for rate, got none",
        ),
        (
            ["simulate", "--faults", "stuck-cells:rate=1.2"],
            "StuckCells.rate: expected a number in 0..1, got 1.2",
        ),
        (["simulate", "--faults", "stuck-cells:rate=nan"], "rate: expected"),
        (["simulate", "--faults", "stuck-cells:rate=0.1,mix=salt"], "StuckCells.mix: expected"),
        (["simulate", "--faults", "single"], "single: expected the units of a FINN design"),
        (
            ["simulate", "--faults", "none", "--fault-map", "x"],
            "--faults: expected a model or files, got both",
        ),
        (["simulate", "--fault-map", "none"], "fault map none: expected a file"),
        (["simulate", "--plugin", "none.py"], "code none.py: expected a Python file, got nothing there"),
        (["simulate", "--colour", "red"], "command line: No such option"),
        (["detect", "--detectors", "x-ray"], "--detectors: expected one of adversarial"),
        (["detect", "--detectors", "adversarial:patterns=501"], "patterns: expected an integer in 1..500"),
        (["detect", "--detectors", "adversarial:epsilon=0"], "epsilon: expected a finite number above 0"),
        (["detect", "--detectors", "march:march=Foo"], "March test: expected one of"),
        (["repair", "--repairs", "kick"], "--repairs: expected one of as-it-is"),
        (["repair", "--repairs", "retrain:epochs=-1"], "Retrain.epochs: expected an integer"),
        (
            ["repair", "--repairs", "retrain:learning_rate=0"],
            "Retrain.learning_rate: expected a finite number",
        ),
        (["repair", "--repairs", "retrain:diagnosis.march=|w0; ^(r1)"], "correct the notation"),
        (["inspect", "--target-rate", "5"], "--target-rate: expected a FINN chip, got ReramChip"),
        (["inspect", "--folding", "none.json"], "--folding: expected a FINN chip"),
        (["inspect", "--protect", "3"], "--protect: expected a FINN chip, got ReramChip"),
        (["list", "colours"], "list: expected one of accelerators"),
        (["train", "nothing"], "network: expected"),
        (["march", "run", "^(r0"], "March test, element 1: expected a closed bracket"),
        (
            ["march", "run", "--rate", "1.2"],
            "--rate: expected a number in 0..1, got 1.2; 1 % is written 0.01",
        ),
        (["march", "run", "--mix", "salt"], "--mix: expected one of"),
        (["march", "run", "--inject", "<0w1/0/->@0,128,0"], "--inject: expected PRIMITIVE"),
        (["march", "run", "--inject", "<0w1/0/->"], "--inject: expected PRIMITIVE"),
        (["march", "run", "--inject", "broken@0,0,0"], "fault primitive: expected <S/F/R>"),
        (["march", "run", "--levels", "3"], "--levels: expected 2, 4, 8 or 16"),
        (["march", "coverage", "|w3; ^(r3,w0,r0)"], "levels 0 and 1, for binary coverage"),
        ([*SMALL_MAP, "--faults", "faulty-count:count=17"], "count: expected an integer in 0..16"),
        ([*SMALL_MAP, "--arrays", "0"], "--arrays: expected an integer in 1.."),
        ([*SMALL_MAP, "--merge", "none"], "fault map none"),
        (["faults", "show", "none"], "fault map none"),
        (["faults", "draw", "none"], "fault map none"),
        (["demo", "--chips", "0"], "--chips: expected an integer"),
        (["report", "none.db"], "none.db: expected a campaign's store, got no such file"),
        (["campaign", "plan", "none.toml"], "none.toml: expected a campaign file"),
        (["campaign", "status", "none.db"], "no such file"),
        (["study", "conquer"], "command line: No such command 'conquer'"),
        (["faults"], "command line: Missing command"),
        (["conquer"], "command line: No such command 'conquer'"),
    ],
    ids=lambda v: " ".join(v)[:60] if isinstance(v, list) else "",
)
def test_mistakes_get_one_line_that_names_the_option_and_code_2(capsys, folder, arguments, words):
    assert words in refused(capsys, *arguments)
    assert not list(folder.iterdir()) or arguments[0] == "demo"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["faults", "sample", "-a", "isaac"], "--accelerator: expected none without --network, got 'isaac'"),
        (["faults", "sample", "-n", "lenet", "--arrays", "1"], "--arrays: expected none beside --network"),
        (["faults", "sample", "-n", "lenet", "--levels", "4"], "--levels: expected none beside --network"),
        (["march", "run", "-f", "map", "--rate", "0.1"], "--rate: expected none beside a fault map"),
        (["march", "run", "-f", "map", "--mix", "even"], "--mix: expected none beside a fault map"),
        (["march", "run", "-f", "map", "--rows", "128"], "--rows: expected none beside a fault map"),
        (["simulate", "--device", "pcm"], "--device: expected none with fidelity digital"),
        (["detect", "--age", "9"], "--age: expected none with fidelity digital"),
        (["repair", "--fidelity", "analog", "--wire-ohm", "2"], "--wire-ohm: expected none with fidelity"),
        (["simulate", "-n", "lfc-w1a1", "-a", "finn", "--cells", "puma"], "--cells: expected a ReRAM"),
        (["inspect", "--folding", "f.json"], "--folding: expected a FINN chip"),
        (["inspect", "--target-rate", "100"], "--target-rate: expected a FINN chip"),
        (["inspect", "--protect", "2"], "--protect: expected a FINN chip"),
        (["train", "digits-mlp", "-a", "isaac"], "--accelerator: expected method one-shot or progressive"),
        (["train", "digits-mlp", "--norm-epochs", "1"], "--norm-epochs: expected method one-shot"),
        (["train", "digits-mlp", "-f", "stuck-cells:rate=0.1"], "none with method plain"),
        (["train", "digits-mlp", "--log", "digits-mlp.safetensors"], "--log: expected a file of its own"),
        (["train", "digits-mlp", "--log", "digits-mlp.safetensors.training"], "--log: expected a file of"),
        (["study", "stochastic-table1", "--board", "b"], "--board: expected none with stochastic-table1"),
    ],
    ids=lambda v: " ".join(v)[:60] if isinstance(v, list) else "",
)
def test_options_that_nothing_would_use_are_refused(capsys, folder, arguments, words):
    assert words in refused(capsys, *arguments)
    assert not list(folder.iterdir())


def outputs():
    """Commands with an output that cannot be written: a folder for a file, a file for a folder, a device."""
    (folder, file, device) = "folder.safetensors", "file", "/dev/null"
    for command in ("simulate", "detect", "repair", "inspect", "march run", "demo"):
        yield [*command.split(), "--out", file]
    for place in (folder, device, "file/store.db"):
        for command in ("simulate", "detect", "repair", "campaign run c.toml"):
            yield [*command.split(), "--store", place]
        yield ["campaign", "export", "made.db", f"{place}.csv" if "file" in place else "folder.csv"]
        yield ["faults", "sample", "-n", "digits-mlp", "--out", place]
        yield ["study", "fat-table1", "-b", "smoke", "--networks", "n", "--store", place]
        yield ["report", "made.db", "--out", place]
        yield ["train", "digits-mlp", "--log", place]
    for place in (folder, "null.safetensors", "file/t.safetensors"):
        yield ["train", "digits-mlp", "--out", place]
    yield ["train", "digits-mlp", "--tensorboard", file]
    yield ["report", "made.db", "--figures", file]
    yield ["report", "made.db", "--figures", "f", "--out", folder]
    yield ["faults", "draw", "map.safetensors", "--out", "folder.png"]


@pytest.mark.parametrize("arguments", list(outputs()), ids=" ".join)
def test_outputs_are_tried_before_the_work(folder, capsys, monkeypatch, arguments):
    def work(*arguments, **options):
        raise AssertionError("the work began")

    for name in ("folder", "folder.safetensors", "folder.csv", "folder.png"):
        (folder / name).mkdir()
    (folder / "file").write_text("no folder")
    (folder / "null.safetensors").symlink_to("/dev/null")
    (folder / "c.toml").write_text(
        'name = "c"\ntrials = 1\nnetworks = ["digits-mlp"]\naccelerators = ["isaac"]\n'
        '[[faults]]\nname = "stuck-cells"\nrate = 0.1\n'
    )
    collect([Task(workload=Chips(), trials=1)], folder / "made.db")
    before = sorted(folder.rglob("*"))
    for place in (
        "xbarsim.cli.subjects.subject_of",
        "xbarsim.detection.march.chip.march_chip",
        "xbarsim.experiments.campaign_file.plan",
        "xbarsim.experiments.collecting.collect",
        "xbarsim.experiments.references.data_of",
        "xbarsim.faults.trials.faults_of",
        "xbarsim.faults.cell_map.FaultMap.load",
        "xbarsim.campaigns.exchange.frames",
        "xbarsim.report.page.figures",
    ):
        monkeypatch.setattr(place, work)
    err = refused(capsys, *arguments)
    assert "a place that can be written" in err or "TensorBoard" in err
    made = {path.name for path in folder.rglob("*")} - {path.name for path in before}
    assert made <= {"n", "f", "made.db-wal", "made.db-shm"}, made  # folders for what else is written


def limited(arguments, folder, size):
    """Run the program where no file may grow beyond `size` bytes: a full disk."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [
            sys.executable,
            "-c",
            f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {PROGRAM}",
            *arguments,
        ],
        cwd=folder,
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache")},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_space_left_keeps_the_earlier_file(folder):
    path = folder / "faults.safetensors"
    earlier = FaultMap.of(CellGeometry(arrays=1), array=0, row=0, column=0, kind="stuck_hrs")
    earlier.save(path)
    done = limited(["faults", "sample", "--faults", "stuck-cells:rate=0.5", "--out", str(path)], folder, 4096)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "a place that can be written" in done.stderr
    assert FaultMap.load(path) == earlier
    assert [p.name for p in folder.iterdir()] == [path.name]


def test_a_reader_that_goes_away_ends_the_program_quietly():
    done = subprocess.run(
        f"{sys.executable} -c '{PROGRAM}' march list | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "" and done.stdout.strip() == "March tests"


def test_a_closed_output_is_no_mistake():
    command = ["sh", "-c", f'{sys.executable} -c "{PROGRAM}" list data >&-']
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


def test_a_terminal_without_arrows_shows_something_else():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "march", "list"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "?(w0); ?(r0,w1); ?(r1,w0)" in done.stdout


def test_what_goes_wrong_in_the_system_is_one_line_too(capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xbarsim.cli.output.finish", full)
    assert "system: expected to go on, got OSError" in refused(capsys, "march", "list")
    monkeypatch.setattr(
        "xbarsim.cli.output.finish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt())
    )
    assert run(capsys, "march", "list")[0] == 130
