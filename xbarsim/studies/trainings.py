"""A named network, trained plainly or against faults, and the record that goes into its checkpoint."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

import xbarsim
from accel_models.reram.config import accelerator
from networks.catalogue import NetworkEntry
from networks.checkpoints import load_checkpoint
from xbarsim.data import Dataset
from xbarsim.errors import InputError, check_choice
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.sampling import mix_presets
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.torch_bridge.injection import fault_aware, with_dropout2d
from xbarsim.training.fault_aware import AllLayers, OneLayerAnEpoch
from xbarsim.training.loop import OnBatch, OnEpoch, accuracy, fit, initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe
from xbarsim.training.resume import Epoch
from xbarsim.training.stochastic import StuckCellTraining

Unit = Literal["element", "channel", "pixel"]
ON_ACTIVATIONS = ("fat-1", "fat-2", "dropout2d")
ON_CELLS = ("one-shot", "progressive")
METHODS = ("plain", *ON_ACTIVATIONS, *ON_CELLS)
DEFAULT_RATES = {
    "fat-1": (0.015,),
    "fat-2": (0.05,),
    "dropout2d": (0.015,),
    "one-shot": (0.01,),
    "progressive": (0.005, 0.01),
}


@dataclass(frozen=True, kw_only=True)
class FaultTolerance:
    """How a network is trained against faults.

    Parameters
    ----------
    method : 'plain'; on quantized networks 'fat-1' (all layers), 'fat-2' (one layer an epoch), 'dropout2d';
        on networks for crossbars 'one-shot', 'progressive'
    rates : one rate; rising ones for 'progressive'; the method's own if empty
    unit : what 'fat-1' and 'fat-2' stick
    mix, accelerator : of stuck cells, and what they are cells of
    norm_epochs : with stuck cells, see `StuckCellTraining`
    """

    method: str = "plain"
    rates: tuple[float, ...] = ()
    unit: Unit = "channel"
    mix: str = "measured"
    accelerator: str = "isaac"
    norm_epochs: int | None = None

    def __post_init__(self) -> None:
        check_choice("--method", self.method, METHODS)
        check_choice("--mix", self.mix, mix_presets())
        if self.rates and self.method == "plain":
            raise InputError("--rates", "none with --method plain", str(self.rates), "choose a method")
        if self.norm_epochs is not None and self.method not in ON_CELLS:
            expected = f"--method {' or '.join(ON_CELLS)} beside it"
            raise InputError("--norm-epochs", expected, self.method, "leave it out")
        if len(self.rates) > 1 and self.method != "progressive":
            raise InputError("--rates", f"one rate for {self.method}", str(self.rates))

    @property
    def chosen_rates(self) -> tuple[float, ...]:
        """The rates, or the method's own."""
        return self.rates or DEFAULT_RATES.get(self.method, ())

    def apply(
        self, entry: NetworkEntry, module: nn.Module, recipe: Recipe
    ) -> tuple[nn.Module, list[TrainingMethod]]:
        """What is trained in the module's place, sharing its parameters, and the methods of the training.

        Raises
        ------
        InputError : a method for other networks.
        """
        if self.method == "plain":
            return module, []
        wanted = ON_ACTIVATIONS if entry.quantized else ON_CELLS
        if self.method not in wanted:
            expected = f"plain, {', '.join(wanted)} for {entry.name}"
            raise InputError("--method", expected, repr(self.method))
        if self.method in ON_ACTIVATIONS:
            return with_errors(module, self.method, self.chosen_rates[0], self.unit)
        mix = mix_presets()[self.mix]
        stages = [StuckCells(rate=rate, mix=mix) for rate in self.chosen_rates]
        each = max(1, recipe.epochs // len(stages))
        array = accelerator(self.accelerator).array
        return module, [StuckCellTraining(stages, array, epochs_each=each, norm_epochs=self.norm_epochs)]


def with_errors(
    module: nn.Module, method: str, rate: float, unit: Unit
) -> tuple[nn.Module, list[TrainingMethod]]:
    """What is trained in a quantized module's place by a method of `ON_ACTIVATIONS`; it shares parameters."""
    if method == "dropout2d":
        return with_dropout2d(module, rate), []
    turns = AllLayers() if method == "fat-1" else OneLayerAnEpoch()
    return fault_aware(module, StuckActivations(rate=rate, unit=unit)), [turns]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedEntry:
    """A trained named network: its epochs, right predictions of the test images, and its record."""

    module: nn.Module
    history: list[Epoch]
    hits: int
    shots: int
    about: dict[str, str]


def train_network(
    entry: NetworkEntry,
    tolerance: FaultTolerance,
    recipe: Recipe,
    train: Dataset,
    test: Dataset,
    *,
    seed: int,
    start: Path | None,
    state: Path,
    command: str,
    on_batch: OnBatch | None = None,
    on_epoch: OnEpoch | None = None,
    device: str = "cpu",
) -> TrainedEntry:
    """Train a named network, from new weights or from the checkpoint `start`, and test it.

    Parameters
    ----------
    state : file of the training's state, to go on from
    command : what was typed, for the record
    """
    module = initialise(entry.build, seed)
    if start is not None:
        load_checkpoint(start, module)
    trained, methods = tolerance.apply(entry, module, recipe)
    history = fit(
        trained,
        train.images,
        train.labels,
        recipe,
        seed=seed,
        methods=methods,
        resume=state,
        on_batch=on_batch,
        on_epoch=on_epoch,
        device=device,
    )
    hits, shots = accuracy(module, test.images, test.labels)
    about = provenance(
        entry, tolerance, recipe, train, history, seed=seed, hits=hits, shots=shots, command=command
    )
    return TrainedEntry(module=module, history=history, hits=hits, shots=shots, about=about)


def provenance(
    entry: NetworkEntry,
    tolerance: FaultTolerance,
    recipe: Recipe,
    data: Dataset,
    history: Sequence[Epoch],
    *,
    seed: int,
    hits: int,
    shots: int,
    command: str,
) -> dict[str, str]:
    """What a checkpoint says about itself: network, result, command, data, versions."""
    found = {
        "network": entry.name,
        "test": f"{hits} of {shots}",
        "method": tolerance.method,
        "rates": " ".join(f"{rate:g}" for rate in tolerance.chosen_rates),
        "norm epochs": "" if tolerance.norm_epochs is None else str(tolerance.norm_epochs),
        "unit": tolerance.unit if tolerance.method.startswith("fat") else "",
        "recipe": " ".join(f"{key}={value}" for key, value in asdict(recipe).items()),
        "epochs": str(len(history)),
        "seconds": f"{sum(epoch.seconds for epoch in history):.0f}",
        "seed": str(seed),
        "command": command,
        "data": f"{data.name}, {len(data.labels)} images, sha256 {data_hash(data)}",
        "versions": f"xbarsim {xbarsim.__version__}, torch {torch.__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}",
    }
    return {key: value for key, value in found.items() if value}


def data_hash(data: Dataset) -> str:
    """Sixteen digits of the SHA-256 of images and labels, as they are trained with."""
    digest = hashlib.sha256(np.ascontiguousarray(data.images).tobytes())
    digest.update(data.labels.tobytes())
    return digest.hexdigest()[:16]
