"""ONNX's arithmetic on shapes, on numbers that are known without data; sizes may be symbols.

The same operators as on tensors, in numpy: arrays of objects where a size is a symbol of torch.export.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import ceil, floor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xbarsim.torch_bridge.onnx_math import type_of
from xbarsim.torch_bridge.onnx_moves import reshaped
from xbarsim.torch_bridge.onnx_values import Call, Known, Value

MOST = 4096
TYPES: dict[torch.dtype, Any] = {torch.float32: np.float32, torch.int64: np.int64, torch.bool: np.bool_}


def on_sizes(call: Call) -> Known | tuple[Known, ...] | None:
    """An operator on known numbers, if all are known and few; None where it has to be run on tensors."""
    kind = call.node.kind
    if kind in ("Shape", "Size"):
        return _shape(call)
    known = [value for value in call.values if value is not None]
    if kind not in SIZES or not known or not all(isinstance(v, Known) for v in known):
        return None
    if any(isinstance(v, Known) and v.array.size > MOST for v in known):
        return None
    found = SIZES[kind](call)
    if found is None:
        return None
    return tuple(map(Known.of, found)) if isinstance(found, (tuple, list)) else Known.of(found)


def _shape(call: Call) -> Known:
    value: Value = call.value(0)
    sizes = value.array.shape if isinstance(value, Known) else value.shape
    if call.node.kind == "Size":
        return Known.of(np.array(reduce(lambda a, b: a * b, sizes, 1), dtype=object))
    start, end = call.integer("start", 0), call.integer("end", len(sizes))
    return Known.of(_objects(list(sizes[start:end])))


def _objects(items: list[Any]) -> NDArray:
    found = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        found[place] = item
    return found


def _folded(function: Callable[[Any, Any], Any]) -> Callable[[Call], NDArray]:
    return lambda call: reduce(function, (call.array(i) for i in range(len(call.values))))


def _each(function: Callable[[Any], Any]) -> Callable[[Call], NDArray]:
    """A function of every number; whole results are whole numbers only where the numbers were."""

    def run(call: Call) -> NDArray:
        array = call.array(0)
        found = np.empty(array.shape, dtype=object)
        found.reshape(-1)[:] = _objects([function(item) for item in array.reshape(-1).tolist()])
        return found.astype(np.float32) if array.dtype.kind == "f" else found

    return run


def _div(call: Call) -> NDArray:
    a, b = call.array(0), call.array(1)
    if a.dtype.kind == "f" or b.dtype.kind == "f":
        return a / b
    if a.dtype == object or b.dtype == object:
        return a // b
    return np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))


def _cast(call: Call) -> NDArray:
    array, wanted = call.array(0), type_of(call, call.integer("to", 0))
    if array.dtype != object:
        return array.astype(TYPES[wanted])
    if wanted is torch.bool:
        return array.astype(np.bool_)
    whole = [int(i) if wanted is torch.int64 and isinstance(i, float) else i for i in array.reshape(-1)]
    return _objects(whole).reshape(array.shape)


def _gather(call: Call) -> NDArray | None:
    if call.array(1).dtype == object:
        return None
    return np.take(call.array(0), call.array(1), axis=call.axis(call.array(0).ndim, 0))


def _slice(call: Call) -> NDArray:
    found = call.array(0)
    starts, ends = call.numbers(1), call.numbers(2)
    axes = call.numbers(3) if call.has(3) else range(len(starts))
    steps = call.numbers(4) if call.has(4) else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = call.place_of(axis, found.ndim)
        last = None if step < 0 and end < -found.shape[place] else end
        found = found[(slice(None),) * place + (slice(start, last, step),)]
    return found


def _squeeze(call: Call) -> NDArray:
    axes = call.listed("axes", 1)
    return np.squeeze(call.array(0), None if axes is None else tuple(axes))


def _unsqueeze(call: Call) -> NDArray:
    return np.expand_dims(call.array(0), tuple(call.listed("axes", 1) or ()))


def _concat(call: Call) -> NDArray:
    arrays = [call.array(i) for i in range(len(call.values))]
    return np.concatenate(arrays, axis=call.axis(arrays[0].ndim, 0))


def _split(call: Call) -> list[NDArray]:
    array = call.array(0)
    axis, sizes = call.axis(array.ndim, 0), call.listed("split", 1)
    if sizes is None:
        count = len(call.node.outputs)
        part = ceil(array.shape[axis] / count)
        return np.split(array, [part * i for i in range(1, count)], axis)
    return np.split(array, np.cumsum(sizes)[:-1].tolist(), axis)


def _product(call: Call) -> NDArray | None:
    array, axes = call.array(0), call.listed("axes", 1)
    if array.ndim != 1 or (axes and axes not in ([0], [-1])):
        return None
    found = np.array(reduce(lambda a, b: a * b, array.tolist(), 1), dtype=object)
    return found.reshape(1) if call.integer("keepdims", 1) else found


def _constant_of_shape(call: Call) -> NDArray | None:
    sizes = call.numbers(0)
    value = np.asarray(call.node.attributes.get("value", np.zeros(1, np.float32))).reshape(-1)
    whole = value.dtype.kind in "ib" and len(value) == 1 and all(isinstance(n, int) for n in sizes)
    return np.full(sizes, value[0]) if whole and 0 <= np.prod(sizes, dtype=float) <= MOST else None


def _range(call: Call) -> NDArray | None:
    ends = [call.number(i) for i in range(3)]
    if not all(isinstance(n, int) for n in ends) or not ends[2]:
        return None
    return np.arange(*ends) if (ends[1] - ends[0]) / ends[2] <= MOST else None


def _where(call: Call) -> NDArray | None:
    condition = call.array(0)
    return None if condition.dtype == object else np.where(condition, call.array(1), call.array(2))


def _compared(function: Callable[[Any, Any], Any]) -> Callable[[Call], NDArray]:
    return lambda call: np.asarray(function(call.array(0), call.array(1))).astype(np.bool_)


SIZES: dict[str, Callable[[Call], Any]] = {
    "Add": _folded(lambda a, b: a + b),
    "Sub": _folded(lambda a, b: a - b),
    "Mul": _folded(lambda a, b: a * b),
    "Div": _div,
    "Mod": _folded(lambda a, b: a % b),
    "Min": _folded(np.minimum),
    "Max": _folded(np.maximum),
    "Neg": _each(lambda n: -n),
    "Floor": _each(floor),
    "Ceil": _each(ceil),
    "Cast": _cast,
    "Identity": lambda call: call.array(0),
    "Gather": _gather,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Split": _split,
    "Transpose": lambda call: np.transpose(call.array(0), call.node.attributes.get("perm")),
    "Reshape": lambda call: call.array(0).reshape(reshaped(call, call.array(0).shape, call.numbers(1))),
    "ReduceProd": _product,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Equal": _compared(lambda a, b: a == b),
    "Less": _compared(lambda a, b: a < b),
    "LessOrEqual": _compared(lambda a, b: a <= b),
    "Greater": _compared(lambda a, b: a > b),
    "GreaterOrEqual": _compared(lambda a, b: a >= b),
    "Not": lambda call: np.logical_not(call.array(0)),
    "And": lambda call: np.logical_and(call.array(0), call.array(1)),
    "Or": lambda call: np.logical_or(call.array(0), call.array(1)),
    "Where": _where,
}
