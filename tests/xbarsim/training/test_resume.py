"""Trainings that are interrupted go on to the same weights, and files of others are refused untouched."""

import copy
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.reram.config import accelerator
from networks.snn import Snn
from tests.helpers.trainings import data, injected, plain, recipe, stop_at
from xbarsim.errors import InputError
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.torch_bridge.injection import fault_aware, with_dropout2d
from xbarsim.training.fault_aware import AllLayers, OneLayerAnEpoch
from xbarsim.training.loop import fit, initialise
from xbarsim.training.resume import Epoch, read_history
from xbarsim.training.stochastic import StuckCellTraining


def progressive(**settings):
    stages = [StuckCells(rate=rate) for rate in (0.01, 0.05, 0.1)]
    return StuckCellTraining(stages, accelerator("isaac").array, **settings)


CASES = {
    "dropout": (plain, lambda: []),
    "fault-aware": (injected, lambda: [OneLayerAnEpoch()]),
    "progressive": (plain, lambda: [progressive(epochs_each=2)]),
    "masked": (plain, lambda: [progressive(gradient="masked")]),
    "by weight": (plain, lambda: [progressive(level="weight")]),
    "both": (injected, lambda: [AllLayers(), progressive()]),
}


def same(module, other):
    one, two = module.state_dict(), other.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_training_ends_in_the_same_weights(tmp_path, case, optimizer):
    build, methods = CASES[case]
    whole = initialise(build, 0)
    history = fit(whole, *data(), recipe(optimizer), seed=3, methods=methods())
    path = tmp_path / "training.safetensors"
    for stop in (2, 7, 18):  # in the first epoch, with no file yet; in the second; in the last
        started = initialise(build, 0)
        with pytest.raises(KeyboardInterrupt):
            fit(
                started, *data(), recipe(optimizer), seed=3, methods=methods(), resume=path,
                on_batch=stop_at(stop),
            )  # fmt: skip
        assert path.exists() == (stop > 4)
        assert not same(started, whole)
        assert not any(part.training for part in started.modules())
    resumed = initialise(build, 1)  # the file says what the weights are
    again = fit(resumed, *data(), recipe(optimizer), seed=3, methods=methods(), resume=path)
    assert same(resumed, whole)
    kept = [(e.epoch, e.loss, e.learning_rate) for e in history]
    assert [(e.epoch, e.loss, e.learning_rate) for e in again] == kept


def test_a_finished_training_is_not_done_again(tmp_path):
    path, module = tmp_path / "training.safetensors", initialise(plain, 0)
    history = fit(module, *data(), recipe(), seed=3, resume=path)
    before, other = path.read_bytes(), initialise(plain, 1)
    assert fit(other, *data(), recipe(), seed=3, resume=path, on_batch=stop_at(1)) == history
    assert same(module, other)
    assert path.read_bytes() == before


def test_random_numbers_outside_are_left_alone(tmp_path):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    fit(initialise(injected, 0), *data(), recipe(), seed=3, methods=[OneLayerAnEpoch(), progressive()])
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    found = [initialise(injected, 0) for _ in range(2)]
    for module in found:
        fit(module, *data(), recipe(), seed=3, methods=[OneLayerAnEpoch()])
        torch.rand(3)
    assert same(*found)


@pytest.mark.parametrize(
    ("build", "other"),
    [
        (lambda: Snn((72, 8, 4)), lambda: Snn((72, 8, 4), threshold=0.6)),
        (lambda: injected(), lambda: fault_aware(plain(), StuckActivations(rate=0.1))),
        (lambda: with_dropout2d(plain(), 0.1), lambda: with_dropout2d(plain(), 0.2)),
    ],
    ids=["threshold", "rate", "dropout"],
)
def test_a_network_of_other_settings_does_not_go_on(tmp_path, build, other):
    images, labels = data()
    shown = images.clip(0, 1), labels
    path, short = tmp_path / "training", recipe(epochs=1)
    trained = initialise(build, 0)
    fit(trained, *shown, short, seed=3, resume=path)
    before, module, untrained = path.read_bytes(), initialise(other, 1), initialise(other, 1)
    with pytest.raises(InputError, match="layers with the settings of this network"):
        fit(module, *shown, short, seed=3, resume=path)
    assert same(module, untrained)
    assert path.read_bytes() == before
    again = initialise(build, 1)
    fit(again, *shown, short, seed=3, resume=path)
    assert same(again, trained)


CHILD = """
import time
from tests.xbarsim.training.test_resume import data, fit, initialise, injected, methods_of_the_child, recipe
def wait(done, total, loss):
    if done == 11:
        print("in the third epoch", flush=True)
        time.sleep(60)
fit(initialise(injected, 0), *data(), recipe(), seed=3, methods=methods_of_the_child(), resume={path!r},
    on_batch=wait)
"""


def methods_of_the_child():
    return [OneLayerAnEpoch(), progressive()]


def test_a_killed_process_loses_one_epoch_at_most(tmp_path):
    path = tmp_path / "training.safetensors"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(path=str(path))],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "in the third epoch\n"
        child.kill()
    assert child.returncode == -signal.SIGKILL
    done = []
    resumed, whole = initialise(injected, 0), initialise(injected, 0)
    fit(
        resumed, *data(), recipe(), seed=3, methods=methods_of_the_child(), resume=path,
        on_batch=lambda *progress: done.append(progress[0]),
    )  # fmt: skip
    assert done == list(range(9, 21))
    fit(whole, *data(), recipe(), seed=3, methods=methods_of_the_child())
    assert same(resumed, whole)
    assert [file.name for file in tmp_path.iterdir()] == ["training.safetensors"]


