"""Reading layers of Brevitas: integers of weights, levels of activations, and their scales.

`finn_export.finn_graph` takes modules of these layers, and `injection.fault_aware` finds their activations.
Numbers are taken as Brevitas gives them, exactly, and each activation is asked at, below and above all its
decision points, so that a quantizer of another kind is refused rather than misread. BNN-PYNQ's CNV scales
its images before its first layer, and so enters as its layers:
`nn.Sequential(*cnv.conv_features, nn.Flatten(), *cnv.linear_features)`, for images 2 * pixel / 255 - 1. A
number right between two inputs rounds up in the graph and to even in Brevitas; no pixel lies there.

Assumes Brevitas 0.13 (the extra `xbarsim[brevitas]`), which is loaded when a module with its layers exists.

Sources: Brevitas (Pappalardo, zenodo 3333552), `brevitas.nn`; its `bnn_pynq` examples for CNV.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from xbarsim.errors import InputError, check_int
from xbarsim.graph.nodes import IntArray
from xbarsim.torch_bridge.levels import Levels
from xbarsim.torch_bridge.quantized import MOST_BITS

PRODUCTS = ("QuantConv2d", "QuantLinear")
ACTIVATIONS = ("QuantIdentity", "QuantHardTanh", "QuantReLU")
HALF = Fraction(1, 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """What a layer multiplies with.

    Parameters
    ----------
    integers : in the shape of the layer's weight
    scale : (outputs,) fractions above 0
    bias : (outputs,) fractions, or None
    """

    integers: IntArray
    scale: NDArray[np.object_]
    bias: NDArray[np.object_] | None


def is_product(layer: Any) -> bool:
    """Whether this is Brevitas's convolution or linear layer."""
    return _is_of_brevitas(layer) and type(layer).__name__ in PRODUCTS


def is_activation(layer: Any) -> bool:
    """Whether this is a layer of Brevitas that quantizes activations, of a kind that can be read."""
    return _is_of_brevitas(layer) and type(layer).__name__ in ACTIVATIONS


def _is_of_brevitas(layer: Any) -> bool:
    return type(layer).__module__.startswith("brevitas.nn.")


@torch.no_grad()
def weights_of(layer: Any, name: str) -> Weights:
    """Integers and scales of a QuantConv2d or QuantLinear of at most 8 bits.

    Raises
    ------
    InputError : a layer without quantized weights, or with more than that; weights that are not finite.
    """
    where = f"layer {name!r} ({type(layer).__name__})"
    _check_plain(layer, where)
    tensor = layer.quant_weight()
    _check_integers(tensor, where, "weight_quant")
    value, scale = tensor.value.cpu().double(), tensor.scale.cpu().double()
    outputs = len(value)
    if scale.numel() != 1 and (scale.numel() != outputs or len(scale) != outputs):
        raise InputError(where, "one scale, or one an output channel", f"scales {tuple(scale.shape)}")
    if not torch.isfinite(value).all() or not torch.isfinite(scale).all() or not (scale > 0).all():
        raise InputError(where, "finite weights and scales above 0", "another number", "train again")
    steps = value / scale
    if ((steps - steps.round()).abs() > 1e-3).any():
        raise InputError(where, "integers times a scale", "weights between them", "end the quantizer's delay")
    return Weights(
        integers=steps.round().long().numpy(),
        scale=_fractions(scale, outputs, f"{where}: scale"),
        bias=None if layer.bias is None else _fractions(layer.bias, outputs, f"{where}: bias"),
    )


@torch.no_grad()
def levels_of(layer: Any, name: str) -> Levels:
    """Integers and decision points of a QuantIdentity, QuantHardTanh or QuantReLU of at most 8 bits.

    Raises
    ------
    InputError : a quantizer that does not round x / scale to integers, nor takes its sign; a zero point; more
        than one scale.
    """
    where = f"layer {name!r} ({type(layer).__name__})"
    quantizer = layer.act_quant
    if not quantizer.is_quant_enabled:
        raise InputError(where, "a quantizer", "act_quant=None or disabled", "set act_quant")
    input_quant = getattr(layer, "input_quant", None)
    if input_quant is not None and input_quant.is_quant_enabled:
        raise InputError(where, "no input_quant", "one", "put a QuantIdentity of its own before the layer")
    with _evaluating(layer):
        tensor = quantizer(next(quantizer.buffers()).new_zeros(1))
    _check_integers(tensor, where, "act_quant")
    scale = tensor.scale
    if scale.numel() != 1 or not torch.isfinite(scale).all() or not (scale > 0).all():
        raise InputError(where, "one scale above 0", f"scales {tuple(scale.shape)} like {scale.flatten()[0]}")
    levels = _read_levels(layer, tensor, where)
    _ask(layer, levels, tensor, where)
    return levels


def activation_values(layer: Any, name: str) -> tuple[float, ...]:
    """All numbers that such an activation gives, with its scale of this moment, ascending.

    Raises
    ------
    InputError : as `levels_of`; a layer that hands on Brevitas's own tensors.
    """
    if layer.return_quant_tensor:
        where = f"layer {name!r} ({type(layer).__name__})"
        raise InputError(where, "return_quant_tensor=False", "True", "hand on plain tensors")
    return levels_of(layer, name).values


