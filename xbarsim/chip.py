"""The contracts: what chips, accelerators, fault models, detectors and repairs are to each other.

Everything above the accelerator models is written against these; `tests/contracts` holds every
implementation to them. Chips are immutable: a change gives a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.arrays import INTEGERS, MOST_CLASSES, check_array, check_labels
from xbarsim.errors import InputError, check_choice, check_int
from xbarsim.hints import check_fields

if TYPE_CHECKING:
    import pandas as pd

    from xbarsim.rng import Trial

Seed = int | np.random.Generator
SCALES = ("channel", "power-of-two")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cycle-approximate cost of a run or a write; see docs/architecture.md, "Cost". NaN where unknown."""

    latency_ns: float
    energy_pJ: float
    cell_writes: int = 0

    def __post_init__(self) -> None:
        check_fields(self, unknown=("latency_ns", "energy_pJ"))
        check_int("Cost.cell_writes", self.cell_writes, 0, 2**63 - 1)
        for name in ("latency_ns", "energy_pJ"):
            if getattr(self, name) < 0:
                raise InputError(f"Cost.{name}", "a number of at least 0", getattr(self, name))


@dataclass(frozen=True, eq=False)
class Run:
    """What a chip answers.

    Attributes
    ----------
    scores : (N, classes) numbers, or (N, ...) where answers are no classes; exact where the chip is
    classes : (N,) int64
    cost : of these N inferences on the chip
    """

    scores: NDArray
    classes: NDArray[np.int64]
    cost: Cost

    def __post_init__(self) -> None:
        check_fields(self)
        classes = check_array("Run.classes", self.classes, ("N",), kinds=INTEGERS, low=0, high=2**62)
        object.__setattr__(self, "classes", classes.astype(np.int64, copy=False))
        object.__setattr__(self, "scores", check_array("Run.scores", self.scores, (len(classes), "...")))

    def hits(self, labels: ArrayLike) -> int:
        """Count the right classes.

        Raises
        ------
        InputError : labels that are not (N,) integers, or no classes that the scores are of.
        """
        classes = self.scores.shape[1] if self.scores.ndim == 2 else MOST_CLASSES
        return int((self.classes == check_labels(labels, len(self.classes), classes=classes)).sum())

    def accuracy(self, labels: ArrayLike) -> float:
        """Return the share of right classes; see `hits`."""
        return self.hits(labels) / len(self.classes)


class Faults(Protocol):
    """Faults as data, the columns of a table: of cells, of processing elements, or of neurons."""

    def __len__(self) -> int: ...

    def take(self, chosen: NDArray) -> Self:
        """Return the faults at these places, or where a mask holds."""

    def each(self) -> list[Self]:
        """Return every fault in a table of its own."""

    def merge(self, other: Self) -> Self:
        """Return both tables' faults."""

    def counts(self) -> dict[str, int]:
        """Return how many there are of each kind, by its name."""

    def to_frame(self) -> pd.DataFrame:
        """Return the table, with the kinds by name."""

    def save(self, path: str | Path) -> Path:
        """Write a file; an earlier one survives a failure."""

    def check(self, geometry: Any) -> None:
        """Refuse faults that these places do not have."""


class FaultModel(Protocol):
    """What is wrong with chips, in distribution: a frozen dataclass, registered by name."""

    def draw(self, geometry: Any, rng: np.random.Generator) -> Faults:
        """Draw the faults of one chip; refuses places of another kind of hardware."""


