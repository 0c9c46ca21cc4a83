"""A layer's product with integer weights, as floats that cannot round.

Sums of integers below 2**24 are exact in float32, below 2**53 in float64. How large a layer's partial sums can
get, its own weights say. Where they are too large for float32, inputs and weights are cut into parts of fewer
bits (x = x1 * 2**b + x0), whose products are; their sums are added up in float64. A convolution by several
such parts is still sooner done than one in float64, for which there are no kernels but for its patches.

Slow, obvious twin: `xbarsim.graph.integer_graph.exact_product` in int64.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xbarsim.graph.nodes import IntArray, MatMul, integer_range
from xbarsim.graph.window import Window, patches
from xbarsim.kernels.blas import EXACT_BELOW, convolve, convolves

MOST_PARTS = 6  # products of parts that are tried before float64
WIDE = 128  # outputs a group from which on BLAS multiplies patches in float64 sooner than four parts
PATCH_BYTES = 2**23  # of patches that are made at a time: about what a processor's cache holds


@dataclass(frozen=True, eq=False)
class Part:
    """One of the products that add up: digits of the inputs times digits of the weights.

    Attributes
    ----------
    digit : which digits of the inputs
    weights : (groups * M, C / groups, *kernel) float32
    worth : what a unit of the product is worth
    """

    digit: int
    weights: NDArray[np.float32]
    worth: float


@dataclass(frozen=True, eq=False)
class ExactProduct:
    """(groups, K, M) integers that a layer multiplies with, in the narrowest floats; see the module.

    Parameters
    ----------
    layer : for its window and the range of its inputs
    weights : the integers; perhaps other than the layer's own
    """

    layer: MatMul
    weights: IntArray

    def __call__(self, x: NDArray) -> NDArray[np.floating]:
        """Multiply exact integers (..., K), or (N, C, *sizes) of a convolution.

        Returns
        -------
        (..., groups * M), or (N, groups * M, *positions) : float32 or float64, exact
        """
        window = self.layer.window
        if window is None:
            return self._linear(x)
        macs = len(x) * prod(window.positions(*x.shape[2:])) * self.weights.size
        if self.parts and len(window.kernel) < 3 and convolves(macs):
            return self._convolved(x, window)
        return self._of_patches(x, window)

    @cached_property
    def parts(self) -> Sequence[Part]:
        """The products of float32 that a convolution takes; none where float64 is sooner done."""
        for inputs, weights in ((1, 1), (1, 2), (2, 1), (3, 1), (2, 2), (4, 1), (3, 2)):
            if inputs * weights > 3 and self.weights.shape[2] >= WIDE:
                break
            found = self._parts(inputs, weights)
            if found is not None:
                return found
        return ()

    @cached_property
    def matrices(self) -> NDArray:
        """(groups, K, M): the weights in the narrowest type in which no sum of products rounds.

        K counts channels first; of a convolution in one group, whose patches are laid out so, last.
        """
        largest = _largest_sum(self.weights, *self._limits)
        weights, window = self.weights, self.layer.window
        if window is not None and len(weights) == 1:
            k, outputs = weights.shape[1:]
            cells = prod(window.kernel)
            weights = weights.reshape(k // cells, cells, outputs).transpose(1, 0, 2).reshape(1, k, outputs)
        kind = np.float32 if largest <= EXACT_BELOW else np.float64 if largest < 2**53 else np.int64
        return np.ascontiguousarray(weights, kind)

    @property
    def _limits(self) -> tuple[int, int]:
        return integer_range(self.layer.input_bits, self.layer.input_signed)

    def _parts(self, inputs: int, weights: int) -> Sequence[Part] | None:
        """The parts for so many digits of inputs and weights, if no partial sum of them can round."""
        low, high = self._limits
        of_inputs = digit_bits(self.layer.input_bits, inputs)
        largest_weight = int(np.abs(self.weights).max(initial=0))
        of_weights = digit_bits(largest_weight.bit_length() + 1, weights)
        digits = split(self.weights, of_weights)
        found = []
        for i, (smallest, largest) in enumerate(digit_ranges(low, high, of_inputs)):
            for j, digit in enumerate(digits):
                if _largest_sum(digit, smallest, largest) > EXACT_BELOW:
                    return None
                worth = float(2 ** (sum(of_inputs[:i]) + sum(of_weights[:j])))
                found.append(Part(i, self._kernels(digit), worth))
        return tuple(found)

    def _kernels(self, weights: NDArray) -> NDArray[np.float32]:
        """(groups, K, M) as (groups * M, C / groups, *kernel)."""
        assert self.layer.window is not None
        groups, k, outputs = weights.shape
        kernel = self.layer.window.kernel
        kernel = (1,) * (2 - len(kernel)) + kernel
        shaped = weights.transpose(0, 2, 1).reshape(groups * outputs, k // prod(kernel), *kernel)
        return np.ascontiguousarray(shaped, np.float32)

    def _linear(self, x: NDArray) -> NDArray[np.floating]:
        matrix = self.matrices[0]
        rows = x.reshape(-1, x.shape[-1]).astype(matrix.dtype, copy=False)
        return (rows @ matrix).reshape(*x.shape[:-1], -1)

    def _convolved(self, x: NDArray, window: Window) -> NDArray[np.floating]:
        lacking = 2 - len(window.kernel)
        numbers = channels_last(x.reshape(*x.shape[:2], *(1,) * lacking, *x.shape[2:]), np.float32)
        pads = ((0, 0),) * lacking + window.pads(*x.shape[2:])
        fill = self.layer.input_zero
        padding = tuple(after for _, after in pads)
        if (fill and any(map(any, pads))) or any(before != after for before, after in pads):
            numbers = padded(numbers, pads, fill)
            padding = (0, 0)
        options = {
            "stride": (1,) * lacking + window.stride,
            "padding": padding,
            "dilation": (1,) * lacking + window.dilation,
            "groups": len(self.weights),
        }
        found = self._summed(numbers, options)
        positions = window.positions(*x.shape[2:])
        return found[(slice(None), slice(None), *map(slice, (1,) * lacking + positions))].reshape(
            len(x), -1, *positions
        )

    def _summed(self, x: NDArray[np.float32], options: dict) -> NDArray[np.floating]:
        parts = self.parts
        inputs = parts[-1].digit + 1
        digits = split(x, digit_bits(self.layer.input_bits, inputs)) if inputs > 1 else [x]
        found = [convolve(digits[part.digit], part.weights, **options) for part in parts]
        if len(found) == 1:
            return found[0]
        total = np.multiply(found[0], parts[0].worth, dtype=np.float64)
        for sums, part in zip(found[1:], parts[1:], strict=True):
            total += np.multiply(sums, part.worth, dtype=np.float64)
        return total

    def _of_patches(self, x: NDArray, window: Window) -> NDArray[np.floating]:
        """Patches in pieces, each multiplied while it is in the cache."""
        matrices = self.matrices
        groups, k, outputs = matrices.shape
        positions = window.positions(*x.shape[2:])
        out = np.empty((len(x), *positions, groups * outputs), matrices.dtype)
        one = max(1, matrices.itemsize * groups * k * prod(positions))
        step = max(1, PATCH_BYTES // one)
        for start in range(0, len(x), step):
            piece = channels_last(x[start : start + step], matrices.dtype)
            into = out[start : start + step].reshape(-1, groups, outputs)
            if groups == 1:
                np.matmul(self._patches(piece, window), matrices[0], out=into[:, 0])
            else:
                rows = patches(piece, window, groups, fill=self.layer.input_zero)
                into[:] = (rows @ matrices).transpose(1, 0, 2)
        return np.moveaxis(out, -1, 1)

    def _patches(self, x: NDArray, window: Window) -> NDArray:
        """(N * positions, K): cells of the kernel, in each the channels, which lie side by side in x."""
        view = np.moveaxis(window.windows(x, self.layer.input_zero), 1, -1)
        return view.reshape(-1, x.shape[1] * prod(window.kernel))


class Products:
    """The exact products of a network's layers, each made when it is first asked for.

    Parameters
    ----------
    weights_of : the integers (groups, K, M) that a layer multiplies with
    """

    def __init__(self, weights_of: Callable[[MatMul], IntArray]) -> None:
        self._weights_of = weights_of
        self._found: dict[Hashable, ExactProduct] = {}

    def __call__(self, layer: MatMul, x: NDArray) -> NDArray[np.floating]:
        """Multiply: (..., K) or (N, C, *sizes) integers."""
        key = layer.matrix, layer.window, layer.input_bits, layer.input_signed, layer.input_zero
        found = self._found.get(key)
        if found is None:  # several threads may make it, and make the same
            found = self._found[key] = ExactProduct(layer, self._weights_of(layer))
        return found(x)


def digit_bits(bits: int, count: int) -> tuple[int, ...]:
    """Return the bits of all digits but the highest, lowest first, for numbers of so many bits.

    >>> digit_bits(16, 3)
    (5, 5)
    """
    return (bits // count,) * (count - 1)


def split(values: NDArray, bits: Sequence[int]) -> list[NDArray]:
    """Cut integers into digits, lowest first; all but the highest lie in -2**(b - 1) .. 2**(b - 1) - 1.

    >>> split(np.array([200, -3]), (8,))
    [array([-56,  -3]), array([1, 0])]
    """
    found, rest = [], values
    for b in bits:
        if rest.dtype.kind == "f":
            above = np.floor(rest * rest.dtype.type(2.0**-b) + rest.dtype.type(0.5))
            low = rest - above * rest.dtype.type(2**b)
        else:
            above = (rest + (1 << (b - 1))) >> b
            low = rest - (above << b)
        found.append(low)
        rest = above
    return [*found, rest]


def digit_ranges(low: int, high: int, bits: Sequence[int]) -> list[tuple[int, int]]:
    """Smallest and largest digit of numbers from low to high, lowest digit first; see `split`."""
    found = []
    for b in bits:
        half = 1 << (b - 1)
        found.append((-half, half - 1))
        low, high = (low + half) >> b, (high + half) >> b
    return [*found, (low, high)]


def channels_last(x: NDArray, dtype: DTypeLike) -> NDArray:
    """(N, C, *sizes) of a type, with the channels side by side in memory; copied only where it is not so."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1), dtype), -1, 1)


def padded(x: NDArray, pads: Sequence[tuple[int, int]], fill: int) -> NDArray:
    """(N, C, *sizes) with so many cells added before and after every axis, channels side by side."""
    moved = np.moveaxis(x, 1, -1)
    return np.moveaxis(np.pad(moved, [(0, 0), *pads, (0, 0)], constant_values=fill), -1, 1)


def _largest_sum(weights: IntArray, low: int, high: int) -> int:
    """Magnitude of the largest partial sum of any output over inputs from low to high."""
    up = np.maximum(weights, 0).sum(axis=1, dtype=np.int64)
    down = np.maximum(-weights, 0).sum(axis=1, dtype=np.int64)
    low, high = min(low, 0), max(high, 0)
    return int(max((up * high - down * low).max(initial=0), (down * high - up * low).max(initial=0)))
