"""Nodes on integers held in floats, channels side by side: what a pipeline runs instead of `Node.forward`.

Every function here gives the integers that the node's own `forward` gives, which defines them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbarsim.graph.beside import Dequantize, Quantize
from xbarsim.graph.digital import Concat, Move, Product, Sum, Table
from xbarsim.graph.nodes import (
    Add,
    AvgPool,
    Flatten,
    IntArray,
    MaxPool,
    Node,
    Relu,
    Requantize,
    integer_range,
)
from xbarsim.graph.product import pooled
from xbarsim.graph.rescale import Rescale, WeightedSum
from xbarsim.kernels import pooling
from xbarsim.kernels.elementwise import dequantize, look_up, quantize
from xbarsim.kernels.rounding import Limits, Rounding, round_channels, round_pairs, rounding

EXACT32 = 2**24  # up to where float32 holds integers
Value = tuple[NDArray, int]  # what a node gives, and how many values saturate that should not
Run = Callable[..., Value | None]  # None where the values are not of the kind that it takes


@singledispatch
def fast(node: Node) -> Run | None:
    """What computes a node on floats that are exact integers; None where only its `forward` does."""
    return None


def rounding_of(node: Node, bias: IntArray | int = 0) -> Rounding | None:
    """How a node rounds sums, to which a bias of (channels,) is added before."""
    if isinstance(node, Requantize):
        one = np.int64(1) << max(0, -node.shift)
        multipliers, shifts, zero = np.array([one]), np.array([max(0, node.shift)]), 0
        offsets = np.zeros(1, np.int64)
    elif isinstance(node, Rescale):
        multipliers, shifts, zero = node.multipliers, node.shifts, node.zero
        offsets = node.offsets - node.source_zero * multipliers
    else:
        return None
    factors, added, places = np.broadcast_arrays(multipliers, offsets + bias * multipliers, shifts)
    return rounding(factors, added, places, zero, limits_of(node))


def limits_of(node: Any) -> Limits:
    """The range of a node's integers, and from where on they saturate by more than a rounding."""
    low, high = integer_range(node.bits, node.signed)
    meant = getattr(node, "meant", (not node.signed, False))
    return Limits(low, high, -np.inf if meant[0] else low - 1, np.inf if meant[1] else high + 1)


def by_channel(x: NDArray, axis: int, function: Callable[[NDArray], tuple[NDArray, int]]) -> Value:
    """Apply a function of (n, channels) to a tensor whose channels lie along an axis."""
    moved = np.moveaxis(x, axis, -1)
    found, outside = function(moved.reshape(-1, moved.shape[-1]))
    return np.moveaxis(found.reshape(moved.shape), -1, axis), outside


def in_memory_order(*values: NDArray) -> tuple[list[NDArray], Callable[[NDArray], NDArray]]:
    """Tensors of one shape as vectors, as the first one lies in memory, and the way back."""
    order = np.argsort([-abs(s) for s in values[0].strides], kind="stable")
    shape = tuple(values[0].shape[i] for i in order)
    flat = [v.transpose(order).reshape(-1) for v in values]
    return flat, lambda out: out.reshape(shape).transpose(np.argsort(order))


@fast.register(Requantize)
@fast.register(Rescale)
def _(node: Any) -> Run:
    to, axis = rounding_of(node), getattr(node, "axis", -1)
    assert to is not None
    if len(to.scales) == 1:
        return lambda x: _flat(x, lambda flat: _one_channel(flat, to))
    return lambda x: by_channel(x, axis, lambda rows: round_channels(rows, to))


def _one_channel(flat: NDArray, to: Rounding) -> tuple[NDArray, int]:
    width = next(w for w in (256, 64, 16, 4, 1) if len(flat) % w == 0)
    found, outside = round_channels(flat.reshape(-1, width), to)
    return found.reshape(-1), outside


def _flat(x: NDArray, function: Callable[[NDArray], tuple[NDArray, int]]) -> Value:
    (flat,), back = in_memory_order(x)
    found, outside = function(flat)
    return back(found), outside


