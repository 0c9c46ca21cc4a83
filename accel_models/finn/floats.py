"""From the floats that a network was trained on to the bytes that its board reads.

Boards take pixels of 0..255. A network that was trained on pixels says which range of floats they stand for
(`FloatPixels`); one that came from an `IntegerGraph` has the graph's rounding, undone (`GraphPixels`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError, check_number
from xbarsim.graph.nodes import Input, integer_range
from xbarsim.graph.saturation import check_range
from xbarsim.hints import check_fields

LARGEST = 1e30


class Floats(Protocol):
    """What a network's floats are."""

    def pixels(self, inputs: NDArray) -> NDArray[np.uint8]:
        """Return the bytes of finite real numbers; same shape."""


@dataclass(frozen=True, kw_only=True)
class FloatPixels:
    """Floats of `low`..`high`, which bytes of 0..255 stand for in even steps."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_number("FloatPixels.low", self.low, -LARGEST, LARGEST)
        check_number("FloatPixels.high", self.high, -LARGEST, LARGEST)
        if not self.low < self.high:
            raise InputError("FloatPixels", "low below high", f"{self.low:g} and {self.high:g}")

    def pixels(self, inputs: NDArray) -> NDArray[np.uint8]:
        """Return the nearest bytes, halves to even; same shape.

        Raises
        ------
        InputError : floats that lie more than half a step beyond an end.

        >>> FloatPixels(low=-0.5, high=0.5).pixels(np.array([-0.5, 0.0, 0.5]))
        array([  0, 128, 255], dtype=uint8)
        """
        half, least, most = (self.high - self.low) / 510, float(inputs.min()), float(inputs.max())
        if least < self.low - half or most > self.high + half:
            remedy = "say the range that the network was trained on: value_range=(low, high)"
            raise InputError(
                "inputs", f"numbers in {self.low:g}..{self.high:g}", f"{least:g}..{most:g}", remedy
            )
        scaled = np.rint((inputs - self.low) * (255 / (self.high - self.low)))
        return np.clip(scaled, 0, 255).astype(np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphPixels:
    """Floats that a graph's input rounds and saturates.

    Parameters
    ----------
    node : the graph's input
    table : (2**bits,) the pixel that gives each of its integers, from the lowest on; -1 where none does
    """

    node: Input
    table: NDArray[np.int64]

    def pixels(self, inputs: NDArray) -> NDArray[np.uint8]:
        """Return the lowest bytes that give the graph's integers; same shape.

        Raises
        ------
        InputError : an integer that no pixel gives; integers out of the input's range.
        """
        check_range(f"input {self.node.name!r}", inputs, *self.node.range)
        values = self.node.quantize(inputs)
        found = self.table[values - integer_range(self.node.bits, self.node.signed)[0]]
        if (missing := found < 0).any():
            remedy = "quantize the input to 7 bits, or hand in images of 0..1 for an unsigned input"
            raise InputError("inputs", "inputs that a pixel gives", int(values[missing][0]), remedy)
        return found.astype(np.uint8)
