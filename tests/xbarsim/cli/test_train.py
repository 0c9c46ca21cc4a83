"""`xbarsim train` from outside: checkpoints, records, and one line before the training for every mistake."""

import json

import numpy as np
import pytest

from networks.checkpoints import load_checkpoint, read_metadata, save_checkpoint
from networks.datasets import load_dataset
from networks.mlp import digits_mlp
from networks.zoo import zoo_path
from xbarsim.cli.app import main
from xbarsim.experiments import trainings
from xbarsim.registry import fault_models
from xbarsim.training.loop import accuracy, initialise

SMALL = ["--train-images", "100", "--images", "50", "--epochs", "2"]
MINE = """\
from torch import nn
from networks.datasets import load_dataset
from xbarsim.torch_bridge.quantized import QuantActivation, QuantLinear


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def quantized():
    hidden = (QuantLinear(64, 16, weight_bits=1), nn.BatchNorm1d(16), QuantActivation(1))
    return nn.Sequential(nn.Flatten(), *hidden, QuantLinear(16, 10, weight_bits=1))


def data():
    return {part: load_dataset("digits", part) for part in ("train", "test")}


def test_only():
    return load_dataset("digits", "test")
"""

PLUGIN = """\
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.registry import fault_models


@fault_models.register("worn-cells")
def worn_cells():
    return StuckCells(rate=0.03, mix="lrs")
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The name of a file with networks and data, in the working folder."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return "mine.py"


def run(capsys, *arguments):
    """Exit code, standard output and standard error of `xbarsim train`, in this process."""
    with pytest.raises(SystemExit) as ended:
        main(["train", *map(str, arguments)])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def results(capsys, *arguments):
    code, out, err = run(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)["results"]


def test_a_checkpoint_is_written_and_says_what_it_is(capsys, tmp_path):
    path = tmp_path / "new/weights.safetensors"
    found = results(capsys, "digits-mlp", "--epochs", "2", "--seed", "1", "--out", path)
    assert [epoch["epoch"] for epoch in found["history"]] == [1, 2]
    module = digits_mlp()
    assert load_checkpoint(path, module) == found["about"]
    test = load_dataset("digits", "test")
    assert accuracy(module, test.images, test.labels) == (found["hits"], found["shots"])
    assert found["hits"] > 300 and found["about"]["network"] == "digits-mlp"
    assert [file.name for file in path.parent.iterdir()] == ["weights.safetensors"]  # and no state


def test_a_training_is_told_in_a_table(capsys, mine):
    code, out, err = run(capsys, "digits-mlp", *SMALL)
    assert (code, err) == (0, "")
    assert out.startswith("digits-mlp, plain, seed 0") and "Wrote digits-mlp.safetensors" in out


def test_the_same_command_gives_the_same_weights(capsys, tmp_path):
    files = [tmp_path / f"{n}.safetensors" for n in range(3)]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        results(capsys, "digits-mlp", *SMALL, "--method", "one-shot", "--seed", seed, "--out", file)
    weights = []
    for file in files:
        module = digits_mlp()
        load_checkpoint(file, module)
        weights.append(np.concatenate([p.detach().numpy().ravel() for p in module.parameters()]))
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])


def test_progressive_training_against_stuck_cells_gives_the_known_counts(capsys, tmp_path):
    """The counts of the first version, which took rates."""
    faults = ["--faults", "stuck-cells:rate=0.005", "--faults", "stuck-cells:rate=0.02"]
    options = ["--epochs", "2", "--method", "progressive", "--seed", "1", "--out", tmp_path / "w.safetensors"]
    found = results(capsys, "digits-mlp", *faults, *options)
    assert abs(found["hits"] - 360) <= 5  # other processors round otherwise
    assert found["about"]["faults"] == "0.5 % stuck, measured; 2 % stuck, measured"


def test_a_training_against_stuck_cells_says_how_it_was_done(capsys, tmp_path):
    options = [
        "--method",
        "one-shot",
        "--norm-epochs",
        "1",
        "--clip-norm",
        "0.5",
        "--accelerator",
        "isaac-slc",
    ]
    about = results(capsys, "digits-mlp", *SMALL, *options, "--out", tmp_path / "w.safetensors")["about"]
    assert about["norm epochs"] == "1" and "clip_norm=0.5" in about["recipe"]
    assert about["faults"] == "1 % stuck, measured" and about["accelerator"] == "isaac-slc"
    assert about["data"].startswith("digits, 100 images")


@pytest.mark.parametrize(
    ("method", "faults", "words"),
    [
        ("fat-1", None, "1.5 % stuck channels"),
        ("fat-2", "stuck-activations:rate=0.1,unit=pixel", "10 % stuck pixels"),
        ("dropout2d", "stuck-activations:rate=0.2", "20 % stuck channels"),
    ],
)
def test_a_quantized_network_of_ones_own_is_trained_against_errors(capsys, mine, method, faults, words):
    more = [] if faults is None else ["--faults", faults]
    options = [*SMALL, "--method", method, *more, "--learning-rate", "0.01"]
    about = results(capsys, f"{mine}:quantized", "--data", "digits", *options)["about"]
    assert (about["network"], about["method"], about["faults"]) == ("mine.py:quantized", method, words)
    assert about == read_metadata("quantized.safetensors")
    assert "learning_rate=0.01" in about["recipe"]


def test_a_network_and_data_of_ones_own_train_from_a_checkpoint(capsys, mine):
    words = [f"{mine}:net", "--data", f"{mine}:data"]
    first = results(capsys, *words, "--epochs", "1", "--out", "a.safetensors")
    assert "epochs=1 batch_size=64 learning_rate=0.001 optimizer=adam" in first["about"]["recipe"]
    for option in ("--weights", "--from"):
        again = results(
            capsys, *words, "--epochs", "0", option, "a.safetensors", "--seed", "5", "-o", "b.safetensors"
        )
        assert again["hits"] == first["hits"] and again["history"] == []


def test_an_archive_is_data(capsys, mine):
    data = {part: load_dataset("digits", part, limit=60) for part in ("train", "test")}
    np.savez(
        "mine.npz",
        **{f"x_{p}": d.images for p, d in data.items()},
        **{f"y_{p}": d.labels for p, d in data.items()},
    )
    found = results(capsys, "digits-mlp", "--data", "mine.npz", "--epochs", "1")
    assert found["shots"] == 60 and found["about"]["data"].startswith("mine, 60 images")


def test_a_plug_in_brings_a_fault_model(capsys, mine, tmp_path, monkeypatch):
    monkeypatch.setattr(fault_models, "_added", {})  # for this test
    (tmp_path / "plugin.py").write_text(PLUGIN)
    options = [*SMALL, "--method", "one-shot", "--plugin", "plugin.py", "--faults", "worn-cells"]
    assert results(capsys, "digits-mlp", *options)["about"]["faults"] == "3 % stuck, lrs"


def test_logs_are_written(capsys, mine):
    results(capsys, "digits-mlp", *SMALL, "--log", "log.csv")
    with open("log.csv") as file:
        assert [line.split(",")[0] for line in file] == ["epoch", "1", "2"]


def test_a_stopped_training_goes_on(capsys, mine, monkeypatch):
    whole = results(capsys, "digits-mlp", *SMALL, "--out", "whole.safetensors")

    def full(*arguments):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("networks.checkpoints.save_checkpoint", full)
        assert run(capsys, "digits-mlp", *SMALL, "--out", "a.safetensors")[0] == 2
    state = mine.replace("mine.py", "a.safetensors.training")
    with open(state, "rb") as file:
        assert file.read()
    with monkeypatch.context() as patch:
        patch.setattr("xbarsim.training.loop._epoch", full)  # nothing is trained again
        again = results(capsys, "digits-mlp", *SMALL, "--out", "a.safetensors")
    assert again["hits"] == whole["hits"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "network: expected file.py:function, or one of digits-mlp"),
        (["digits-mlp", "--method", "magic"], "method: expected one of dropout2d, fat-1"),
        (["digits-mlp", "--method", "fat-1"], "method: expected plain, one-shot, progressive for digits-mlp"),
        (
            ["mine.py:quantized", "-d", "digits", "-m", "one-shot", "--epochs", "1"],
            "expected plain, fat-1, fat-2",
        ),
        (["digits-mlp", "--faults", "stuck-cells:rate=0.1"], "stages: expected none with method plain"),
        (["digits-mlp", "-m", "one-shot", "-f", "stuck-activations:rate=0.1"], "stages: expected StuckCells"),
        (["digits-mlp", "-m", "one-shot", "-f", "stuck-cells"], "expected a value for rate, got none"),
        (["digits-mlp", "-m", "one-shot", "-f", "stuck-cells:rate=2"], "rate: expected a number in 0..1"),
        (["digits-mlp", "-m", "one-shot", "-f", "salt"], "--faults: expected one of"),
        (["digits-mlp", "-m", "one-shot", "-a", "finn"], "accelerator: expected a ReRAM one"),
        (["digits-mlp", "--accelerator", "isaac"], "accelerator: expected method one-shot or progressive"),
        (
            ["digits-mlp", "--norm-epochs", "1"],
            "--norm-epochs: expected method one-shot or progressive beside it",
        ),
        (["digits-mlp", "--rates", "0.1"], "command line: No such option"),
        (["digits-mlp", "--unit", "pixel"], "command line: No such option"),
        (["digits-mlp", "--mix", "lrs"], "command line: No such option"),
        (["digits-mlp", "--seed", "9" * 20], "seed: expected an integer"),
        (["digits-mlp", "--epochs", "-1"], "epochs: expected an integer"),
        (["digits-mlp", "--augment", "spin"], "augment: expected one of"),
        (["digits-mlp", "--precision", "int4"], "precision: expected one of"),
        (["digits-mlp", "--device", "abacus"], "device: expected cpu, or cuda or mps"),
        (["digits-mlp", "--train-images", "0"], "--train-images: expected an integer"),
        (["digits-mlp", "--weights", "none.safetensors"], "a file that can be read, got No such file"),
        (["digits-mlp", "--from", str(zoo_path("lenet"))], "expected the weights of a Mlp"),
        (["digits-mlp", "--data", "imagenet"], "data: expected a file, a folder, or one of digits"),
        (
            ["digits-mlp", "--data", "mine.py:test_only"],
            "expected a training part beside the test part, got none",
        ),
        (["lenet", "--data", "digits"], "network lenet: expected one that takes inputs of shape (1, 8, 8)"),
        (["mine.py:net", "--epochs", "1"], "network mine.py:net: expected its data, got none"),
        (["mine.py:net", "--data", "digits"], "network mine.py:net: expected a number of epochs, got none"),
        (["mine.py:none", "--data", "digits", "--epochs", "1"], "expected a torch module named 'none'"),
        (["digits-mlp", "--plugin", "none.py"], "code none.py: expected a Python file, got nothing there"),
        (["digits-mlp", "--out", ""], "a name that ends in .safetensors"),
        (["digits-mlp", "--out", "."], "a name that ends in .safetensors"),
        (["digits-mlp", "--out", "w.pt"], "a name that ends in .safetensors"),
        (
            ["digits-mlp", "--out", "folder.safetensors"],
            "a place that can be written, got not a regular file",
        ),
        (["digits-mlp", "--out", "mine.py/w.safetensors"], "a place that can be written"),
        (["digits-mlp", "--out", "a" * 300 + ".safetensors"], "a place that can be written"),
        (["digits-mlp", "--out", "a" * 240 + ".safetensors"], "a place that can be written"),  # nor its state
        (["digits-mlp", "--log", "folder.safetensors"], "a place that can be written"),
    ],
    ids=lambda v: " ".join(v)[:60] if isinstance(v, list) else None,
)
def test_mistakes_get_one_line_before_the_training(capsys, tmp_path, mine, monkeypatch, arguments, words):
    (tmp_path / "folder.safetensors").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())

    def work(*given, **options):
        raise AssertionError("the training began")

    monkeypatch.setattr(trainings, "fit", work)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("xbarsim: ") and err.count("\n") == 1 and words in err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == before


def test_a_checkpoint_of_early_versions_is_a_start(capsys, tmp_path):
    """Records of the first version have 'rates' and 'unit'; those of the zoo are such."""
    about = {"network": "digits-mlp", "method": "one-shot", "rates": "0.01", "unit": "channel"}
    path = save_checkpoint(tmp_path / "old.safetensors", initialise(digits_mlp, 3), about)
    found = results(
        capsys, "digits-mlp", "--epochs", "0", "--from", path, "--out", tmp_path / "new.safetensors"
    )
    assert "rates" not in found["about"] and found["about"]["method"] == "plain"