def _check_plain(layer: Any, where: str) -> None:
    if not layer.weight_quant.is_quant_enabled:
        raise InputError(where, "quantized weights", "weight_quant=None or disabled", "set weight_quant")
    for side in ("input_quant", "output_quant"):
        if getattr(layer, side).is_quant_enabled:
            raise InputError(where, f"no {side}", "one", "put a QuantIdentity of its own there")
    if layer.bias is not None and layer.bias_quant.is_quant_enabled:
        raise InputError(where, "bias_quant=None", "a quantized bias", "the batch norm behind has a bias")
    if getattr(layer, "groups", 1) != 1:
        raise InputError(where, "one group", layer.groups, "write the convolution with groups=1")
    if getattr(layer, "is_same_padded_strided", False):
        raise InputError(where, "padding in numbers", "'same' with a stride", "use padding=0")


def _check_integers(tensor: Any, where: str, what: str) -> None:
    from brevitas.quant_tensor import IntQuantTensor

    if not isinstance(tensor, IntQuantTensor):
        raise InputError(f"{where}: {what}", "integers times one scale", type(tensor).__name__)
    if (tensor.zero_point != 0).any():
        raise InputError(f"{where}: {what}", "zero point 0", "another one", "use symmetric quantizers")
    bits = float(tensor.bit_width)
    check_int(f"{where}: {what}: bit_width", int(bits) if bits.is_integer() else bits, 1, MOST_BITS)


def _fractions(numbers: torch.Tensor, count: int, where: str) -> NDArray[np.object_]:
    if not torch.isfinite(numbers).all():
        raise InputError(where, "finite numbers", "NaN or infinity", "train again")
    found = np.empty(numbers.numel(), object)
    found[:] = [Fraction(number) for number in numbers.flatten().tolist()]
    return np.broadcast_to(found, (count,))


def _read_levels(layer: Any, tensor: Any, where: str) -> Levels:
    """What the quantizer says of itself."""
    quantizer = layer.act_quant
    bits, signed, narrow = int(tensor.bit_width), tensor.signed, bool(quantizer.is_narrow_range)
    scale = Fraction(tensor.scale.item())
    if bits == 1 and signed:
        return Levels(
            low=-1, step=2, cuts=(Fraction(0),), inclusive=(True,), bits=2, signed=True, scale=scale
        )
    half = 1 << (bits - 1)
    low, high = (narrow - half, half - 1) if signed else (0, 2 * half - 1 - narrow)
    if type(layer).__name__ == "QuantReLU":
        low = max(low, 0)
    decisions = [_decision(quantizer.rounding_mode, k, where) for k in range(low + 1, high + 1)]
    if not decisions:
        raise InputError(where, "a quantizer of two values or more", f"{low} alone", "use more bits")
    points, inclusive = zip(*decisions, strict=True)
    cuts = tuple(point * scale for point in points)
    return Levels(low=low, step=1, cuts=cuts, inclusive=inclusive, bits=bits, signed=signed, scale=scale)


def _decision(mode: str | None, k: int, where: str) -> tuple[Fraction, bool]:
    """From where on x / scale becomes k or more, and whether it does right there."""
    match str(mode).upper():
        case "ROUND":  # ties to even
            return k - HALF, k % 2 == 0
        case "DPU":  # ties to even, those below zero up
            return k - HALF, k % 2 == 0 or k <= 0
        case "FLOOR":
            return Fraction(k), True
        case "CEIL":
            return Fraction(k - 1), False
        case "ROUND_TO_ZERO":
            return (Fraction(k), True) if k > 0 else (Fraction(k - 1), False)
        case _:
            raise InputError(where, "float_to_int_impl_type ROUND, DPU, FLOOR, CEIL or ROUND_TO_ZERO", mode)


def _ask(layer: Any, levels: Levels, tensor: Any, where: str) -> None:
    """Refuse a layer that gives something else than these levels."""
    cuts, near = [cut / levels.scale for cut in levels.cuts], Fraction(1, 8)
    points = [cuts[0] - 9, *(cut - near for cut in cuts), *(cut + near for cut in cuts), cuts[-1] + 9]
    exact = levels.scale.numerator & (levels.scale.numerator - 1) == 0  # a power of two, as it is a float
    points += [cut for cut in cuts if exact or cut == 0]  # others may be missed by a rounding
    passes = list(zip(cuts, levels.inclusive, strict=True))
    steps = [sum(p > cut or (p == cut and at) for cut, at in passes) for p in points]
    numbers = [float(p * levels.scale) for p in points]
    with _evaluating(layer):
        given = layer(tensor.scale.new_tensor(numbers))
    found = getattr(given, "value", given).cpu().double() / tensor.scale.item()
    if (found.round().numpy() != levels.low + levels.step * np.array(steps)).any():
        raise InputError(where, "x / scale rounded to integers, or its sign", "a quantizer of another kind")


@contextmanager
def _evaluating(layer: nn.Module) -> Iterator[None]:
    """The layer in evaluation, so that reading it changes no statistics; as before at the end."""
    modes = [(part, part.training) for part in layer.modules()]
    layer.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
