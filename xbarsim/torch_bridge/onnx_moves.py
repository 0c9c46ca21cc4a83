"""ONNX's operators that move, cut, join and repeat values, as functions of torch tensors.

Source: the ONNX operator specification, opsets 13 to 24.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from xbarsim.torch_bridge.onnx_math import Operator
from xbarsim.torch_bridge.onnx_values import Call, Known

PADS = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def reshaped(call: Call, before: Any, wanted: list[Any]) -> list[Any]:
    """The sizes after a Reshape; one of them may be -1."""
    if call.integer("allowzero", 0):
        return wanted
    zeros = [i for i, size in enumerate(wanted) if isinstance(size, int) and size == 0]
    if any(i >= len(before) for i in zeros):
        call.refuse("zeros for sizes that the input has", str(wanted)[:60])
    return [before[i] if i in zeros else size for i, size in enumerate(wanted)]


def _reshape(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    return x.reshape(reshaped(call, x.shape, call.numbers(1)))


def _flatten(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    axis = call.integer("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    if not 0 <= axis <= x.ndim:
        call.refuse(f"an axis of {x.ndim}", axis)
    if axis == 1 and x.ndim > 1:
        return x.flatten(1)
    rows = 1
    for size in x.shape[:axis]:
        rows = rows * size
    columns = 1
    for size in x.shape[axis:]:
        columns = columns * size
    return x.reshape(rows, columns)


def _transpose(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    return x.permute(call.integers("perm", list(range(x.ndim))[::-1]))


def _squeeze(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    axes = call.listed("axes", 1)
    if axes is None:
        axes = [i for i, size in enumerate(x.shape) if isinstance(size, int) and size == 1]
    places = sorted((call.place_of(a, x.ndim) for a in axes), reverse=True)
    if any(isinstance(x.shape[p], int) and x.shape[p] != 1 for p in places):
        call.refuse("axes of size 1", str(tuple(x.shape))[:60])
    for place in places:
        x = x.squeeze(place)
    return x


def _unsqueeze(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    axes = call.listed("axes", 1) or []
    for place in sorted(call.place_of(a, x.ndim + len(axes)) for a in axes):
        x = x.unsqueeze(place)
    return x


def _expand(call: Call) -> torch.Tensor:
    x, wanted = call.tensor(0), call.numbers(1)
    own = [1] * max(len(wanted) - x.ndim, 0) + list(x.shape)
    wanted = [1] * (len(own) - len(wanted)) + wanted
    sizes = [a if isinstance(b, int) and b == 1 else b for a, b in zip(own, wanted, strict=True)]
    call.check_made(sizes)
    return x.expand(sizes)


def _concat(call: Call) -> torch.Tensor:
    tensors = call.tensors()
    return torch.cat(tensors, dim=call.axis(tensors[0].ndim, 0))


def _split(call: Call) -> tuple[torch.Tensor, ...]:
    x = call.tensor(0)
    axis = call.axis(x.ndim, 0)
    sizes, count = call.listed("split", 1), len(call.node.outputs)
    if sizes is None:
        total = x.shape[axis]
        if not isinstance(total, int):
            call.refuse("an axis of one size to split", "a size that varies")
        part = ceil(total / call.integer("num_outputs", count))
        sizes = [min(part, total - i * part) for i in range(count)]
    return tuple(torch.split(x, sizes, dim=axis))


def _slice(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    starts, ends = call.numbers(1), call.numbers(2)
    axes = call.numbers(3) if call.has(3) else list(range(len(starts)))
    steps = call.numbers(4) if call.has(4) else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = call.place_of(axis, x.ndim)
        if step > 0:
            x = x[(slice(None),) * place + (slice(start, end, step),)]
            continue
        size = x.shape[place]
        if not isinstance(size, int):
            call.refuse("an axis of one size to turn", "a size that varies")
        taken = np.arange(size, dtype=np.int64)[slice(start, None if end < -size else end, step)]
        x = x.index_select(place, torch.from_numpy(taken.copy()))
    return x


def _gather(call: Call) -> torch.Tensor:
    x, indices = call.tensor(0), call.value(1)
    axis = call.axis(x.ndim, 0)
    if isinstance(indices, Known) and indices.array.dtype != object:
        size = x.shape[axis]
        taken = indices.array
        if isinstance(size, int):
            if taken.size and not (-size <= taken.min() and taken.max() < size):
                call.refuse(f"places below {size}", int(taken.max()))
            taken = np.where(taken < 0, taken + size, taken)
        if taken.ndim == 0:
            return x.select(axis, int(taken))
        found = x.index_select(axis, torch.from_numpy(taken.reshape(-1)))
        return found.reshape(*x.shape[:axis], *taken.shape, *x.shape[axis + 1 :])
    places = call.tensor(1).long()
    if axis == 0 and x.ndim == 2:
        return F.embedding(places, x)
    return x[(slice(None),) * axis + (places,)]


def _gather_elements(call: Call) -> torch.Tensor:
    x, places = call.tensor(0), call.tensor(1)
    axis = call.axis(x.ndim, 0)
    return torch.gather(x, axis, torch.where(places < 0, places + x.shape[axis], places))


def _gather_nd(call: Call) -> torch.Tensor:
    x, places = call.tensors()
    if call.integer("batch_dims", 0):
        call.refuse("batch_dims 0", call.integer("batch_dims", 0))
    return x[tuple(places.unbind(-1))]


def _scatter_nd(call: Call) -> torch.Tensor:
    x, places, updates = call.tensors()
    how = call.text("reduction", "none")
    if how not in ("none", "add"):
        call.refuse("reduction none or add", how)
    return torch.index_put(x, tuple(places.unbind(-1)), updates, accumulate=how == "add")


def _scatter_elements(call: Call) -> torch.Tensor:
    x, places, updates = call.tensors()
    how, axis = call.text("reduction", "none"), call.axis(x.ndim, 0)
    if how not in ("none", "add"):
        call.refuse("reduction none or add", how)
    places = torch.where(places < 0, places + x.shape[axis], places)
    return (torch.scatter if how == "none" else torch.scatter_add)(x, axis, places, updates)


def _tile(call: Call) -> torch.Tensor:
    x, repeats = call.tensor(0), call.numbers(1)
    call.check_made([a * b for a, b in zip(x.shape, repeats, strict=True)])
    return x.repeat(*repeats)


def _pad(call: Call) -> torch.Tensor:
    x, pads, mode = call.tensor(0), call.numbers(1), call.text("mode", "constant")
    axes = call.numbers(3) if call.has(3) else list(range(x.ndim))
    if len(pads) != 2 * len(axes):
        call.refuse(f"{2 * len(axes)} pads", len(pads))
    sides: list[tuple[Any, Any]] = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        sides[call.place_of(axis, x.ndim)] = pads[i], pads[len(axes) + i]
    while len(sides) > 1 and sides[0] == (0, 0):
        sides = sides[1:]
    flat = [end for side in reversed(sides) for end in side]
    sizes = [s + sum(e) for s, e in zip(x.shape[x.ndim - len(sides) :], sides, strict=True)]
    call.check_made([*x.shape[: x.ndim - len(sides)], *sizes])
    if mode == "constant":
        return F.pad(x, flat, value=call.number(2, 0))
    if mode not in PADS:
        call.refuse("a mode of padding that is known", mode)
    return F.pad(x, flat, mode=PADS[mode])


def _depth_to_space(call: Call) -> torch.Tensor:
    x, b = call.tensor(0), call.integer("blocksize", 1)
    if call.text("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, b)
    n, c, h, w = x.shape
    moved = x.reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2)
    return moved.reshape(n, c // (b * b), h * b, w * b)


def _space_to_depth(call: Call) -> torch.Tensor:
    x, b = call.tensor(0), call.integer("blocksize", 1)
    n, c, h, w = x.shape
    moved = x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
    return moved.reshape(n, c * b * b, h // b, w // b)


def _constant_of_shape(call: Call) -> torch.Tensor:
    sizes = call.numbers(0)
    value = np.asarray(call.node.attributes.get("value", np.zeros(1, np.float32))).reshape(-1)
    if len(value) != 1:
        call.refuse("a value of one number", len(value))
    call.check_made(sizes)
    return torch.full(sizes, value.tolist()[0], dtype=torch.from_numpy(value).dtype)


def _range(call: Call) -> torch.Tensor:
    start, end, step = (call.number(i) for i in range(3))
    if all(isinstance(n, (int, float)) for n in (start, end, step)):
        call.check_made([max(ceil((end - start) / step), 0)] if step else [])
    return torch.arange(start, end, step)


def _trilu(call: Call) -> torch.Tensor:
    cut = torch.triu if call.integer("upper", 1) else torch.tril
    return cut(call.tensor(0), call.number(1, 0))


def _one_hot(call: Call) -> torch.Tensor:
    places, depth, values = call.tensor(0).long(), call.number(1), call.tensor(2)
    axis = call.place_of(call.integer("axis", -1), places.ndim + 1)
    call.check_made([*places.shape, depth])
    places = torch.where(places < 0, places + depth, places).unsqueeze(axis)
    shape = [1] * places.ndim
    shape[axis] = depth
    return torch.where(places == torch.arange(depth).reshape(shape), values[1], values[0])


def _dropout(call: Call) -> Any:
    if len([name for name in call.node.outputs if name]) > 1:
        call.refuse("dropout's values alone", "its mask too", "export it in eval mode")
    if call.has(2) and call.number(2):
        call.refuse("dropout in eval mode", "training_mode", "export it in eval mode")
    return call.value(0)


MOVES: dict[str, Operator] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "ScatterND": _scatter_nd,
    "ScatterElements": _scatter_elements,
    "Tile": _tile,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Trilu": _trilu,
    "OneHot": _one_hot,
    "Dropout": _dropout,
    "Identity": lambda call: call.value(0),
}
