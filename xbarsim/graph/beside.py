"""Operators that stay in floating point beside the arrays, and the two ways between floats and integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xbarsim.graph.grid import FloatArray, Grid, IntArray
from xbarsim.graph.nodes import Node, integer_range
from xbarsim.graph.rescale import Quantizer


@dataclass(frozen=True, kw_only=True, eq=False)
class RawInput(Node):
    """An input that no array and no integer operator reads: tokens, masks, or floats as they are."""

    dtype: str
    shape: tuple[int, ...]
    kind: ClassVar[str] = "input"

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """None: it is handed on as it is."""
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Float(Node):
    """An operator of floats, as the network has it; deterministic on a machine, not between machines.

    `function` takes and gives arrays; the bridge that captured it has made it. `macs` are the
    multiply-accumulates an input where it is a product of activations.
    """

    function: Callable[..., NDArray]
    macs: int = 0
    kind: ClassVar[str] = "float"

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """None: floats."""
        return None

    def forward(self, *values: NDArray) -> NDArray:
        """Call it."""
        return self.function(*values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dequantize(Node):
    """The numbers that integers stand for, in float32, or in float64 for what the network gives."""

    source_scale: float | FloatArray
    source_zero: int = 0
    axis: int = 1
    dtype: str = "float32"

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """None: floats."""
        return None

    def forward(self, *values: IntArray) -> NDArray:
        """Subtract the zero point, multiply."""
        grid = Grid(scale=self.source_scale, zero=self.source_zero, axis=self.axis)
        return grid.to_numbers(values[0]).astype(self.dtype, copy=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantize(Quantizer):
    """The nearest integers to floats, halves up; out of range saturates, NaN becomes zero."""

    kind: ClassVar[str] = "float"

    def forward(self, *values: NDArray) -> IntArray:
        """Divide, round, saturate."""
        return Grid(scale=self.scale, zero=self.zero).to_integers(
            values[0], *integer_range(self.bits, self.signed)
        )

    def saturated(self, *values: NDArray) -> int:
        """How many values lie beyond the range by more than a step."""
        low, high = ((end - self.zero) * self.scale for end in integer_range(self.bits, self.signed))
        below = 0 if self.meant[0] else int(np.count_nonzero(values[0] < low - self.scale))
        return below + (0 if self.meant[1] else int(np.count_nonzero(values[0] > high + self.scale)))
