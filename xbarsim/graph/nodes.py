"""The operators of an `IntegerGraph`, each with its exact integer meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xbarsim.errors import InputError
from xbarsim.graph.grid import FloatArray, Grid, IntArray
from xbarsim.graph.window import Window, patches


def round_shift(values: IntArray, shift: int) -> IntArray:
    """values / 2**shift rounded half up; a negative shift multiplies.

    >>> round_shift(np.array([-3, -2, -1, 1, 2, 3]), 1)
    array([-1, -1,  0,  1,  1,  2])
    """
    if shift <= 0:
        return values << -shift
    rounded = values + (1 << (shift - 1))
    rounded >>= shift
    return rounded


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """An operator: its name in the network, the names of the nodes it reads, and where it comes from.

    `kind` is 'input', 'arrays', 'integer', 'table' or 'float': where it is computed, and how exactly;
    `origin` says which layer and line of the network it stands for, for people.
    """

    name: str
    sources: tuple[str, ...] = ()
    origin: str = ""
    kind: ClassVar[str] = "integer"

    @property
    def source(self) -> str:
        """The only node it reads."""
        return self.sources[0]

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """What its integers stand for, given the same of its sources; None for floats."""
        return sources[0]

    def forward(self, *values: IntArray) -> IntArray:
        """The operator on integers of shape (N, ...)."""
        raise TypeError(f"{type(self).__name__} is not a digital operator")


@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Node):
    """What the network is given: integers of `bits` bits with `fraction` binary places.

    Parameters
    ----------
    scale : a step in units of 2**-fraction, where that is no power of two
    zero : the integer that stands for 0
    shape : of one, without the batch; None for the graph's `input_shape`
    """

    bits: int
    signed: bool
    fraction: int = 0
    scale: float = 1.0
    zero: int = 0
    shape: tuple[int, ...] | None = None
    kind: ClassVar[str] = "input"

    def grid(self, sources: Sequence[Grid | None] = ()) -> Grid:
        """Its own."""
        return Grid(scale=self.scale * 2.0**-self.fraction, zero=self.zero)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest number that its integers hold, or miss by one step."""
        low, high = integer_range(self.bits, self.signed)
        step = self.scale * 2.0**-self.fraction
        return (low - (self.signed or self.zero > 0) - self.zero) * step, (high + 1 - self.zero) * step

    def quantize(self, images: NDArray[np.floating]) -> IntArray:
        """Round half up, saturate."""
        return self.grid().to_integers(images, *integer_range(self.bits, self.signed))


