"""The quantizers of QONNX as decision points: Quant, BipolarQuant, MultiThreshold.

Source: the operators' definitions in fastmachinelearning/qonnx, docs/qonnx-custom-ops.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.layer import BIPOLAR, MOST_BITS, Stream
from accel_models.finn.qonnx.affine import Quantizer
from accel_models.finn.qonnx.constants import quantizer_range, rounding
from accel_models.finn.qonnx.operator import Operator
from xbarsim.errors import InputError, check_int

QUANTIZERS = ("Quant", "IntQuant", "BipolarQuant", "MultiThreshold")
HALF = Fraction(1, 2)


def quantizer_of(operator: Operator, axes: str, channels: int) -> Quantizer:
    """The decision points of a quantizer of activations.

    Raises
    ------
    InputError : scales that differ from channel to channel, more than 8 bits, a zero point that is no whole
        number, thresholds out of order or for other channels.
    """
    if operator.kind == "MultiThreshold":
        return _multi_threshold(operator, axes, channels)
    if operator.kind == "BipolarQuant":
        return _bipolar(_scale(operator))
    return _quant(operator)


def _bipolar(scale: Fraction) -> Quantizer:
    return Quantizer(BIPOLAR, scale, _cuts([Fraction(0)]), (True,))


def _quant(operator: Operator) -> Quantizer:
    where = operator.where
    scale, zero, bits = _scale(operator), operator.number(2), operator.number(3)
    if bits != int(bits) or zero != int(zero):
        raise InputError(where, "whole bits and a whole zero point", f"{bits} and {zero}")
    remedy = f"quantize activations to 1..{MOST_BITS} bits"
    width = check_int(f"{where}: bits", int(bits), 1, MOST_BITS, remedy)
    signed = operator.integer("signed", 1) != 0
    if width == 1 and signed:
        return _bipolar(scale) if zero == 0 else _refuse_zero(where)
    low, high = quantizer_range(operator, width)
    check_int(f"{where}: zero point", int(zero), -(1 << MOST_BITS), 1 << MOST_BITS)
    points, inclusive = _decisions(rounding(operator), range(low + 1, high + 1))
    if not points:
        raise InputError(where, "at least two levels", "one", remedy)
    stream = Stream(low=low - int(zero), step=1, top=high - low)
    return Quantizer(stream, scale, _cuts([scale * (p - int(zero)) for p in points]), inclusive)


def _decisions(mode: object, levels: range) -> tuple[list[Fraction], tuple[bool, ...]]:
    """Where rounding reaches each level, and whether the very point does."""
    if mode is np.floor:
        return [Fraction(k) for k in levels], (True,) * len(levels)
    if mode is np.ceil:
        return [Fraction(k - 1) for k in levels], (False,) * len(levels)
    # a half goes to the even neighbour
    return [k - HALF for k in levels], tuple(k % 2 == 0 for k in levels)


def _refuse_zero(where: str) -> Quantizer:
    raise InputError(where, "no zero point, with one signed bit", "one", "quantize to -1 and +1")


def _multi_threshold(operator: Operator, axes: str, channels: int) -> Quantizer:
    where = operator.where
    layout = operator.text("data_layout", "") or {4: "NCHW", 2: "NC"}[len(axes)]
    if layout != axes:
        raise InputError(where, f"thresholds for {axes}", layout, "give data_layout")
    points = operator.constant(1).values
    if points.ndim != 2 or points.shape[0] not in (1, channels) or not 1 <= points.shape[1] < 1 << MOST_BITS:
        expected = f"thresholds (1 or {channels}, 1..{(1 << MOST_BITS) - 1})"
        raise InputError(where, expected, str(points.shape), "quantize to at most 8 bits, per channel")
    if not np.isfinite(points).all() or (np.diff(points, axis=1) < 0).any():
        raise InputError(where, "finite thresholds in ascending order", "others", "export it again")
    cuts = np.array([[Fraction(t) for t in row] for row in points.tolist()], object)
    scale, low = Fraction(operator.real("out_scale", 1.0)), Fraction(operator.real("out_bias", 0.0))
    stream, scale = _levels(where, scale, low, points.shape[1])
    return Quantizer(stream, scale, cuts, (True,) * points.shape[1])


def _levels(where: str, scale: Fraction, low: Fraction, top: int) -> tuple[Stream, Fraction]:
    """scale * count + low as a number times the values of a stream."""
    if scale <= 0 or (2 * low / scale).denominator != 1 or abs(low / scale) > 1 << (MOST_BITS - 1):
        expected = "out_scale above 0, and out_bias a multiple of its half"
        raise InputError(where, expected, f"{float(scale):g} and {float(low):g}", "quantize symmetrically")
    if (low / scale).denominator == 1:
        return Stream(low=int(low / scale), step=1, top=top), scale
    return Stream(low=int(2 * low / scale), step=2, top=top), scale / 2


def _scale(operator: Operator) -> Fraction:
    scale = operator.number(1)
    if scale <= 0:
        raise InputError(operator.where, "a scale above 0", scale, "train or export it again")
    return Fraction(scale)


def _cuts(points: list[Fraction]) -> NDArray[np.object_]:
    return np.array([points], object)
