"""The spiking paper's Tables 3 to 8 and Fig. 3, on networks that are trained here.

A 784-128-10 network is trained without faults (baseline), with faulty neurons (previous work, the faulty
loss), with faulty neurons and adversarial patterns (proposed), and by two controls: patterns of random
perturbations (random), and the sum of both losses without patterns (both). All are tested on the same chips,
whose faulty neurons are drawn from the fault universe, and on the same spikes.

Training and test images are 48,000 and 12,000 of MNIST's training images, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import nn

from accel_models.spiking.chip import SpikingChip, classes_of, run_many
from accel_models.spiking.config import SpikingConfig
from networks.datasets import load_dataset
from networks.snn import Snn
from xbarsim.errors import check_choice
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, SpikingGeometry
from xbarsim.papers.spiking_paper import FIRS, HSF, NASF, RATIOS
from xbarsim.rng import stream
from xbarsim.torch_bridge.spiking import spiking_network
from xbarsim.training.loop import OnBatch, fit, initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe
from xbarsim.training.resume import Epoch
from xbarsim.training.spiking import NeuronFaultTraining
from xbarsim.training.spiking_patterns import PatternSettings, PatternTraining

Watch = Callable[[str], OnBatch | None]
METHODS = ("baseline", "previous", "proposed", "random", "both")
SPLIT = 48_000


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
    """'smoke' (seconds), 'cpu' (two cores, under 40 minutes: one FIR) or 'full' (both)."""
    check_choice("--budget", name, ("smoke", "cpu", "full"))
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


def variants(budget: SpikingBudget) -> list[SpikingVariant]:
    """All trainings of Tables 3 and 4, with the controls."""
    found = [SpikingVariant(method="baseline")]
    for fir in budget.firs:
        for kind in (HSF, NASF):
            found += [SpikingVariant(method=method, kind=kind, fir=fir) for method in METHODS[1:]]
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class TestedSpiking:
    """A trained network without faults and on chips: right predictions of each, by kind and ratio."""

    variant: SpikingVariant
    healthy_hits: int
    shots: int
    hits: dict[tuple[str, float], list[int]]
    history: tuple[Epoch, ...]
    pattern_count: int
    pattern_cpu_seconds: float

    def accuracies(self, kind: str, ratio: float) -> list[float]:
        """Of every chip."""
        return [hits / self.shots for hits in self.hits[kind, ratio]]

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the training, making patterns included."""
        return sum(epoch.cpu_seconds for epoch in self.history)


