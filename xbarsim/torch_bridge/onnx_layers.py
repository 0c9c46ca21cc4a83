"""ONNX's convolutions, pools, norms and resizes as functions of torch tensors.

Source: the ONNX operator specification, opsets 13 to 24.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, prod
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from xbarsim.torch_bridge.onnx_math import Operator
from xbarsim.torch_bridge.onnx_values import Call, Known

CONVOLUTIONS: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED: dict[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOLS: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGES: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
CUBIC_A, HALF = -0.75, np.float32(0.5)
Sides = list[tuple[int, int]]


def _axes_of(call: Call, tensor: torch.Tensor, table: dict[int, Any]) -> int:
    axes = tensor.ndim - 2
    if axes not in table:
        call.refuse("one, two or three axes beside batch and channels", axes)
    return axes


def _sides(call: Call, x: torch.Tensor, kernel: list[int], stride: list[int], dilation: list[int]) -> Sides:
    """What is put around every axis, before and behind."""
    axes, auto = len(kernel), call.text("auto_pad", "NOTSET")
    if auto == "VALID":
        return [(0, 0)] * axes
    if auto == "NOTSET":
        pads = call.integers("pads", [0] * (2 * axes))
        if len(pads) != 2 * axes:
            call.refuse(f"{2 * axes} pads", len(pads))
        return list(zip(pads[:axes], pads[axes:], strict=True))
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        call.refuse("auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER", auto)
    found = []
    for size, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True):
        if not isinstance(size, int):
            call.refuse("images of one size, with auto_pad", "sizes that vary")
        total = max((ceil(size / s) - 1) * s + d * (k - 1) + 1 - size, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return found


def _padded(x: torch.Tensor, sides: Sides, value: float) -> torch.Tensor:
    flat = [end for side in reversed(sides) for end in side]
    return F.pad(x, flat, value=value) if any(flat) else x


def _even(sides: Sides) -> bool:
    return all(a == b and a >= 0 for a, b in sides)


def _conv(call: Call) -> torch.Tensor:
    x, weight, bias = call.tensor(0), call.tensor(1), call.optional(2)
    axes = _axes_of(call, weight, CONVOLUTIONS)
    stride, dilation = call.integers("strides", [1] * axes), call.integers("dilations", [1] * axes)
    sides = _sides(call, x, [int(k) for k in weight.shape[2:]], stride, dilation)
    if not _even(sides):
        x, sides = _padded(x, sides, 0.0), [(0, 0)] * axes
    padding = [a for a, _ in sides]
    return CONVOLUTIONS[axes](x, weight, bias, stride, padding, dilation, call.integer("group", 1))


def _conv_transpose(call: Call) -> torch.Tensor:
    x, weight, bias = call.tensor(0), call.tensor(1), call.optional(2)
    axes = _axes_of(call, weight, TRANSPOSED)
    stride, dilation = call.integers("strides", [1] * axes), call.integers("dilations", [1] * axes)
    more, groups = call.integers("output_padding", [0] * axes), call.integer("group", 1)
    kernel = [int(k) for k in weight.shape[2:]]
    sides = _transposed_sides(call, x, kernel, stride, dilation, more)
    if _even(sides):
        padding = [a for a, _ in sides]
        return TRANSPOSED[axes](x, weight, bias, stride, padding, more, groups, dilation)
    found = TRANSPOSED[axes](x, weight, bias, stride, 0, more, groups, dilation)
    return _padded(found, [(-a, -b) for a, b in sides], 0.0)


def _transposed_sides(
    call: Call, x: torch.Tensor, kernel: list[int], stride: list[int], dilation: list[int], more: list[int]
) -> Sides:
    auto = call.text("auto_pad", "NOTSET")
    wanted = call.node.attributes.get("output_shape")
    if wanted is None and auto in ("NOTSET", "VALID"):
        return _sides(call, x, kernel, stride, dilation)
    found = []
    for axis, (size, k, s, d, m) in enumerate(zip(x.shape[2:], kernel, stride, dilation, more, strict=True)):
        out = size * s if wanted is None else call.integers("output_shape")[-len(kernel) :][axis]
        total = s * (size - 1) + m + (k - 1) * d + 1 - out
        half = total // 2
        found.append((half, total - half) if auto == "SAME_UPPER" else (total - half, half))
    return found


def _window(call: Call, x: torch.Tensor) -> tuple[int, list[int], list[int], list[int], Sides, bool]:
    axes = _axes_of(call, x, MAX_POOLS)
    kernel = call.integers("kernel_shape")
    stride, dilation = call.integers("strides", [1] * axes), call.integers("dilations", [1] * axes)
    if len(kernel) != axes:
        call.refuse(f"a kernel_shape of {axes}", str(kernel)[:60])
    sides = _sides(call, x, kernel, stride, dilation)
    return axes, kernel, stride, dilation, sides, bool(call.integer("ceil_mode", 0))


def _max_pool(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    if len([name for name in call.node.outputs if name]) > 1:
        call.refuse("the largest values alone", "their places too")
    axes, kernel, stride, dilation, sides, up = _window(call, x)
    if not _even(sides) or any(2 * a > k for (a, _), k in zip(sides, kernel, strict=True)):
        within = all(0 <= end < k for side, k in zip(sides, kernel, strict=True) for end in side)
        if within and not up and max(dilation) == 1:
            # every window that reaches beyond an edge holds the edge: repeated, it changes no maximum
            x = F.pad(x, [end for side in reversed(sides) for end in side], mode="replicate")
        else:
            x = _padded(x, sides, -float("inf"))
        sides = [(0, 0)] * axes
    return MAX_POOLS[axes](x, kernel, stride, [a for a, _ in sides], dilation, up)


def _average_pool(call: Call) -> torch.Tensor:
    return _average(call, call.tensor(0), bool(call.integer("count_include_pad", 0)))


def _average(call: Call, x: torch.Tensor, counted: bool) -> torch.Tensor:
    axes, kernel, stride, dilation, sides, up = _window(call, x)
    if any(d != 1 for d in dilation):
        call.refuse("average pools without dilation", str(dilation)[:60])
    fits = all(2 * a <= k for (a, _), k in zip(sides, kernel, strict=True))
    if _even(sides) and fits:
        return AVERAGES[axes](x, kernel, stride, [a for a, _ in sides], up, counted)
    found = AVERAGES[axes](_padded(x, sides, 0.0), kernel, stride, 0, up)
    if counted:
        return found
    ones = _padded(torch.ones((1, 1, *x.shape[2:])), sides, 0.0)
    return found / AVERAGES[axes](ones, kernel, stride, 0, up)


def _lp_pool(call: Call) -> torch.Tensor:
    p = float(call.integer("p", 2))
    powers = call.tensor(0).abs().pow(p)
    return (_average(call, powers, True) * prod(call.integers("kernel_shape"))).pow(1 / p)


def _spatial(x: torch.Tensor) -> list[int]:
    return list(range(2, x.ndim))


def _global_average(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    return F.adaptive_avg_pool2d(x, (1, 1)) if x.ndim == 4 else x.mean(dim=_spatial(x), keepdim=True)


def _global_max(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    return x.amax(dim=_spatial(x), keepdim=True)


def _global_lp(call: Call) -> torch.Tensor:
    x, p = call.tensor(0), float(call.integer("p", 2))
    return x.abs().pow(p).sum(dim=_spatial(x), keepdim=True).pow(1 / p)


def _batch_norm(call: Call) -> torch.Tensor:
    x, scale, shift, mean, variance = call.tensors()[:5]
    epsilon = call.real("epsilon", 1e-5)
    if not call.integer("training_mode", 0):
        return F.batch_norm(x, mean, variance, scale, shift, False, 0.0, epsilon)
    if not isinstance(call.value(0), Known):  # constants: standardized weights
        call.refuse("batch norm in eval mode", "training_mode=1", "export it in eval mode")
    return F.batch_norm(x, None, None, scale, shift, True, 0.0, epsilon)


def _instance_norm(call: Call) -> torch.Tensor:
    x, scale, shift = call.tensors()
    return F.instance_norm(x, weight=scale, bias=shift, eps=call.real("epsilon", 1e-5))


def _group_norm(call: Call) -> torch.Tensor:
    x, scale, shift = call.tensors()
    groups = call.integer("num_groups", 1)
    if len(scale) != x.shape[1]:  # opset 18: one a group
        scale, shift = (t.repeat_interleave(x.shape[1] // groups) for t in (scale, shift))
    return F.group_norm(x, groups, scale, shift, call.real("epsilon", 1e-5))


def _layer_norm(call: Call) -> torch.Tensor:
    if len([name for name in call.node.outputs if name]) > 1:
        call.refuse("the normalized values alone", "their mean too")
    x = call.tensor(0)
    sizes = list(x.shape[call.axis(x.ndim, -1) :])
    scale, shift = call.optional(1), call.optional(2)
    scale, shift = (None if t is None else t.expand(sizes) for t in (scale, shift))
    return F.layer_norm(x, sizes, scale, shift, call.real("epsilon", 1e-5))


def _rms_norm(call: Call) -> torch.Tensor:
    x, scale = call.tensor(0), call.tensor(1)
    axes = list(range(call.axis(x.ndim, -1), x.ndim))
    mean = (x * x).mean(dim=axes, keepdim=True)
    return x * torch.rsqrt(mean + call.real("epsilon", 1e-5)) * scale


def _lrn(call: Call) -> torch.Tensor:
    size = call.integer("size", 0)
    if size < 1 or size % 2 == 0:
        call.refuse("an odd size", size)
    numbers = [call.real(n, d) for n, d in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))]
    return F.local_response_norm(call.tensor(0), size, *numbers)


def _lp_norm(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    return F.normalize(x, p=float(call.integer("p", 2)), dim=call.axis(x.ndim, -1), eps=1e-12)


def _resize(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    axes, sizes, scales = _resized_axes(call, x)
    if call.integer("antialias", 0) or call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        call.refuse("plain resizing", "antialias or keep_aspect_ratio_policy")
    mode, how = call.text("mode", "nearest"), call.text("coordinate_transformation_mode", "half_pixel")
    call.check_made([*x.shape, *sizes])
    whole = axes == list(range(2, x.ndim)) and len(axes) in LINEAR
    if mode == "nearest":
        return _nearest(call, x, axes, sizes, scales, how, whole)
    corners = how == "align_corners"
    if whole and (corners or how in ("half_pixel", "pytorch_half_pixel")):
        cubic = mode == "cubic" and len(axes) == 2 and call.real("cubic_coeff_a", CUBIC_A) == CUBIC_A
        if mode == "linear" or (cubic and not call.integer("exclude_outside", 0)):
            name = LINEAR[len(axes)] if mode == "linear" else "bicubic"
            if corners or _are_ratios(x, axes, sizes, scales):
                return F.interpolate(x, size=sizes, mode=name, align_corners=corners)
            return F.interpolate(x, scale_factor=scales, mode=name, align_corners=False)
    if mode != "linear":
        call.refuse("nearest or linear resizing, or cubic as torch exports it", f"{mode}, {how}")
    for axis, size, scale in zip(axes, sizes, scales, strict=True):
        x = _blended(call, x, axis, size, scale, how)
    return x


def _resized_axes(call: Call, x: torch.Tensor) -> tuple[list[int], list[int], list[float]]:
    """The axes that change, their sizes afterwards, and the factors."""
    named = call.integers("axes", list(range(x.ndim)))
    axes = [call.place_of(a, x.ndim) for a in named]
    by_size = call.has(3) and len(call.numbers(3)) > 0
    given = call.numbers(3 if by_size else 2)
    if len(given) != len(axes):
        call.refuse(f"{len(axes)} scales or sizes", len(given))
    found = []
    for axis, number in zip(axes, given, strict=True):
        before = x.shape[axis]
        unchanged = number is before or (not isinstance(before, int) and str(number) == str(before))
        if unchanged or (not by_size and number == 1):
            continue
        if axis == 0 and by_size and number == 1:  # the batch, written as the file's own
            continue
        if not isinstance(before, int):
            call.refuse("axes of one size to resize", "sizes that vary")
        after = int(number) if by_size else floor(before * number)
        if after < 1:
            call.refuse("sizes of at least 1", after)
        if after != before or not by_size:
            found.append((axis, after, after / before if by_size else float(number)))
    return [f[0] for f in found], [f[1] for f in found], [f[2] for f in found]


def _are_ratios(x: torch.Tensor, axes: list[int], sizes: list[int], scales: list[float]) -> bool:
    trios = zip(axes, sizes, scales, strict=True)
    return all(abs(size - scale * x.shape[axis]) < 1e-6 for axis, size, scale in trios)


def _places(call: Call, before: int, after: int, scale: float, how: str) -> np.ndarray:
    """Where every number of the result lies in the source, in single precision, as others round it."""
    x, factor = np.arange(after, dtype=np.float32), np.float32(scale)
    match how:
        case "half_pixel" | "pytorch_half_pixel":
            return np.zeros(1) if how.startswith("py") and after == 1 else (x + HALF) / factor - HALF
        case "half_pixel_symmetric":
            adjusted = np.float32(before / 2) * (1 - np.float32(after) / (factor * np.float32(before)))
            return adjusted + (x + HALF) / factor - HALF
        case "align_corners":
            return x * 0 if after == 1 else x * np.float32(before - 1) / np.float32(after - 1)
        case "asymmetric":
            return x / factor
    call.refuse("a transformation of coordinates that is known", how)


def _nearest(
    call: Call, x: torch.Tensor, axes: list[int], sizes: list[int], scales: list[float], how: str, whole: bool
) -> torch.Tensor:
    roundings: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "round_prefer_floor": lambda p: np.ceil(p - HALF),
        "round_prefer_ceil": lambda p: np.floor(p + HALF),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    rounding = roundings.get(call.text("nearest_mode", "round_prefer_floor"))
    if rounding is None:
        call.refuse("a nearest_mode that is known", call.text("nearest_mode", ""))
    taken, plain = [], whole
    for axis, size, scale in zip(axes, sizes, scales, strict=True):
        before = int(x.shape[axis])
        places = np.clip(rounding(_places(call, before, size, scale, how)), 0, before - 1).astype(np.int64)
        taken.append(places)
        plain &= size % before == 0 and np.array_equal(places, np.arange(size) // max(size // before, 1))
    if plain:
        return F.interpolate(x, size=sizes, mode="nearest")
    for axis, places in zip(axes, taken, strict=True):
        x = x.index_select(axis, torch.from_numpy(places))
    return x


def _blended(call: Call, x: torch.Tensor, axis: int, size: int, scale: float, how: str) -> torch.Tensor:
    before = int(x.shape[axis])
    places = np.clip(_places(call, before, size, scale, how), 0, before - 1)
    low = np.floor(places).astype(np.int64)
    high = np.minimum(low + 1, before - 1)
    share = (places - low).astype(np.float32).reshape(-1, *[1] * (x.ndim - 1 - axis))
    first, second = (x.index_select(axis, torch.from_numpy(p)) for p in (low, high))
    return first * torch.from_numpy(1 - share) + second * torch.from_numpy(share)


LAYERS: dict[str, Operator] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "LpPool": _lp_pool,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_max,
    "GlobalLpPool": _global_lp,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "LRN": _lrn,
    "LpNormalization": _lp_norm,
    "Resize": _resize,
}
