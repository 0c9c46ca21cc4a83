"""The spiking paper's networks: how much of them is trained and tested, and what each training is.

A 784-128-10 network is trained without faults (baseline), with faulty neurons (previous work, the faulty
loss), with faulty neurons and adversarial patterns (proposed), and by two controls: patterns of random
perturbations (random), and the sum of both losses without patterns (both). All are tested on the same chips,
whose faulty neurons are drawn from the fault universe, and on the same spikes.

Training and test images are 48,000 and 12,000 of MNIST's training images, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.network import SpikingNetwork
from networks.datasets import load_dataset
from networks.snn import Snn
from xbarsim.campaigns.store import TaskStatus
from xbarsim.campaigns.task import TrialFunction
from xbarsim.chip import FaultModel
from xbarsim.data import Dataset
from xbarsim.documents import plain
from xbarsim.experiments.experiment import Experiment
from xbarsim.experiments.measures import Accuracy
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, SpikingGeometry
from xbarsim.papers.spiking_numbers import FIRS
from xbarsim.papers.study import Settings
from xbarsim.papers.training import train_once
from xbarsim.report.results import Results
from xbarsim.subject import Subject
from xbarsim.torch_bridge.spiking import spiking_network
from xbarsim.training.loop import initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe
from xbarsim.training.resume import Epoch
from xbarsim.training.spiking import NeuronFaultTraining
from xbarsim.training.spiking_patterns import RULES, PatternSettings, PatternTraining

METHODS = ("baseline", "previous", "proposed", "random", "both")
SPLIT = 48_000
CHIPS_SEED = 1
UNIVERSE = FaultUniverse(geometry=SpikingGeometry())


@dataclass(frozen=True, kw_only=True)
class SpikingBudget:
    """How much is trained and tested.

    Parameters
    ----------
    images, test_images : of the 48,000 and the 12,000
    recipe : of every training
    chips : a kind and ratio
    firs : fault injection ratios
    patterns : how they are made
    curve_images : test images after every epoch, for the time to an accuracy
    """

    images: int
    test_images: int
    recipe: Recipe
    chips: int
    firs: tuple[float, ...]
    patterns: PatternSettings
    curve_images: int


def spiking_budget(name: str) -> SpikingBudget:
    """Return 'smoke' (seconds), 'cpu' (two cores, under 40 minutes: one FIR) or 'full' (both)."""
    if name == "smoke":
        return SpikingBudget(
            images=1500, test_images=300, recipe=Recipe(epochs=2), chips=3, firs=(0.03,),
            patterns=PatternSettings(most=10, rounds=5), curve_images=100,
        )  # fmt: skip
    return SpikingBudget(
        images=SPLIT,
        test_images=12_000,
        recipe=Recipe(epochs=20),
        chips=10,
        firs=FIRS if name == "full" else FIRS[:1],
        patterns=PatternSettings(),
        curve_images=2000,
    )


@dataclass(frozen=True, kw_only=True)
class SpikingVariant:
    """A training: the method; kind of fault and fault injection ratio, but for the baseline."""

    method: str
    kind: str = ""
    fir: float = 0.0

    @property
    def key(self) -> tuple[str, str, float]:
        """As the paper's tables have it."""
        return self.method, self.kind, self.fir

    @property
    def name(self) -> str:
        """For a file."""
        return "-".join(filter(None, (self.method, self.kind, f"{self.fir:g}" if self.fir else "")))

    @property
    def words(self) -> str:
        """For a row."""
        return f"{self.method}, {self.kind.upper()}, FIR {self.fir:g}" if self.fir else self.method


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingData:
    """The first of the training and of the test images; read in every process when they are asked for."""

    images: int
    test_images: int

    @cached_property
    def _both(self) -> Dataset:
        return load_dataset("mnist", "train")

    @cached_property
    def train(self) -> Dataset:
        """What networks are trained on."""
        return self._both.first(self.images)

    @cached_property
    def test(self) -> Dataset:
        """What they are tested on."""
        part = slice(SPLIT, SPLIT + self.test_images)
        return replace(self._both, images=self._both.images[part], labels=self._both.labels[part])

    def __getstate__(self) -> dict[str, Any]:
        return _fields_of(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedSpiking:
    """A network after its training.

    Attributes
    ----------
    patterns : those that it was trained on beside the data, and their labels; None without any
    pattern_cpu_seconds : processor time of making them, part of that of the training
    """

    module: nn.Module
    history: tuple[Epoch, ...]
    patterns: Dataset | None
    pattern_cpu_seconds: float

    @property
    def network(self) -> SpikingNetwork:
        """For chips."""
        return spiking_network(self.module)

    @property
    def counts(self) -> dict[str, float]:
        """What tables show of the training; times that its file does not tell are left out."""
        seconds = sum(epoch.cpu_seconds for epoch in self.history)
        found = {"pattern_cpu_seconds": self.pattern_cpu_seconds, "cpu_seconds": seconds}
        return {"patterns": self.pattern_count, **finite(found)}

    @property
    def pattern_count(self) -> int:
        """Number of patterns."""
        return 0 if self.patterns is None else len(self.patterns)


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingTraining:
    """A training; its network is kept in a folder, and found again.

    Parameters
    ----------
    folder : where the state is kept after every epoch
    seed : of the first weights and of what is drawn
    device : cpu, cuda or mps
    """

    variant: SpikingVariant
    budget: SpikingBudget
    data: SpikingData
    folder: Path
    seed: int = 0
    device: str = "cpu"

    def describe(self) -> dict[str, Any]:
        """Return everything that the network depends on, as JSON."""
        return {
            **plain(self.variant),
            "seed": self.seed,
            "data": self.data.train.digest,
            "images": len(self.data.train),
            "recipe": plain(self.budget.recipe),
            "patterns": plain(self.settings),
            "device": self.device,
        }

    @property
    def settings(self) -> PatternSettings | None:
        """How its patterns are made; None if it has none."""
        rule = "code" if self.variant.method == "proposed" else self.variant.method
        return replace(self.budget.patterns, rule=rule) if rule in RULES else None  # type: ignore[arg-type]

    @property
    def file(self) -> Path:
        """Where its state is kept."""
        size = "" if self.budget.images == SPLIT else f"-{self.budget.images}"
        name = f"snn{size}-{self.variant.name}-{self.budget.recipe.epochs}-epochs-seed-{self.seed}"
        return self.folder / f"{name}.safetensors"

    def methods(self) -> list[TrainingMethod]:
        """Return what is done beside plain training, as at its beginning."""
        variant, train = self.variant, self.data.train
        if variant.method == "baseline":
            return []
        kind = NeuronFaultKind[variant.kind]
        if self.settings is None:
            loss = "faulty" if variant.method == "previous" else "both"
            return [NeuronFaultTraining(UNIVERSE, kind, variant.fir, loss=loss)]  # type: ignore[arg-type]
        return [
            PatternTraining(
                UNIVERSE, kind, variant.fir, train.images, train.labels, settings=self.settings, loss="faulty"
            )
        ]

    @cached_property
    def trained(self) -> TrainedSpiking:
        """The network, trained now if its file does not have it."""
        module, methods = initialise(Snn, self.seed), self.methods()
        history = train_once(
            module, self.data.train, self.budget.recipe, self.file,
            seed=self.seed, methods=methods, device=self.device,
        )  # fmt: skip
        made = [method for method in methods if isinstance(method, PatternTraining)]
        return TrainedSpiking(
            module=module.cpu(),
            history=tuple(history),
            patterns=_patterns_of(made, self.data.train),
            pattern_cpu_seconds=sum((method.cpu_seconds for method in made), 0.0),
        )

    def __getstate__(self) -> dict[str, Any]:
        return _fields_of(self)


def _patterns_of(methods: Sequence[PatternTraining], data: Dataset) -> Dataset | None:
    """The patterns that methods have made, as a data set like the one they were made beside."""
    images = [method.patterns.numpy() for method in methods if len(method.patterns)]
    labels = [method.pattern_labels.numpy() for method in methods if len(method.patterns)]
    return replace(data, images=np.concatenate(images), labels=np.concatenate(labels)) if images else None


def trainings(
    variants: Iterable[SpikingVariant], budget: SpikingBudget, settings: Settings, *, seeds: int = 1
) -> list[SpikingTraining]:
    """Return the trainings of variants, from so many seeds each, all on the same data."""
    data = SpikingData(images=budget.images, test_images=budget.test_images)
    return [
        SpikingTraining(
            variant=variant, budget=budget, data=data, folder=settings.folder, seed=settings.seed + i,
            device=settings.device,
        )
        for variant in variants
        for i in range(seeds)
    ]  # fmt: skip


def chip_trials(network: SpikingNetwork, test: Dataset, faults: FaultModel) -> TrialFunction:
    """Return what counts a network's right answers on chips with faults, which share work."""
    subject = Subject(network, SpikingConfig(), test=test)
    return Experiment(measure=Accuracy(), subject=subject, faults=faults).prepare()


def counts_of(results: Results, task: TaskStatus) -> dict[str, float]:
    """Return what the first trial of a task counted, by name."""
    found = results.trials_of(task).iloc[[0]].filter(like="counts.").dropna(axis=1)
    return {str(k).removeprefix("counts."): v for k, v in found.to_dict("records")[0].items()}


def finite(counts: Mapping[str, float]) -> dict[str, float]:
    """Leave out what is not known."""
    return {name: value for name, value in counts.items() if isfinite(value)}


def _fields_of(thing: Any) -> dict[str, Any]:
    """What travels to other processes: nothing that can be read or trained again."""
    return {field.name: getattr(thing, field.name) for field in fields(thing)}
