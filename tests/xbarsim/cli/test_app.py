"""The program as a whole: its help, one line for every mistake, and what the system does to it."""

import os
import re
import resource
import subprocess
import sys

import pytest

from tests.helpers.program import refused, run, run_well
from xbarsim import __version__
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry

PROGRAM = "from xbarsim.cli.app import main; main()"
COMMANDS = (
    "simulate", "detect", "repair", "train", "inspect", "report", "list", "demo", "faults", "march", "study", "campaign"
)  # fmt: skip
SMALL_MAP = ["faults", "sample", "--rows", "4", "--columns", "4"]


def test_help_answers_without_loading_torch_and_numba():
    code = "import sys; from xbarsim.cli.app import main\ntry: main(['--help'])\n"
    code += "finally: print({'torch', 'numba', 'matplotlib', 'numpy'} & set(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)


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
        (["simulate", "--network", "lenet6"], "--network: expected a file, file.py:function, or one of digits-mlp"),
        (["simulate", "--network", "resnet32"], "run 'xbarsim train resnet32'"),
        (["simulate", "--network", "none.py:net"], "code none.py: expected a Python file, got nothing there"),
        (["simulate", "--accelerator", "tpu"], "--accelerator: expected one of"),
        (["simulate", "--accelerator", "isaac:arrays=many"], "accelerator isaac, arrays: expected"),
        (["simulate", "--accelerator", "none.toml"], "accelerator none.toml: expected a TOML file"),
        (["simulate", "--data", "none"], "--data: expected a file, a folder, or one of"),
        (["simulate", "--cells", "dram"], "--cells: expected one of"),
        (["simulate", "--accelerator", "finn", "--cells", "puma"], "--cells: expected a ReRAM accelerator"),
        (["simulate", "--weights", "none"], "model file none: expected a file"),
        (["simulate", "--faults", "cells"], "--faults: expected one of"),
        (["simulate", "--faults", "stuck-cells"], "fault model stuck-cells: expected a value for rate, got none"),
        (["simulate", "--faults", "stuck-cells:rate=1.2"], "StuckCells.rate: expected a number in 0..1, got 1.2"),
        (["simulate", "--faults", "stuck-cells:rate=nan"], "rate: expected"),
        (["simulate", "--faults", "stuck-cells:rate=0.1,mix=salt"], "StuckCells.mix: expected"),
        (["simulate", "--faults", "single"], "single: expected the units of a FINN design"),
        (["simulate", "--faults", "none", "--fault-map", "x"], "--faults: expected a model or files, got both"),
        (["simulate", "--fault-map", "none"], "fault map none: expected a file"),
        (["simulate", "--plugin", "none.py"], "code none.py: expected a Python file, got nothing there"),
        (["simulate", "--colour", "red"], "command line: No such option"),
        (["detect", "--detectors", "x-ray"], "--detectors: expected one of adversarial"),
        (["detect", "--detectors", "adversarial:patterns=501"], "patterns: expected an integer in 1..500"),
        (["detect", "--detectors", "adversarial:epsilon=0"], "epsilon: expected a finite number above 0"),
        (["detect", "--detectors", "march:march=Foo"], "March test: expected one of"),
        (["repair", "--repairs", "kick"], "--repairs: expected one of as-it-is"),
        (["repair", "--repairs", "retrain:epochs=-1"], "Retrain.epochs: expected an integer"),
        (["repair", "--repairs", "retrain:learning_rate=0"], "Retrain.learning_rate: expected a finite number"),
        (["repair", "--repairs", "retrain:diagnosis.march=|w0; ^(r1)"], "correct the notation"),
        (["inspect", "--target-rate", "5"], "--target-rate: expected a FINN chip, got ReramChip"),
        (["inspect", "--folding", "none.json"], "--folding: expected a FINN chip"),
        (["inspect", "--protect", "3"], "--protect: expected a FINN chip, got ReramChip"),
        (["list", "colours"], "list: expected one of accelerators"),
        (["train", "nothing"], "network: expected"),
        (["march", "run", "^(r0"], "March test, element 1: expected a closed bracket"),
        (["march", "run", "--rate", "1.2"], "--rate: expected a number in 0..1, got 1.2; 1 % is written 0.01"),
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


@pytest.mark.parametrize("command", ["simulate", "detect", "repair", "inspect", "march run"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(folder, capsys, monkeypatch, command):
    (folder / "file").write_text("not a folder")

    def work(*arguments, **options):
        raise AssertionError("the work began")

    monkeypatch.setattr("xbarsim.cli.subjects.subject_of", work)
    monkeypatch.setattr("xbarsim.detection.march.chip.march_chip", work)
    assert "a place that can be written" in refused(capsys, *command.split(), "--out", "file")
    assert (folder / "file").read_text() == "not a folder"


def limited(arguments, folder, size):
    """Run the program where no file may grow beyond `size` bytes: a full disk."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, "-c", f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {PROGRAM}", *arguments],
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
    monkeypatch.setattr("xbarsim.cli.output.finish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert run(capsys, "march", "list")[0] == 130
