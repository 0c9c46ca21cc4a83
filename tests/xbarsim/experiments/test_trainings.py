"""Trainings by name: which faults a method takes, what is trained, what the record says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.finn.config import FinnConfig
from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import isaac, isaac_slc
from networks.catalogue import networks
from networks.checkpoints import save_checkpoint
from networks.datasets import load_dataset
from networks.snn import Snn
from xbarsim.data import Dataset
from xbarsim.errors import InputError
from xbarsim.experiments.references import Trainee, trainee_of
from xbarsim.experiments.trainings import (
    METHODS,
    ON_ACTIVATIONS,
    ON_CELLS,
    FaultTolerance,
    data_hash,
    train_network,
)
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.models import FaultyNeurons
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.torch_bridge.finn_export import is_quantized
from xbarsim.torch_bridge.injection import ChannelDropout, injections
from xbarsim.torch_bridge.quantized import QuantActivation, QuantLinear
from xbarsim.training.recipe import Recipe
from xbarsim.training.stochastic import StuckCellTraining

CELLS, CHANNELS = StuckCells(rate=0.1), StuckActivations(rate=0.1)
RECIPE = Recipe(epochs=4, batch_size=32)


def quantized():
    hidden = (QuantLinear(64, 16, weight_bits=1), nn.BatchNorm1d(16), QuantActivation(1))
    return nn.Sequential(nn.Flatten(), *hidden, QuantLinear(16, 10, weight_bits=1))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_faults_of_its_own(method):
    stages = FaultTolerance(method=method).chosen_stages
    wanted = StuckActivations if method in ON_ACTIVATIONS else StuckCells
    assert all(isinstance(stage, wanted) for stage in stages)
    rates = {
        "plain": [], "fat-1": [0.015], "fat-2": [0.05], "dropout2d": [0.015], "one-shot": [0.01],
        "progressive": [0.005, 0.01],
    }  # fmt: skip
    assert [stage.rate for stage in stages] == rates[method]
    assert all(stage.mix == "measured" for stage in stages if isinstance(stage, StuckCells))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "magic"}, "method: expected one of dropout2d, fat-1"),
        ({"stages": (CELLS,)}, "stages: expected none with method plain, got 10 % stuck cells, measured"),
        (
            {"method": "fat-1", "stages": (CELLS,)},
            "stages: expected StuckActivations for fat-1, got StuckCells",
        ),
        ({"method": "one-shot", "stages": (CHANNELS,)}, "stages: expected StuckCells for one-shot"),
        ({"method": "progressive", "stages": (CELLS, FaultyNeurons())}, "stages: .* got FaultyNeurons"),
        ({"method": "one-shot", "stages": (CELLS, CELLS)}, "stages: expected one fault model for one-shot"),
        ({"method": "fat-2", "stages": (CHANNELS, CHANNELS)}, "stages: expected one fault model for fat-2"),
        (
            {"method": "dropout2d", "stages": (StuckActivations(rate=0.1, unit="pixel"),)},
            "stages: expected stuck channels for dropout2d, got 10 % stuck pixels",
        ),
        ({"norm_epochs": 1}, "norm_epochs: expected method one-shot or progressive beside it, got plain"),
        ({"method": "fat-1", "accelerator": isaac()}, "accelerator: expected method one-shot or progressive"),
        (
            {"method": "one-shot", "accelerator": FinnConfig()},
            "accelerator: expected a ReRAM one for one-shot",
        ),
    ],
)
def test_settings_that_nothing_uses_are_refused_by_their_field(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        FaultTolerance(**settings)
    assert "--" not in str(caught.value)


def test_stuck_cells_are_those_of_the_accelerator():
    tolerance = FaultTolerance(method="one-shot", stages=(CELLS,), norm_epochs=2)
    assert tolerance.array == isaac().array
    assert replace(tolerance, accelerator=isaac_slc()).array == isaac_slc().array
    assert replace(tolerance, accelerator=AnalogConfig(base="isaac-slc")).array == isaac_slc().array


def test_stages_share_the_epochs():
    tolerance = FaultTolerance(method="progressive", stages=(CELLS, StuckCells(rate=0.2)), norm_epochs=3)
    module = nn.Linear(4, 2)
    trained, (training,) = tolerance.apply(module, RECIPE)
    assert trained is module and isinstance(training, StuckCellTraining)
    assert [stage.rate for stage in training.stages] == [0.1, 0.2]
    assert (training.epochs_each, training.norm_epochs) == (2, 3)


@pytest.mark.parametrize("method", ON_ACTIVATIONS)
def test_quantized_networks_are_trained_with_errors_in_their_place(method):
    module = quantized()
    tolerance = FaultTolerance(method=method, stages=(CHANNELS,))
    trained, methods = tolerance.apply(module, RECIPE)
    assert next(trained.parameters()) is next(module.parameters())
    if method == "dropout2d":
        assert [m.rate for m in trained.modules() if isinstance(m, ChannelDropout)] == [0.1] and not methods
    else:
        assert [layer.fault_model for layer in injections(trained)] == [CHANNELS] and len(methods) == 1


@pytest.mark.parametrize(
    ("module", "allowed"), [(quantized(), ON_ACTIVATIONS), (nn.Linear(4, 2), ON_CELLS), (Snn((4, 2)), ())]
)
def test_methods_for_other_networks_are_refused(module, allowed):
    for method in METHODS:
        tolerance = FaultTolerance(method=method)
        if method in ("plain", *allowed):
            tolerance.apply(module, RECIPE)
            continue
        expected = ", ".join(("plain", *allowed))
        with pytest.raises(InputError, match=f"method: expected {expected} for mine, got '{method}'"):
            tolerance.apply(module, RECIPE, name="mine")


@pytest.mark.parametrize("entry", networks().values(), ids=lambda entry: entry.name)
def test_the_catalogue_knows_which_networks_are_quantized(entry):
    assert is_quantized(entry.build()) == entry.quantized


@pytest.fixture
def digits():
    return load_dataset("digits", "train", limit=200), load_dataset("digits", "test")


def trained(trainee, tolerance, digits, state, *, recipe=RECIPE, start=None, seed=1):
    return train_network(
        trainee, tolerance, recipe, *digits, seed=seed, start=start, state=state, command="typed"
    )  # fmt: skip


def test_the_record_says_how_a_network_was_trained(digits, tmp_path):
    tolerance = FaultTolerance(method="progressive", accelerator=isaac_slc(), norm_epochs=1)
    found = trained(trainee_of("digits-mlp", 1), tolerance, digits, tmp_path / "state")
    assert list(found.about) == [
        "network", "test", "method", "faults", "accelerator", "norm epochs", "recipe", "epochs", "seconds",
        "seed", "command", "data", "versions",
    ]  # fmt: skip
    assert found.about["network"] == "digits-mlp" and found.about["method"] == "progressive"
    assert found.about["faults"] == "0.5 % stuck cells, measured; 1 % stuck cells, measured"
    assert found.about["accelerator"] == "isaac-slc" and found.about["command"] == "typed"
    assert found.about["data"] == f"digits, 200 images, sha256 {data_hash(digits[0])}"
    assert found.about["test"] == f"{found.hits} of {found.shots}" and found.shots == 500
    assert [epoch.epoch for epoch in found.history] == [1, 2, 3, 4]
    plain = trained(trainee_of("digits-mlp", 1), FaultTolerance(), digits, tmp_path / "plain")
    assert not {"faults", "accelerator", "norm epochs"} & set(plain.about)


def test_a_training_goes_on_from_its_state_and_from_a_checkpoint(digits, tmp_path):
    whole = trained(trainee_of("digits-mlp", 1), FaultTolerance(), digits, tmp_path / "whole")
    again = trained(trainee_of("digits-mlp", 1), FaultTolerance(), digits, tmp_path / "whole")
    assert again.history == whole.history and again.hits == whole.hits
    path = save_checkpoint(tmp_path / "w.safetensors", whole.module, {})
    recipe = replace(RECIPE, epochs=0)
    start = trained(
        trainee_of("digits-mlp", 2), FaultTolerance(), digits, tmp_path / "none", recipe=recipe, start=path
    )
    assert start.hits == whole.hits


class Strange(nn.Module):
    """Answers what nobody asked for."""

    def __init__(self, answer):
        super().__init__()
        self.weight, self.answer = nn.Parameter(torch.zeros(3)), answer

    def forward(self, x):
        return self.answer(x)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Flatten(), "network mine: expected weights to train, got none"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(63, 10)),
            r"takes inputs of shape \(1, 8, 8\), got RuntimeError",
        ),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), r"expected \(2, 10\) scores, or more .*got \(2, 5\)"),
        (nn.Linear(8, 10), r"got \(2, 1, 8, 10\)"),
        (Strange(lambda x: (x, x)), "got tuple"),
        (Strange(lambda x: x.nothing), "takes inputs of shape"),
        (Strange(lambda x: torch.zeros(1, 10)), r"got \(1, 10\)"),
    ],
)
def test_networks_that_do_not_fit_the_data_are_refused_before_the_training(digits, tmp_path, module, message):
    with pytest.raises(InputError, match=message) as caught:
        trained(Trainee(name="mine", module=module), FaultTolerance(), digits, tmp_path / "state")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_hashes_of_data_are_of_images_and_labels():
    """As the checkpoints of the zoo name their data."""
    assert data_hash(load_dataset("digits", "train")) == "8c30fe28ef7d8c12"
    images = np.zeros((2, 3))
    assert data_hash(Dataset.of(images, [0, 1])) != data_hash(Dataset.of(images, [1, 0]))
