"""The operators of an `IntegerGraph`, each with its exact integer meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError
from xbarsim.graph.window import Window, patches

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


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
    """An operator: its name in the network, and the names of the nodes it reads."""

    name: str
    sources: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The only node it reads."""
        return self.sources[0]

    def output_fraction(self, fractions: Sequence[int]) -> int:
        """Binary places of the output, given those of the sources."""
        return fractions[0]

    def forward(self, *values: IntArray) -> IntArray:
        """The operator on integers of shape (N, ...)."""
        raise TypeError(f"{type(self).__name__} is not a digital operator")


@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Node):
    """The image: integers of `bits` bits with `fraction` binary places."""

    bits: int
    signed: bool
    fraction: int

    def output_fraction(self, fractions: Sequence[int]) -> int:
        """Its own."""
        return self.fraction

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest number that its integers hold, or miss by one step."""
        low, high = integer_range(self.bits, self.signed)
        return (low - 1 if self.signed else low) * 2.0**-self.fraction, (high + 1) * 2.0**-self.fraction

    def quantize(self, images: NDArray[np.floating]) -> IntArray:
        """Round half up, saturate."""
        low, high = integer_range(self.bits, self.signed)
        scaled = np.floor(images.astype(np.float64) * 2.0**self.fraction + 0.5)
        return np.clip(scaled, low, high).astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatMul(Node):
    """A linear or convolution layer: the only node that runs on the arrays.

    Parameters
    ----------
    weights : (groups, K, M) int64, K = inputs a group (channels, then kernel rows, then columns)
    bias : (groups * M,) int64, with fraction of the input + weight_fraction
    weight_fraction : binary places of the weights
    input_bits, input_signed : what its inputs are
    window : of a convolution; None for a linear layer
    """

    weights: IntArray
    bias: IntArray
    weight_fraction: int
    input_bits: int
    input_signed: bool
    window: Window | None = None

    @property
    def groups(self) -> int:
        """Number of independent matrices."""
        return int(self.weights.shape[0])

    def output_fraction(self, fractions: Sequence[int]) -> int:
        """Those of input and weights add up."""
        return fractions[0] + self.weight_fraction

    def apply(
        self, x: IntArray, multiply: Callable[[MatMul, FloatArray], Sequence[IntArray] | IntArray]
    ) -> IntArray:
        """(N, K) or (N, C, H, W) through `multiply`, bias added; see `IntegerGraph.run`."""
        return self.assemble(multiply(self, self.rows(x)), x.shape)

    def rows(self, x: IntArray) -> FloatArray:
        """(groups, n, K) float64: the integers that each group's weights multiply; n is N times positions.

        In the type of the BLAS product that most accelerators' products are, made before the patches are.
        """
        numbers = x.astype(np.float64)
        return numbers[None] if self.window is None else patches(numbers, self.window, self.groups)

    def assemble(self, products: Sequence[IntArray] | IntArray, shape: tuple[int, ...]) -> IntArray:
        """The output from the groups' (n, M) products; `shape` is that of the input."""
        out = np.concatenate(products, axis=1) if len(products) > 1 else products[0]
        out = out + self.bias
        if self.window is None:
            return out
        down, across = self.window.positions(*shape[2:])
        return out.reshape(shape[0], down, across, -1).transpose(0, 3, 1, 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Requantize(Node):
    """Round half up to `fraction` = input fraction - shift, saturate to `bits`; unsigned includes ReLU."""

    shift: int
    bits: int
    signed: bool

    def output_fraction(self, fractions: Sequence[int]) -> int:
        """The source's less the shift."""
        return fractions[0] - self.shift

    def forward(self, *values: IntArray) -> IntArray:
        """Round, then saturate."""
        rounded = round_shift(values[0], self.shift)
        return np.clip(rounded, *integer_range(self.bits, self.signed), out=rounded)


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

    `count_padding` is PyTorch's count_include_pad; cells beyond the padded image never count.
    """

    window: Window
    count_padding: bool = True

    def forward(self, *values: IntArray) -> IntArray:
        """(N, C, H, W) to (N, C, positions down, across)."""
        total = self.window.windows(values[0], 0).sum(axis=(4, 5))
        count = self.divisor(*values[0].shape[2:])
        return (2 * total + count) // (2 * count)

    def divisor(self, height: int, width: int) -> IntArray:
        """(positions down, across): how many cells each window averages over."""
        return np.outer(self._counts(0, height), self._counts(1, width))

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

    def output_fraction(self, fractions: Sequence[int]) -> int:
        """That of either source after its shift."""
        aligned = [f + s for f, s in zip(fractions, self.shifts, strict=True)]
        if aligned[0] != aligned[1]:
            raise InputError(f"node {self.name!r}", "shifts that align both sources", str(self.shifts))
        return aligned[0]

    def forward(self, *values: IntArray) -> IntArray:
        """Shift left, add."""
        return (values[0] << self.shifts[0]) + (values[1] << self.shifts[1])


def integer_range(bits: int, signed: bool) -> tuple[int, int]:
    """Smallest and largest integer of `bits` bits."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
