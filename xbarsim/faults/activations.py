"""Stuck activations as a fault model: what a training injects and what a FINN campaign sticks, in one object.

Each unit (a single activation, a channel, or a pixel of all channels) is faulty with probability `rate`, and
then stuck at one of the values that the activations can take, each as likely. A training draws units anew
for every image; a campaign sticks each unit at each value, one at a time, for all images.

Source: FAT (Zahid et al.), section IV-A. Eq. 2 as printed gives the first value no share (its j runs from
0); text and example (5 % of two values are 2.5 % each) give every value rate / M, as is done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError, check_choice, check_rate
from xbarsim.faults.pe import FinnGeometry, PeFaultKind, PeFaults, faults_at, join
from xbarsim.faults.places import check_draw
from xbarsim.hints import check_fields

UNITS = ("element", "channel", "pixel")


@dataclass(frozen=True, kw_only=True)
class StuckActivations:
    """Activations stuck at a value that they can take.

    Parameters
    ----------
    rate : probability that a unit is stuck, 0..1
    unit : what is stuck together: 'element' one activation, 'channel' a channel (a faulty PE), 'pixel' all
        channels of a pixel (a faulty FIFO)

    Raises
    ------
    InputError : a rate outside 0..1, an unknown unit.
    """

    rate: float
    unit: Literal["element", "channel", "pixel"] = "channel"

    def __post_init__(self) -> None:
        check_fields(self)
        check_rate("StuckActivations.rate", self.rate)
        check_choice("StuckActivations.unit", self.unit, UNITS)

    @property
    def kinds(self) -> tuple[PeFaultKind, ...]:
        """The faults of a FINN design that it stands for, as `FinnChip.fault_list` takes them.

        Raises
        ------
        InputError : single activations, for which the design has no permanent fault.
        """
        if self.unit == "element":
            expected = "'channel' or 'pixel', which a design can have stuck"
            raise InputError("StuckActivations.unit", expected, repr(self.unit))
        return (PeFaultKind[self.unit],)

    @property
    def words(self) -> str:
        """What people read."""
        units = "activations" if self.unit == "element" else f"{self.unit}s"
        return f"{100 * self.rate:g} % stuck {units}"

    def draw(self, geometry: FinnGeometry, rng: np.random.Generator) -> PeFaults:
        """Draw the stuck channels or pixels of a FINN chip: of every layer, each at one of its values.

        Raises
        ------
        InputError : single activations, for which the design has no permanent fault.
        """
        check_draw(self, geometry, FinnGeometry, rng)
        (kind,) = self.kinds
        lists = []
        for layer, unit in enumerate(geometry.layers):
            count, _, _, values = unit.places(kind)
            at = _bernoulli_places(count if values else 0, self.rate, rng)
            value = rng.integers(0, len(values), len(at)) if len(at) else at
            lists.append(faults_at(layer, unit, kind, at * len(values) + value))
        return join(lists)

    def unit_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How many units activations (N, C, ...) have along each axis; 1 where a unit extends.

        FAT, Eqs. 4 and 5.

        >>> StuckActivations(rate=0.1, unit="pixel").unit_shape((8, 64, 5, 5))
        (8, 1, 5, 5)
        """
        if len(shape) < 2:
            raise InputError("activations", "shape (N, C, ...)", str(shape))
        if self.unit == "channel":
            return (*shape[:2], *(1,) * (len(shape) - 2))
        return (shape[0], 1, *shape[2:]) if self.unit == "pixel" else shape

    def draw_units(self, shape: tuple[int, ...], values: int, rng: np.random.Generator) -> StuckUnits:
        """Which units of activations of this shape are stuck, and at which of so many values.

        Every unit is stuck with probability `rate`, independently (Eq. 1); instead of a number for every
        unit, the distances between stuck ones are drawn, which are geometric.
        """
        units = self.unit_shape(shape)
        at = _bernoulli_places(int(np.prod(units, dtype=np.int64)), self.rate, rng)
        return StuckUnits(shape=shape, units=units, at=at, value=rng.integers(0, values, len(at)))


class StuckUnits(NamedTuple):
    """Stuck units of a tensor.

    Attributes
    ----------
    shape : of the tensor
    units : how many units it has along each axis; 1 where a unit extends
    at : (stuck,) which units, by their number in C order, ascending
    value : (stuck,) which of the values each is stuck at
    """

    shape: tuple[int, ...]
    units: tuple[int, ...]
    at: NDArray[np.int64]
    value: NDArray[np.int64]

    @property
    def where(self) -> tuple[NDArray[np.int64] | slice, ...]:
        """For every axis a (stuck,) column of places, or all of the axis, as `tensor[where]` takes it."""
        places = np.unravel_index(self.at, self.units)
        return tuple(
            slice(None) if extent != size else place
            for place, extent, size in zip(places, self.units, self.shape, strict=True)
        )


def _bernoulli_places(count: int, rate: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """The places in 0..count-1 where independent trials with probability `rate` succeed, ascending.

    From one success to the next are 1 + floor(E / -log(1 - rate)) places, E exponential: geometric.
    """
    found: list[NDArray[np.int64]] = []
    last = -1
    while rate > 0 and last < count - 1:
        expected = (count - last) * rate
        gaps = rng.standard_exponential(int(expected + 4 * np.sqrt(expected)) + 8)
        gaps *= _trials_an_exponential(rate)
        places = np.minimum(gaps, count, out=gaps).astype(np.int64)
        places += 1
        np.cumsum(places, out=places)
        places += last
        found.append(places)
        last = int(places[-1])
    places = np.concatenate(found) if found else np.zeros(0, np.int64)
    return places[: np.searchsorted(places, count)]


def _trials_an_exponential(rate: float) -> float:
    """What a unit of an exponential distance is in trials: -1 / log(1 - rate), 0 where every one succeeds."""
    return -1 / float(np.log1p(-rate)) if rate < 1 else 0.0
