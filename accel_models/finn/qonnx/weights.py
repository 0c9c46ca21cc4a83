"""The weights of Conv, MatMul and Gemm as integers in FINN's order, and what a step of theirs is worth."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.qonnx.axes import Axes, Shape
from accel_models.finn.qonnx.operator import CLEAN, Constant, Operator
from xbarsim.errors import InputError


def layer_weights(operator: Operator, axes: Axes, shape: Shape) -> tuple[NDArray, list[Fraction], int | None]:
    """Weights of a product on data of `shape` (height, width, channels).

    Returns
    -------
    (rows, kernel height, kernel width, channels) integers, a step's worth for every row, and the bits of the
    weights if a quantizer made them.

    Raises
    ------
    InputError : padding, groups, dilation; weights of another shape or not from a quantizer; several scales
        in a row.
    """
    constant = operator.constant(1 - operator.data if operator.kind == "MatMul" else 1)
    kernels = _kernels(operator, constant, axes, shape)
    numbers, steps = _whole_weights(operator, kernels)
    return numbers, steps, None if constant.scale is None else constant.bits


def check_plain_window(operator: Operator) -> None:
    """Refuse padding, groups and dilation."""
    if any(operator.integers("pads")) or operator.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise InputError(
            operator.where, "no padding", "some", "a FINN window stays inside its input: use padding=0"
        )
    if operator.integer("group", 1) != 1 or set(operator.integers("dilations")) - {1}:
        raise InputError(operator.where, "one group, no dilation", "others", "use groups=1 and dilation=1")


def _kernels(operator: Operator, constant: Constant, axes: Axes, shape: Shape) -> Constant:
    """Weights as (rows, kernel height, kernel width, channels)."""
    if operator.kind == "Conv":
        check_plain_window(operator)
        if axes.names != "NCHW" or constant.numbers.ndim != 4:
            raise InputError(operator.where, "a 2-D convolution, channels first", axes.names, "transpose")
        return constant.transposed([0, 2, 3, 1])
    if operator.kind == "MatMul" and operator.data == 1:
        raise InputError(operator.where, "data times weights", "weights times data", "transpose both")
    rows = constant if operator.integer("transB", 0) else _transposed(operator, constant)
    if any(operator.integer(k, v) != v for k, v in (("alpha", 1), ("beta", 1), ("transA", 0))):
        raise InputError(operator.where, "alpha = beta = 1 and transA = 0", "others", CLEAN)
    height, width, channels = shape
    if axes.names != "NC" or rows.numbers.shape[1] != height * width * channels:
        expected = f"weights for {height * width * channels} flat inputs"
        raise InputError(operator.where, expected, str(rows.numbers.shape), "put a Flatten before it")
    if axes.order == "hwc":
        return _reshaped(rows, (-1, height, width, channels))
    return _reshaped(rows, (-1, channels, height, width)).transposed([0, 2, 3, 1])


def _whole_weights(operator: Operator, kernels: Constant) -> tuple[NDArray, list[Fraction]]:
    """Integer weights, and what a step of each row's is worth."""
    numbers, rows = kernels.numbers, len(kernels.numbers)
    if kernels.scale is None:
        if (numbers != np.rint(numbers)).any() or not np.isfinite(numbers).all():
            remedy = "train with quantized weights, and export with QONNX's Quant or BipolarQuant"
            raise InputError(operator.where, "weights from a quantizer", "real numbers", remedy)
        return numbers.astype(np.int64), [Fraction(1)] * rows
    steps = kernels.scale.reshape(rows, -1)
    if (steps != steps[:, :1]).any():
        raise InputError(
            operator.where, "a scale of weights a row", "several in a row", "quantize per channel"
        )
    return numbers, [Fraction(step) for step in steps[:, 0].tolist()]


def _transposed(operator: Operator, constant: Constant) -> Constant:
    if constant.numbers.ndim != 2:
        raise InputError(operator.where, "weights of two axes", str(constant.numbers.shape), CLEAN)
    return constant.transposed([1, 0])


def _reshaped(constant: Constant, shape: tuple[int, ...]) -> Constant:
    scale = None if constant.scale is None else constant.scale.reshape(shape)
    return Constant(constant.numbers.reshape(shape), scale, constant.bits)
