"""Stuck activations as a fault model: what a training injects and what a FINN campaign sticks, in one object.

Each unit (a single activation, a channel, or a pixel of all channels) is faulty with probability `rate`, and
then stuck at one of the values that the activations can take, each as likely. A training draws units anew
for every image; a campaign sticks each unit at each value, one at a time, for all images.

Source: FAT (Zahid et al.), section IV-A. Eq. 2 as printed gives the first value no share (its j runs from
0); text and example (5 % of two values are 2.5 % each) give every value rate / M, as is done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xbarsim.checks import InputError, check_choice, check_rate
from xbarsim.faults.pe import PeFaultKind

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
        check_rate("StuckActivations.rate", self.rate)
        check_choice("StuckActivations.unit", self.unit, UNITS)

    @property
    def kinds(self) -> tuple[PeFaultKind, ...]:
        """The faults of a FINN design that it stands for, as `FinnDesign.fault_list` takes them.

        Raises
        ------
        InputError : single activations, for which the design has no permanent fault.
        """
        if self.unit == "element":
            expected = "'channel' or 'pixel', which a design can have stuck"
            raise InputError("StuckActivations.unit", expected, repr(self.unit))
        return (PeFaultKind[self.unit],)

    def draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the numbers to draw for activations (N, C) or (N, C, H, W); 1 where a unit extends.

        FAT, Eqs. 4 and 5.

        >>> StuckActivations(rate=0.1, unit="pixel").draw_shape((8, 64, 5, 5))
        (8, 1, 5, 5)
        """
        if len(shape) not in (2, 4):
            raise InputError("activations", "shape (N, C) or (N, C, H, W)", str(shape))
        if self.unit == "channel":
            return (*shape[:2], *(1,) * (len(shape) - 2))
        return (shape[0], 1, *shape[2:]) if self.unit == "pixel" else shape

    def places(self, numbers: NDArray[np.floating], values: int) -> NDArray[np.int64]:
        """Which value each number in [0, 1) stands for: 0..values-1, or `values` where nothing is stuck.

        FAT, Eq. 1.

        >>> StuckActivations(rate=0.5).places(np.array([0.1, 0.3, 0.7]), 2).tolist()
        [0, 1, 2]
        """
        found = np.full(numbers.shape, values)
        stuck = numbers < self.rate
        if stuck.any():
            found[stuck] = np.clip(numbers[stuck] * (values / self.rate), 0, values - 1)
        return found
