"""A network, trained plainly or against faults, and the record that goes into its checkpoint."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

import xbarsim
from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import ReramConfig, isaac
from networks.checkpoints import load_checkpoint
from xbarsim.chip import Accelerator, FaultModel
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.data import Dataset
from xbarsim.errors import InputError, check_choice
from xbarsim.experiments.references import Trainee
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.registry import fault_models
from xbarsim.torch_bridge.finn_export import is_quantized
from xbarsim.torch_bridge.injection import fault_aware, with_dropout2d
from xbarsim.torch_bridge.spiking import is_spiking
from xbarsim.training.fault_aware import AllLayers, OneLayerAnEpoch
from xbarsim.training.loop import OnBatch, OnEpoch, accuracy, fit
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe
from xbarsim.training.resume import Epoch
from xbarsim.training.stochastic import StuckCellTraining

Unit = Literal["element", "channel", "pixel"]
ON_ACTIVATIONS = ("fat-1", "fat-2", "dropout2d")
ON_CELLS = ("one-shot", "progressive")
METHODS = ("plain", *ON_ACTIVATIONS, *ON_CELLS)
DEFAULT_STAGES: Mapping[str, tuple[FaultModel, ...]] = {
    "plain": (),
    "fat-1": (StuckActivations(rate=0.015),),
    "fat-2": (StuckActivations(rate=0.05),),
    "dropout2d": (StuckActivations(rate=0.015),),
    "one-shot": (StuckCells(rate=0.01),),
    "progressive": (StuckCells(rate=0.005), StuckCells(rate=0.01)),
}


@dataclass(frozen=True, kw_only=True)
class FaultTolerance:
    """How a network is trained against faults.

    Parameters
    ----------
    method : 'plain'; on quantized networks 'fat-1' (all layers), 'fat-2' (one layer an epoch), 'dropout2d';
        on networks for crossbars 'one-shot', 'progressive'
    stages : what it is trained against: `StuckActivations` on quantized networks, of channels for
        'dropout2d'; `StuckCells` on crossbars, for 'progressive' one after the other, with rising rates.
        By default the method's own
    accelerator : what stuck cells are cells of, a ReRAM one; by default ISAAC
    norm_epochs : with stuck cells, see `StuckCellTraining`

    Raises
    ------
    InputError : an unknown method, faults or settings that it has no use for.
    """

    method: str = "plain"
    stages: tuple[FaultModel, ...] = ()
    accelerator: Accelerator | None = None
    norm_epochs: int | None = None

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        if self.stages and self.method == "plain":
            raise InputError("stages", "none with method plain", self.words, "choose a method")
        if len(self.stages) > 1 and self.method != "progressive":
            raise InputError("stages", f"one fault model for {self.method}", self.words)
        wanted = StuckActivations if self.method in ON_ACTIVATIONS else StuckCells
        for stage in self.stages:
            if not isinstance(stage, wanted):
                raise InputError("stages", f"{wanted.__name__} for {self.method}", type(stage).__qualname__)
            if self.method == "dropout2d" and getattr(stage, "unit", "channel") != "channel":
                raise InputError("stages", "stuck channels for dropout2d", fault_models.words(stage))
        self._check_cells_only()

    def _check_cells_only(self) -> None:
        """Refuse what is for stuck cells beside another method."""
        for name in ("accelerator", "norm_epochs"):
            if getattr(self, name) is not None and self.method not in ON_CELLS:
                expected = f"method {' or '.join(ON_CELLS)} beside it"
                raise InputError(name, expected, self.method, "leave it out")
        if self.method in ON_CELLS:
            self.array  # noqa: B018 - another accelerator shows now

    @property
    def chosen_stages(self) -> tuple[FaultModel, ...]:
        """The fault models, or the method's own."""
        return self.stages or DEFAULT_STAGES[self.method]

    @property
    def words(self) -> str:
        """The fault models as people read them."""
        return "; ".join(map(fault_models.words, self.chosen_stages))

    @property
    def array(self) -> ArrayConfig:
        """The arrays whose cells are stuck.

        Raises
        ------
        InputError : an accelerator without.
        """
        found = isaac() if self.accelerator is None else self.accelerator
        if isinstance(found, AnalogConfig):
            return found.arrays.array
        if not isinstance(found, ReramConfig):
            raise InputError("accelerator", f"a ReRAM one for {self.method}", type(found).__qualname__)
        return found.array

    def apply(
        self, module: nn.Module, recipe: Recipe, *, name: str = "network"
    ) -> tuple[nn.Module, list[TrainingMethod]]:
        """What is trained in the module's place, sharing its parameters, and the methods of the training.

        Raises
        ------
        InputError : a method for other networks.
        """
        if self.method == "plain":
            return module, []
        wanted = ON_ACTIVATIONS if is_quantized(module) else () if is_spiking(module) else ON_CELLS
        if self.method not in wanted:
            raise InputError("method", f"{', '.join(('plain', *wanted))} for {name}", repr(self.method))
        stages: Sequence[Any] = self.chosen_stages
        if self.method in ON_ACTIVATIONS:
            return with_errors(module, self.method, stages[0].rate, stages[0].unit)
        each = max(1, recipe.epochs // len(stages))
        training = StuckCellTraining(stages, self.array, epochs_each=each, norm_epochs=self.norm_epochs)
        return module, [training]


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
    """A trained network: its epochs, right predictions of the test images, and its record."""

    module: nn.Module
    history: list[Epoch]
    hits: int
    shots: int
    about: dict[str, str]


def train_network(
    trainee: Trainee,
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
    """Train a network, from the weights that it has or from the checkpoint `start`, and test it.

    Parameters
    ----------
    trainee : its module is trained in place
    state : file of the training's state, to go on from
    command : what was typed, for the record

    Raises
    ------
    InputError : data that the network does not take or has no classes for, a method for other networks.
    """
    module = trainee.module
    if start is not None:
        load_checkpoint(start, module)
    check_answers(trainee.name, module, train, test)
    trained, methods = tolerance.apply(module, recipe, name=trainee.name)
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
        trainee.name, tolerance, recipe, train, history, seed=seed, hits=hits, shots=shots, command=command
    )
    return TrainedEntry(module=module, history=history, hits=hits, shots=shots, about=about)


@torch.no_grad()
def check_answers(name: str, module: nn.Module, train: Dataset, test: Dataset) -> None:
    """See that a module takes the images of both sets and gives a score for each of their classes.

    Raises
    ------
    InputError : it has no weights, fails on an image, or gives other scores.
    """
    where, first = f"network {name}", next(module.parameters(), None)
    if first is None:
        raise InputError(where, "weights to train", "none")
    for data in (train, test):
        inputs = torch.as_tensor(data.images[:2]).to(first.device, first.dtype)
        training = module.training
        try:
            scores = module.eval()(inputs)
        except Exception as error:  # torch raises many kinds, and the module may be anybody's
            expected = f"one that takes inputs of shape {data.images.shape[1:]}"
            raise InputError(where, expected, f"{type(error).__name__}: {error}"[:200]) from error
        finally:
            module.train(training)
        classes = int(data.labels.max()) + 1
        shape = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__qualname__
        if not isinstance(shape, tuple) or len(shape) != 2 or shape[0] != len(inputs) or shape[1] < classes:
            raise InputError(where, f"({len(inputs)}, {classes}) scores, or more classes", shape)


def provenance(
    network: str,
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
        "network": network,
        "test": f"{hits} of {shots}",
        "method": tolerance.method,
        "faults": tolerance.words,
        "accelerator": "" if tolerance.accelerator is None else tolerance.accelerator.name,
        "norm epochs": "" if tolerance.norm_epochs is None else str(tolerance.norm_epochs),
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