class SpikingStudy:
    """Trains the networks of a budget and keeps them in a folder; tests them on the same chips."""

    def __init__(
        self,
        budget: SpikingBudget,
        folder: Path,
        *,
        seed: int = 0,
        chips_seed: int = 1,
        watch: Watch = lambda name: None,
    ) -> None:
        self.budget, self.folder, self.seed, self.chips_seed, self.watch = (
            budget, folder, seed, chips_seed, watch,
        )  # fmt: skip
        self.geometry = SpikingGeometry()
        self.universe = FaultUniverse(geometry=self.geometry)

    @cached_property
    def _data(self) -> tuple[np.ndarray, ...]:
        data, b = load_dataset("mnist", "train"), self.budget
        test = slice(SPLIT, SPLIT + b.test_images)
        return data.images[: b.images], data.labels[: b.images], data.images[test], data.labels[test]

    def test_images(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first test images and their labels."""
        _, _, images, labels = self._data
        return images[:count], labels[:count]

    def methods(self, variant: SpikingVariant) -> list[TrainingMethod]:
        """Of a training."""
        if variant.method == "baseline":
            return []
        kind = NeuronFaultKind[variant.kind]
        if variant.method in ("previous", "both"):
            loss = "faulty" if variant.method == "previous" else "both"
            return [NeuronFaultTraining(self.universe, kind, variant.fir, loss=loss)]  # type: ignore[arg-type]
        rule = "code" if variant.method == "proposed" else variant.method
        settings = replace(self.budget.patterns, rule=rule)  # type: ignore[arg-type]
        images, labels, _, _ = self._data
        return [
            PatternTraining(
                self.universe, kind, variant.fir, images, labels, settings=settings, loss="faulty"
            )
        ]

    def train(self, variant: SpikingVariant) -> tuple[nn.Module, list[Epoch], list[TrainingMethod]]:
        """The trained network, its epochs and the methods as they ended; kept, and found again."""
        images, labels, _, _ = self._data
        recipe, methods = self.budget.recipe, self.methods(variant)
        module = initialise(Snn, self.seed)
        size = "" if len(images) == SPLIT else f"-{len(images)}"
        file = f"snn{size}-{variant.name}-{recipe.epochs}-epochs-seed-{self.seed}.safetensors"
        history = fit(
            module,
            images,
            labels,
            recipe,
            seed=self.seed,
            methods=methods,
            resume=self.folder / file,
            on_batch=self.watch(f"training {variant.words}"),
        )
        return module, history, methods  # type: ignore[return-value]

    def measure(self, variant: SpikingVariant, kinds: Sequence[str] = tuple(RATIOS)) -> TestedSpiking:
        """Train a network, or find it, and test it on chips with faults of these kinds."""
        module, history, methods = self.train(variant)
        chip = SpikingConfig().program(spiking_network(module))
        advance = self.watch(f"chips, {variant.words}")
        _, _, images, labels = self._data
        healthy = chip.run(images, seed=self.chips_seed).hits(labels)
        found, places = {}, [(kind, ratio) for kind in kinds for ratio in RATIOS[kind]]
        for done, (kind, ratio) in enumerate(places, 1):
            found[kind, ratio] = self.hits(chip, kind, ratio, len(labels))
            if advance is not None:
                advance(done, len(places), 0.0)
        made = [method for method in methods if isinstance(method, PatternTraining)]
        return TestedSpiking(
            variant=variant,
            healthy_hits=healthy,
            shots=len(labels),
            hits=found,
            history=tuple(history),
            pattern_count=sum(len(method.patterns) for method in made),
            pattern_cpu_seconds=sum(method.cpu_seconds for method in made),
        )

    def hits(self, chip: SpikingChip, kind: str, ratio: float, count: int) -> list[int]:
        """Right predictions of the first test images on every chip of a kind and ratio."""
        _, _, images, labels = self._data
        chips = [
            chip.inject(
                self.universe.sample(
                    NeuronFaultKind[kind], ratio, stream(self.chips_seed, f"{kind} {ratio:g}", t)
                )
            )
            for t in range(self.budget.chips)
        ]
        counts = run_many(chip, chips, images[:count], seed=self.chips_seed)
        return np.count_nonzero(classes_of(counts) == labels[:count], axis=1).tolist()

    def convergence(self, kind: str, fir: float) -> Convergence:
        """How soon training with stored patterns reaches the previous method's accuracy."""
        previous = SpikingVariant(method="previous", kind=kind, fir=fir)
        proposed = SpikingVariant(method="proposed", kind=kind, fir=fir)
        before, before_history, _ = self.train(previous)
        _, with_making, made = self.train(proposed)
        patterns: PatternTraining = made[0]  # type: ignore[assignment]
        images, labels, _, _ = self._data
        count = min(self.budget.curve_images, self.budget.test_images)
        ratios = RATIOS[kind]

        def accuracies(module: nn.Module) -> tuple[float, ...]:
            chip = SpikingConfig().program(spiking_network(module))
            return tuple(float(np.mean(self.hits(chip, kind, ratio, count))) / count for ratio in ratios)

        module = initialise(Snn, self.seed)
        reached: list[tuple[float, ...]] = []
        history = fit(
            module,
            np.concatenate([images, patterns.patterns.numpy()]),
            np.concatenate([labels, patterns.pattern_labels.numpy()]),
            self.budget.recipe,
            seed=self.seed,
            methods=self.methods(previous),
            on_batch=self.watch(f"training with {len(patterns.patterns)} stored patterns"),
            on_epoch=lambda _: reached.append(accuracies(module)),
        )
        return Convergence(
            kind=kind,
            fir=fir,
            target=accuracies(before),
            reached=tuple(reached),
            previous=tuple(before_history),
            with_making=tuple(with_making),
            stored=tuple(history),
            pattern_count=len(patterns.patterns),
            images=count,
            chips=self.budget.chips,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Convergence:
    """Time to an accuracy.

    Attributes
    ----------
    target : the previous method's accuracy after its last epoch, mean over chips, at every ratio
    reached : (epochs, ratios), the same with stored patterns after every epoch
    previous, with_making, stored : epochs of the three trainings
    """

    kind: str
    fir: float
    target: tuple[float, ...]
    reached: tuple[tuple[float, ...], ...]
    previous: tuple[Epoch, ...]
    with_making: tuple[Epoch, ...]
    stored: tuple[Epoch, ...]
    pattern_count: int
    images: int
    chips: int

    def epochs_to(self, place: int) -> int | None:
        """Epochs until the target of a ratio is reached; None if it never is."""
        return next((i for i, row in enumerate(self.reached, 1) if row[place] >= self.target[place]), None)


def run_spiking(study: SpikingStudy, chosen: Sequence[SpikingVariant] | None = None) -> list[TestedSpiking]:
    """All trainings, in order; the baseline first."""
    return [study.measure(variant) for variant in (chosen or variants(study.budget))]


def find(found: Sequence[TestedSpiking], method: str, kind: str = "", fir: float = 0.0) -> TestedSpiking:
    """One of them."""
    wanted = SpikingVariant(method=method, kind=kind, fir=fir)
    return next(one for one in found if one.variant == wanted)
