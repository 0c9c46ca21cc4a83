"""A layer's product with integer weights, as floats that cannot round.

Sums of integers below 2**24 are exact in float32, below 2**51 in float64. How large a layer's partial sums
can get, its own weights say. Where all inputs together make too much for float32, it takes some of them at
a time, and adds up in float64. Convolutions in float32 are torch's, where it is at hand; others multiply
patches, made in pieces that stay in the cache.

Slow, obvious twin: `xbarsim.graph.integer_graph.exact_product` in int64.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xbarsim.graph.nodes import IntArray, MatMul, integer_range
from xbarsim.graph.window import Window, patches
from xbarsim.kernels import pooling
from xbarsim.kernels.blas import EXACT_BELOW, convolve, convolves

EXACT64 = 2**51  # below what float64 holds, with room for a bias
MOST_PIECES = 4  # from which on float64 is no slower
PATCH_BYTES = 2**22  # of patches that are made at a time


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

    def __call__(self, x: NDArray) -> NDArray:
        """Multiply exact integers (..., K), or (N, C, *sizes) of a convolution.

        Returns
        -------
        (..., groups * M), or (N, groups * M, *positions) : exact, float32 or float64; int64 beyond 2**51
        """
        window = self.layer.window
        if window is None:
            return self._linear(x)
        if self.pieces and len(window.kernel) < 3:
            macs = len(x) * prod(window.positions(*x.shape[2:])) * self.weights.size
            if convolves(macs):
                return self._convolved(x, window)
        if self._is_depthwise and len(window.kernel) == 2 and self.matrices.dtype != np.int64:
            return self._by_channel(x, window)
        return self._of_patches(x, window)

    @cached_property
    def pieces(self) -> Sequence[tuple[slice, NDArray[np.float32]]]:
        """Which inputs of a group (channels of a convolution) are taken at a time, and their weights.

        (K, M) of a linear layer, (groups * M, C / groups, height, width) of a convolution; nothing where
        float32 would round.
        """
        cells = 1 if self.layer.window is None else prod(self.layer.window.kernel)
        groups, k, _ = self.weights.shape
        inputs = k // cells
        for count in range(1, (MOST_PIECES if groups == 1 else 1) + 1):
            ends = [inputs * i // count for i in range(count + 1)]
            places = [slice(*pair) for pair in pairwise(ends)]
            parts = [self.weights[:, place.start * cells : place.stop * cells] for place in places]
            if all(largest_sum(part, *self._limits) <= EXACT_BELOW for part in parts):
                return [(place, self._laid_out(part)) for place, part in zip(places, parts, strict=True)]
        return ()

    @cached_property
    def matrices(self) -> NDArray:
        """(groups, K, M): the weights in the narrowest type in which no sum of products rounds.

        K counts channels first; of a convolution in one group, whose patches are laid out so, last.
        """
        largest = largest_sum(self.weights, *self._limits)
        weights, window = self.weights, self.layer.window
        if window is not None and len(weights) == 1:
            k, outputs = weights.shape[1:]
            cells = prod(window.kernel)
            weights = weights.reshape(k // cells, cells, outputs).transpose(1, 0, 2).reshape(1, k, outputs)
        kind = np.float32 if largest <= EXACT_BELOW else np.float64 if largest < EXACT64 else np.int64
        return np.ascontiguousarray(weights, kind)

    @property
    def _limits(self) -> tuple[int, int]:
        return integer_range(self.layer.input_bits, self.layer.input_signed)

    @property
    def _is_depthwise(self) -> bool:
        assert self.layer.window is not None
        return len(self.weights) > 1 and self.weights.shape[1:] == (prod(self.layer.window.kernel), 1)

    def _laid_out(self, weights: NDArray) -> NDArray[np.float32]:
        window = self.layer.window
        if window is None:
            return np.ascontiguousarray(weights[0], np.float32)
        groups, k, outputs = weights.shape
        kernel = (1,) * (2 - len(window.kernel)) + window.kernel
        shaped = weights.transpose(0, 2, 1).reshape(groups * outputs, k // prod(kernel), *kernel)
        return np.ascontiguousarray(shaped, np.float32)

    def _linear(self, x: NDArray) -> NDArray:
        rows = x.reshape(-1, x.shape[-1])
        if self.pieces:
            rows = rows.astype(np.float32, copy=False)
            found = total([rows[:, place] @ matrix for place, matrix in self.pieces])
        else:
            found = rows.astype(self.matrices.dtype, copy=False) @ self.matrices[0]
        return found.reshape(*x.shape[:-1], -1)

    def _convolved(self, x: NDArray, window: Window) -> NDArray[np.floating]:
        lacking = 2 - len(window.kernel)
        numbers = channels_last(x.reshape(*x.shape[:2], *(1,) * lacking, *x.shape[2:]), np.float32)
        pads = ((0, 0),) * lacking + window.pads(*x.shape[2:])
        fill = self.layer.input_zero
        padding = tuple(after for _, after in pads)
        if (fill and any(map(any, pads))) or any(before != after for before, after in pads):
            numbers = padded(numbers, pads, fill)
            padding = (0, 0)
        options: dict[str, Any] = {
            "stride": (1,) * lacking + window.stride,
            "padding": padding,
            "dilation": (1,) * lacking + window.dilation,
            "groups": len(self.weights),
        }
        if len(self.pieces) == 1:
            found = convolve(numbers, self.pieces[0][1], **options)
        else:
            parts = ((numbers[:, place], weights) for place, weights in self.pieces)
            found = total([convolve(channels_last(part, np.float32), w, **options) for part, w in parts])
        positions = window.positions(*x.shape[2:])
        within = found[(slice(None), slice(None), *map(slice, (1,) * lacking + positions))]
        return within[:, :, 0] if lacking else within

    def _by_channel(self, x: NDArray, window: Window) -> NDArray[np.float64]:
        """A filter of its own for every channel, in float64."""
        given, out, options = pooled(x, window, np.float64)
        weights = np.ascontiguousarray(self.weights[:, :, 0].T.reshape(*window.kernel, -1), np.float64)
        pooling.filtered(given, out, weights, **options, fill=self.layer.input_zero)
        return np.moveaxis(out, -1, 1)

    def _of_patches(self, x: NDArray, window: Window) -> NDArray:
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


def total(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.floating]:
    """Add up exact sums, in float64 where there are several."""
    if len(parts) == 1:
        return parts[0]
    found = parts[0].astype(np.float64)
    for part in parts[1:]:
        found += part
    return found


def pooled(x: NDArray, window: Window, dtype: DTypeLike) -> tuple[NDArray, NDArray, dict[str, Any]]:
    """What kernels that slide a window of two axes take: channels last, room for results, the window."""
    sizes = x.shape[2:]
    out = np.empty((len(x), *window.positions(*sizes), x.shape[1]), dtype)
    options = {
        "kernel": window.kernel,
        "stride": window.stride,
        "start": tuple(-before for before, _ in window.padding),
        "dilation": window.dilation,
    }
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)), out, options


def channels_last(x: NDArray, dtype: DTypeLike) -> NDArray:
    """(N, C, *sizes) of a type, with the channels side by side in memory; copied only where it is not so."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1), dtype), -1, 1)


def padded(x: NDArray, pads: Sequence[tuple[int, int]], fill: int) -> NDArray:
    """(N, C, *sizes) with so many cells added before and after every axis, channels side by side."""
    moved = np.moveaxis(x, 1, -1)
    return np.moveaxis(np.pad(moved, [(0, 0), *pads, (0, 0)], constant_values=fill), -1, 1)


def largest_sum(weights: IntArray, low: int, high: int) -> int:
    """Magnitude of the largest partial sum of any output over inputs from low to high."""
    up = np.maximum(weights, 0).sum(axis=1, dtype=np.int64)
    down = np.maximum(-weights, 0).sum(axis=1, dtype=np.int64)
    low, high = min(low, 0), max(high, 0)
    return int(max((up * high - down * low).max(initial=0), (down * high - up * low).max(initial=0)))