class Spoil(AllLayers):
    """Makes a parameter infinite in an epoch, as a diverging training does."""

    def __init__(self, epoch):
        self.epoch = epoch

    def before_epoch(self, module, epoch, rng):
        """Once."""
        if epoch == self.epoch:
            with torch.no_grad():
                next(module.parameters()).fill_(float("inf"))


def test_a_loss_that_is_not_finite_leaves_the_last_good_epoch(tmp_path):
    path = tmp_path / "training.safetensors"
    module = initialise(plain, 0)
    kept = []
    with pytest.raises(InputError, match=r"training loss: expected a finite number, got nan; lower") as error:
        fit(
            module, *data(), recipe(), seed=3, methods=[Spoil(2)], resume=path,
            on_epoch=lambda history: kept.append((len(history), path.read_bytes())),
        )  # fmt: skip
    assert "\n" not in str(error.value)
    assert [count for count, _ in kept] == [1, 2]
    assert path.read_bytes() == kept[-1][1]
    resumed, whole = initialise(plain, 0), initialise(plain, 0)
    fit(resumed, *data(), recipe(), seed=3, methods=[Spoil(99)], resume=path)
    fit(whole, *data(), recipe(), seed=3)
    assert same(resumed, whole)


def test_images_that_are_not_finite_end_the_first_epoch_without_a_file(tmp_path):
    images, labels = data()
    images[13] = np.nan
    path = tmp_path / "training.safetensors"
    with pytest.raises(InputError, match="training loss"):
        fit(tiny(), images, labels, recipe(), seed=3, resume=path)
    assert list(tmp_path.iterdir()) == []


def tiny():
    return initialise(lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 4)), 0)


def deeper():
    return nn.Sequential(*plain(), nn.Linear(4, 4))


def wider():
    layers = list(plain())
    layers[5], layers[8] = nn.Linear(16, 9), nn.Linear(9, 4)
    return nn.Sequential(*layers)


OTHERS = {
    "deeper network": {"build": deeper},
    "wider network": {"build": wider},
    "double precision": {"build": lambda: plain().double()},
    "no network at all": {"build": lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 4))},
    "learning rate": {"recipe": recipe(learning_rate=0.02)},
    "epochs": {"recipe": recipe(epochs=9)},
    "optimizer": {"recipe": recipe("sgd")},
    "loss": {"recipe": recipe(loss="squared-hinge")},
    "seed": {"seed": 4},
    "no methods": {"methods": []},
    "stages": {"methods": [StuckCellTraining(StuckCells(rate=0.02), accelerator("isaac").array)]},
    "epochs each": {"methods": [progressive(epochs_each=2)]},
    "gradient": {"methods": [progressive(gradient="masked")]},
    "level": {"methods": [progressive(level="weight")]},
    "cells": {"methods": [StuckCellTraining(progressive().stages, accelerator("isaac-slc").array)]},
    "encoding": {"methods": [StuckCellTraining(progressive().stages, accelerator("differential").array)]},
    "rows": {
        "methods": [StuckCellTraining(progressive().stages, replace(accelerator("isaac").array, rows=64))]
    },
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The file of a training of one epoch of five."""
    path = tmp_path_factory.mktemp("training") / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(
            initialise(plain, 0), *data(), recipe(), seed=3, methods=[progressive()], resume=path,
            on_batch=stop_at(5),
        )  # fmt: skip
    return path.read_bytes()


def assert_refused(path, words, *, build=plain, recipe=recipe(), seed=3, methods=None):  # noqa: B008
    before, module = path.read_bytes(), initialise(build, 1)
    state = copy.deepcopy(module.state_dict())
    methods = [progressive()] if methods is None else methods
    with pytest.raises(InputError, match=words) as error:
        fit(module, *data(), recipe, seed=seed, methods=methods, resume=path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value) and "remove it to start anew" in str(error.value)
    assert path.read_bytes() == before
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("other", OTHERS)
def test_a_file_of_another_training_is_refused_and_stays(tmp_path, written, other):
    path = tmp_path / "training.safetensors"
    path.write_bytes(written)
    assert_refused(path, f"training {path}", **OTHERS[other])


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 100, 0.5, 0.99, -1])
def test_a_truncated_file_is_refused_and_stays(tmp_path, written, kept):
    path = tmp_path / "training.safetensors"
    path.write_bytes(written[: int(kept * len(written)) if 0 < kept < 1 else kept])
    assert_refused(path, "expected a training's state")


@pytest.mark.parametrize(
    "content", [b"", b"garbage\n" * 50, b"\x00" * 64, b"\xff" * 64, b"PK\x03\x04" + b"x" * 100]
)
def test_garbage_is_refused_and_stays(tmp_path, content):
    path = tmp_path / "training.safetensors"
    path.write_bytes(content)
    assert_refused(path, "expected a training's state")


def test_weights_alone_are_not_a_training(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    for words in (None, {"history": "[]"}, {"history": "3"}, {"history": '[{"epoch": 1}]'}, {"history": "{"}):
        save_file({"weight": torch.ones(3)}, path, metadata=words)
        assert_refused(path, "training ")


def test_a_folder_is_no_training(tmp_path):
    with pytest.raises(InputError, match="expected a training's state"):
        fit(tiny(), *data(), recipe(), seed=3, resume=tmp_path)


def test_epochs_are_read_from_a_file_without_its_network(tmp_path):
    path = tmp_path / "training.safetensors"
    history = fit(initialise(plain, 0), *data(), recipe(), seed=3, resume=path)
    assert read_history(path, Epoch) == history
    path.write_bytes(b"none")
    with pytest.raises(InputError, match="expected a training's state"):
        read_history(path, Epoch)
