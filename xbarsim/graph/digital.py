"""Exact operators beside the arrays: tables, products, sums, concatenation, and moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from xbarsim.graph.grid import Grid, IntArray
from xbarsim.graph.nodes import Node
from xbarsim.graph.window import Window


@dataclass(frozen=True, kw_only=True, eq=False)
class Table(Node):
    """A function of one tensor, looked up.

    Parameters
    ----------
    table : (2**bits,) int64: its values from the smallest integer of the source on
    low : that integer
    scale, zero : what its values stand for
    """

    table: IntArray
    low: int
    scale: float
    zero: int = 0
    kind: ClassVar[str] = "table"

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """Its own."""
        return Grid(scale=self.scale, zero=self.zero)

    def forward(self, *values: IntArray) -> IntArray:
        """Look every integer up."""
        return self.table[values[0] - self.low]


@dataclass(frozen=True, kw_only=True, eq=False)
class Product(Node):
    """Two quantized tensors multiplied, elementwise and broadcast: no loss."""

    zeros: tuple[int, int] = (0, 0)

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """The product of the scales."""
        first, second = sources
        assert first is not None and second is not None
        return Grid(scale=first.scale * second.scale)

    def forward(self, *values: IntArray) -> IntArray:
        """Multiply."""
        return (values[0] - self.zeros[0]) * (values[1] - self.zeros[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Sum(Node):
    """The mean over axes as a sum on a finer grid: no loss.

    Parameters
    ----------
    axes : from the end, negative
    count : of the numbers that are averaged
    source_zero : the source's zero point
    """

    axes: tuple[int, ...]
    keepdims: bool
    count: int
    source_zero: int = 0

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """The source's scale over the count."""
        assert sources[0] is not None
        return Grid(scale=sources[0].scale / self.count)

    def forward(self, *values: IntArray) -> IntArray:
        """Add up."""
        return (values[0] - self.source_zero).sum(axis=self.axes, keepdims=self.keepdims)


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowSum(Node):
    """Average pooling as a sum on a finer grid, where all windows have one size: no loss."""

    window: Window
    source_zero: int = 0

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """The source's scale over the window's size."""
        assert sources[0] is not None
        return Grid(scale=sources[0].scale / prod(self.window.kernel))

    def forward(self, *values: IntArray) -> IntArray:
        """(N, C, *sizes) to (N, C, *positions)."""
        dimensions = len(self.window.kernel)
        view = self.window.windows(values[0] - self.source_zero, 0)
        return view.sum(axis=tuple(range(-dimensions, 0)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Concat(Node):
    """Tensors of one grid, side by side along an axis."""

    axis: int

    def forward(self, *values: IntArray) -> IntArray:
        """Concatenate."""
        return np.concatenate(values, axis=self.axis)


@dataclass(frozen=True, kw_only=True, eq=False)
class Spread(Node):
    """Zeros between the values of (N, C, *sizes), and around them: what a transposed convolution slides over.

    Parameters
    ----------
    steps : from one value to the next, an axis
    padding : (before, after) an axis; below 0 cuts off
    zero : the integer that stands for 0
    """

    steps: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    zero: int = 0

    def forward(self, *values: IntArray) -> IntArray:
        """(N, C, *sizes) to (N, C, *larger sizes)."""
        x = values[0]
        inner = [(size - 1) * step + 1 for size, step in zip(x.shape[2:], self.steps, strict=True)]
        sizes = [n + sum(pads) for n, pads in zip(inner, self.padding, strict=True)]
        out = np.full((*x.shape[:2], *sizes), self.zero, np.int64)
        to, of = [slice(None)] * 2, [slice(None)] * 2
        for size, pads, step, n in zip(sizes, self.padding, self.steps, x.shape[2:], strict=True):
            first = max(0, -(pads[0] // step)) if pads[0] < 0 else 0
            start = pads[0] + first * step
            count = max(0, min(n - first, -(-(size - start) // step)))
            to.append(slice(start, start + (count - 1) * step + 1 if count else start, step))
            of.append(slice(first, first + count))
        out[tuple(to)] = x[tuple(of)]
        return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Move(Node):
    """An operator that only puts values elsewhere: reshape, permute, slice, pad, the largest of a window.

    `function` takes and gives arrays of integers; the bridge that captured it has made it.
    """

    function: Callable[..., IntArray]

    def forward(self, *values: IntArray) -> IntArray:
        """Call it."""
        return self.function(*values)