@dataclass(frozen=True, kw_only=True, eq=False)
class MatMul(Node):
    """A linear or convolution layer: the only node that runs on the arrays.

    Parameters
    ----------
    weights : (groups, K, M) int64, K = inputs a group (channels, then kernel rows, then columns)
    bias : (groups * M,) int64, in steps of the input times steps of the weights
    weight_fraction : binary places of the weights
    input_bits, input_signed : what its inputs are
    window : of a convolution; None for a linear layer, whose inputs lie along the last axis
    channel_scales : (groups * M,) steps of the outputs' weights in units of 2**-weight_fraction; None for
        ones
    input_zero : the integer that stands for an input of 0, its share of the sums taken off in the bias
    shares : the name of an earlier layer whose weights and arrays these are: a layer that is used again
    """

    weights: IntArray
    bias: IntArray
    weight_fraction: int
    input_bits: int
    input_signed: bool
    window: Window | None = None
    channel_scales: FloatArray | None = None
    input_zero: int = 0
    shares: str | None = None
    kind: ClassVar[str] = "arrays"

    @property
    def groups(self) -> int:
        """Number of independent matrices."""
        return int(self.weights.shape[0])

    @property
    def matrix(self) -> str:
        """The name of its weights in the accelerator."""
        return self.shares or self.name

    @property
    def weight_scale(self) -> float | FloatArray:
        """What a step of the weights is worth: one number, or one an output, (groups * M,)."""
        step = 2.0**-self.weight_fraction
        return step if self.channel_scales is None else step * self.channel_scales

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """The product of the steps of inputs and weights."""
        assert sources[0] is not None
        axis = -1 if self.window is None else 1
        return Grid(scale=sources[0].scale * self.weight_scale, axis=axis)

    def apply(self, x: NDArray, multiply: Callable[[MatMul, NDArray], NDArray]) -> IntArray:
        """(..., K) or (N, C, *sizes) through `multiply`, bias added; see `IntegerGraph.run`."""
        return np.asarray(multiply(self, x)).astype(np.int64, copy=False) + self.along(self.bias, x.ndim)

    def along(self, values: NDArray, dimensions: int) -> NDArray:
        """(groups * M,) values, shaped to act on an output of so many dimensions."""
        return values if self.window is None else values.reshape(-1, *(1,) * (dimensions - 2))

    def rows(self, x: NDArray, dtype: DTypeLike = np.float64) -> NDArray:
        """(groups, n, K): the integers that each group's weights multiply; n is N times positions."""
        numbers = x.astype(dtype, copy=False)
        if self.window is None:
            return numbers.reshape(1, -1, x.shape[-1])
        return patches(numbers, self.window, self.groups, fill=self.input_zero)

    def gather(self, products: Sequence[NDArray], shape: tuple[int, ...]) -> NDArray:
        """The output from the groups' (n, M) products; `shape` is that of the input."""
        out = np.concatenate(products, axis=1) if len(products) > 1 else products[0]
        if self.window is None:
            return out.reshape(*shape[:-1], -1)
        return np.moveaxis(out.reshape(shape[0], *self.window.positions(*shape[2:]), -1), -1, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Requantize(Node):
    """Round half up to `fraction` = input fraction - shift, saturate to `bits`; unsigned includes ReLU."""

    shift: int
    bits: int
    signed: bool

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """The source's, by the shift coarser."""
        assert sources[0] is not None
        return Grid(scale=sources[0].scale * 2.0**self.shift)

    def forward(self, *values: IntArray) -> IntArray:
        """Round, then saturate."""
        rounded = round_shift(values[0], self.shift)
        return np.clip(rounded, *integer_range(self.bits, self.signed), out=rounded)

    def saturated(self, *values: IntArray) -> int:
        """How many values saturate by more than a rounding."""
        low, high = integer_range(self.bits, self.signed)
        rounded = round_shift(values[0], self.shift)
        below = int(np.count_nonzero(rounded < low - 1)) if self.signed else 0
        return below + int(np.count_nonzero(rounded > high + 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Relu(Node):
    """max(x, 0), where it does not directly follow a layer with weights."""

    def forward(self, *values: IntArray) -> IntArray:
        """Elementwise."""
        return np.maximum(values[0], 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool(Node):
    """Largest value of each window; padding never wins."""

    window: Window

    def forward(self, *values: IntArray) -> IntArray:
        """(N, C, H, W) to (N, C, positions down, across)."""
        return self.window.windows(values[0], np.iinfo(np.int64).min).max(axis=(4, 5))


@dataclass(frozen=True, kw_only=True, eq=False)
class AvgPool(Node):
    """Mean of each window, rounded half up; the divisor counts as in PyTorch.

    `count_padding` is PyTorch's count_include_pad; cells beyond the padded image never count. `zero` is the
    integer that stands for 0, which padding is.
    """

    window: Window
    count_padding: bool = True
    zero: int = 0

    def forward(self, *values: IntArray) -> IntArray:
        """(N, C, H, W) to (N, C, positions down, across)."""
        x = values[0] - self.zero
        axes = len(self.window.kernel)
        total = self.window.windows(x, 0).sum(axis=tuple(range(-axes, 0)))
        count = self.divisor(*x.shape[2:])
        return (2 * total + count) // (2 * count) + self.zero

    def divisor(self, *sizes: int) -> IntArray:
        """(*positions): how many cells each window averages over."""
        found = np.ones((), np.int64)
        for axis, size in enumerate(sizes):
            found = np.multiply.outer(found, self._counts(axis, size))
        return found

    def _counts(self, axis: int, size: int) -> IntArray:
        w = self.window
        (low, high), positions = w.padding[axis], w.count(axis, size)
        start = np.arange(positions) * w.stride[axis] - low
        end = np.minimum(start + w.kernel[axis], size + high)
        if self.count_padding:
            return end - start
        return np.minimum(end, size) - np.maximum(start, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Node):
    """(N, ...) to (N, features)."""

    def forward(self, *values: IntArray) -> IntArray:
        """Channels first, then rows, then columns."""
        return np.ascontiguousarray(values[0]).reshape(len(values[0]), -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Node):
    """Sum of two nodes, aligned to the finer of their fractions: no loss."""

    shifts: tuple[int, int]

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """That of either source after its shift."""
        first, second = (
            grid.scale * 2.0**-shift for grid, shift in zip(sources, self.shifts, strict=True) if grid
        )
        if first != second:
            raise InputError(f"node {self.name!r}", "shifts that align both sources", str(self.shifts))
        return Grid(scale=first)

    def forward(self, *values: IntArray) -> IntArray:
        """Shift left, add."""
        return (values[0] << self.shifts[0]) + (values[1] << self.shifts[1])


def integer_range(bits: int, signed: bool) -> tuple[int, int]:
    """Smallest and largest integer of `bits` bits."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