class Chip(Protocol):
    """An accelerator with a network programmed into it, and faults."""

    @property
    def accelerator(self) -> Accelerator:
        """The configuration that it was programmed with."""

    @property
    def geometry(self) -> Any:
        """The places that its faults refer to; what a fault model draws for."""

    @property
    def faults(self) -> Any:
        """Its faults, as `inject` takes them."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""

    @property
    def resources(self) -> Mapping[str, float]:
        """What it takes of the hardware, by name: arrays and cells, LUTs, neurons and synapses."""

    def inject(self, faults: Any) -> Self:
        """Return the chip with these faults on top of its own.

        Raises
        ------
        InputError : faults of other places.
        """

    def run(self, inputs: NDArray, *, seed: int = 0) -> Run:
        """Run (N, *input_shape) floats, as the network was trained on them.

        `seed` decides what is random in a run; chips without noise do not look at it.

        Raises
        ------
        InputError : inputs of another shape, none at all, or that are not finite real numbers.
        """

    def run_each(self, faults: Iterable[Any], inputs: NDArray, *, seed: int = 0) -> Iterator[Run]:
        """Run the same inputs on many faulty copies: what `inject` and `run` give, one by one, sooner."""

    def cost(self, inputs: int) -> Cost:
        """Return what so many inferences take."""


@runtime_checkable
class Writable(Protocol):
    """A chip whose cells can be written again."""

    def update(self, graph: Any) -> Chip:
        """Return the chip with the changed cells of a network of the same shape written."""

    def refresh(self, seed: Seed = 0) -> Chip:
        """Return the chip with every used cell written again: soft faults are gone, stuck cells stay."""

    def training_masks(self) -> Mapping[tuple[str, int], Any]:
        """Return masks of the stuck cells on the weights' words, by (layer, group)."""


@runtime_checkable
class Varied(Protocol):
    """A chip whose cells differ from one made the same way: every trial takes another."""

    def another(self, seed: Seed = 0) -> Chip:
        """Return another specimen, as old as this one, with this one's faults and draws of its own."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """The integers that an accelerator wants a network in; see `xbarsim.torch_bridge.quantize.quantize`.

    `scales` None stands for powers of two at 16 bits, and for one a channel below.
    """

    weight_bits: int = 16
    activation_bits: int = 16
    symmetric: bool = False
    scales: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.scales is not None:
            check_choice("Quantization.scales", self.scales, SCALES)
        check_int("Quantization.weight_bits", self.weight_bits, 1, 64)
        check_int("Quantization.activation_bits", self.activation_bits, 1, 64)


class Accelerator(Protocol):
    """A hardware configuration: a frozen dataclass, registered by name."""

    @property
    def name(self) -> str:
        """Shown in tables."""

    @property
    def quantization(self) -> Quantization:
        """What a float network is turned into for it."""

    def program(self, network: Any) -> Chip:
        """Return a fault-free chip with a network in it.

        Raises
        ------
        InputError : a network that it cannot hold.
        """


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """A chip after a repair.

    Attributes
    ----------
    counts : what it took, by name: bytes sent, cells written, ...
    files : what was sent to the chip, by file name
    """

    chip: Chip
    counts: Mapping[str, float]
    files: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)


class Repair(Protocol):
    """What is done to a faulty chip: a frozen dataclass, registered by name."""

    def repair(self, chip: Any, subject: Any, trial: Trial) -> Repaired:
        """Repair a chip of a subject; what is drawn comes from the trial's streams."""


class PreparedTest(Protocol):
    """A prepared detector: a chip is called faulty if its score is above the threshold.

    One that shows what was computed in floats has a `digest` of it: it is part of a task's identity.
    """

    @property
    def threshold(self) -> float: ...

    def score(self, chip: Any, trial: Trial) -> float:
        """Test a chip; what is drawn comes from the trial's streams."""

    def cost(self, chip: Any) -> Cost:
        """Return what one test takes."""


class Detector(Protocol):
    """How a chip is tested: a frozen dataclass, registered by name.

    One that is not for every subject says so by `fits(subject)`: campaigns leave it out there.
    """

    def prepare(self, subject: Any) -> PreparedTest:
        """Make patterns, answers and a threshold from a subject, once for all its chips.

        What comes of float arithmetic is made by `subject.in_float`, so that all processes use the same.
        """