def _pair(first: NDArray, second: NDArray, to: Rounding) -> Value | None:
    if first.shape != second.shape or {first.dtype, second.dtype} != {np.dtype(np.float32)}:
        return None
    (one, two), back = in_memory_order(first, second)
    found, outside = round_pairs(one, two, to)
    return back(found), outside


@fast.register
def _(node: WeightedSum) -> Run | None:
    if len(node.multipliers) != 2:
        return None
    offset = -sum(zero * m for zero, m in zip(node.source_zeros, node.multipliers, strict=True))
    shift = np.array([node.shift])
    multipliers, limits = np.array(node.multipliers), limits_of(node)
    to = rounding(multipliers, np.array([offset]), shift, node.zero, limits, largest=EXACT32)
    return lambda first, second: _pair(first, second, to)


def added(add: Add, node: Node) -> Run | None:
    """A sum and the rounding right behind it, in one."""
    if not isinstance(node, Requantize):
        return None
    more = max(0, -node.shift)
    multipliers = np.array([np.int64(1) << (shift + more) for shift in add.shifts])
    shift = np.array([max(0, node.shift)])
    to = rounding(multipliers, np.array([0]), shift, 0, limits_of(node), largest=EXACT32)
    return lambda first, second: _pair(first, second, to)


@fast.register
def _(node: Quantize) -> Run:
    limits = limits_of(node)

    def run(x: NDArray) -> Value:
        numbers = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
        return _flat(numbers, lambda flat: quantize(flat, node.scale, node.zero, limits))

    return run


@fast.register
def _(node: Dequantize) -> Run | None:
    if node.dtype != "float32":
        return None
    return lambda x: (to_numbers(node, x, 0), 0)


def to_numbers(node: Dequantize, x: NDArray, bias: IntArray | int) -> NDArray[np.float32]:
    """What integers stand for in float32, after a bias of (channels,) is added to them."""
    shift = np.asarray(bias, np.float64) - node.source_zero
    scale, shift = np.broadcast_arrays(*np.atleast_1d(np.float64(node.source_scale), shift))
    return by_channel(x, node.axis, lambda rows: (dequantize(rows, scale, shift), 0))[0]


@fast.register
def _(node: Table) -> Run | None:
    if np.abs(node.table).max(initial=0) > EXACT32:
        return None
    table = node.table.astype(np.float32)
    return lambda x: _flat(x, lambda flat: (look_up(flat, table, node.low), 0))


@fast.register
def _(node: MaxPool) -> Run | None:
    if len(node.window.kernel) != 2:
        return None

    def run(x: NDArray) -> Value:
        given, out, options = pooled(x, node.window, x.dtype)
        pooling.largest(given, out, **options)
        return np.moveaxis(out, -1, 1), 0

    return run


@fast.register
def _(node: AvgPool) -> Run | None:
    if len(node.window.kernel) != 2:
        return None

    def run(x: NDArray) -> Value:
        given, out, options = pooled(x, node.window, np.float64)
        pooling.total(given, out, **options, zero=node.zero)
        total, count = np.moveaxis(out, -1, 1).astype(np.int64), node.divisor(*x.shape[2:])
        return ((2 * total + count) // (2 * count) + node.zero).astype(x.dtype), 0

    return run


@fast.register
def _(node: Sum) -> Run:
    def run(x: NDArray) -> Value:
        count = np.prod([x.shape[axis] for axis in node.axes])
        total = x.sum(axis=node.axes, keepdims=node.keepdims, dtype=np.float64)
        return total - node.source_zero * float(count), 0

    return run


@fast.register
def _(node: Product) -> Run:
    def run(first: NDArray, second: NDArray) -> Value:
        zeros = map(np.float64, node.zeros)
        return np.multiply(*(x - zero for x, zero in zip((first, second), zeros, strict=True))), 0

    return run


@fast.register
def _(node: Relu) -> Run:
    return lambda x: (np.maximum(x, x.dtype.type(0)), 0)


@fast.register(Flatten)
@fast.register(Concat)
@fast.register(Move)
def _(node: Any) -> Run:
    return lambda *values: (node.forward(*values), 0)
