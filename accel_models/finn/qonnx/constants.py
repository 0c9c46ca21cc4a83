"""Constants of an ONNX file: stored ones, and those that quantizers and transpositions make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.qonnx.operator import CLEAN, Constant, Operator
from xbarsim.errors import InputError, check_int
from xbarsim.graph.nodes import integer_range

ROUNDINGS: dict[str, Callable[[NDArray], NDArray]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "FLOOR": np.floor,
    "CEIL": np.ceil,
}


def computed(operator: Operator) -> Constant:
    """What an operator makes of constants alone."""
    match operator.kind:
        case "Constant" if hasattr(operator.attributes.get("value"), "data_location"):
            return Constant(stored(operator.attributes["value"]))
        case "Identity":
            return operator.constant(0)
        case "Transpose":
            source = operator.constant(0)
            backwards = list(range(source.numbers.ndim))[::-1]
            axes = operator.integers("perm", tuple(backwards))
            if sorted(axes) != backwards[::-1]:
                raise InputError(operator.where, "an order of the axes", str(axes)[:60])
            return source.transposed(list(axes))
        case "BipolarQuant":
            return bipolar(operator.where, operator.constant(0).values, operator.constant(1).numbers)
        case "Quant" | "IntQuant":
            return quantized(operator)
    raise InputError(operator.where, "constants that are stored", "one to compute", CLEAN)


def stored(tensor: Any) -> NDArray:
    """The numbers of a stored tensor."""
    from onnx import TensorProto, numpy_helper

    where = f"tensor {tensor.name!r}"
    if tensor.data_location == TensorProto.EXTERNAL:
        raise InputError(where, "its numbers in the file", "external data", "save the model in one file")
    try:
        found = numpy_helper.to_array(tensor)
    except Exception as error:  # whatever a damaged tensor makes the parser raise
        raise InputError(where, "numbers of its shape and type", f"{error}", "export it again") from error
    if found.dtype.kind not in "fiub":
        raise InputError(where, "real numbers", str(found.dtype))
    return found


def quantized(operator: Operator) -> Constant:
    """What a Quant node makes of a constant, rounded in the file's own precision."""
    where, bits = operator.where, check_int(f"{operator.where}: bits", _whole(operator.number(3)), 1, 32)
    if operator.constant(2).values.any():
        raise InputError(where, "constants without a zero point", "one", "quantize symmetrically")
    values, scale = operator.constant(0).numbers, operator.constant(1).numbers
    signed = bool(operator.integer("signed", 1))
    if bits == 1 and signed:
        return bipolar(where, values, scale)
    _check_scale(where, values, scale)
    low, high = quantizer_range(operator, bits)
    rounded_by = rounding(operator)
    try:
        with np.errstate(over="ignore"):
            rounded = rounded_by(np.clip(values / scale, low, high))
    except ValueError as error:
        raise InputError(where, f"a scale that fits {values.shape}", str(scale.shape)) from error
    return _scaled(where, rounded, scale, bits if signed else bits + 1)


def bipolar(where: str, values: NDArray, scale: NDArray) -> Constant:
    """-1 and +1 as a BipolarQuant node makes them."""
    _check_scale(where, values, scale)
    return _scaled(where, np.where(values >= 0, 1, -1), scale, 1)


def quantizer_range(operator: Operator, bits: int) -> tuple[int, int]:
    """Smallest and largest integer of a Quant node."""
    signed, narrow = operator.integer("signed", 1) != 0, operator.integer("narrow", 1) != 0
    low, high = integer_range(bits, signed)
    return (low + 1, high) if signed and narrow else (low, high - narrow)


def rounding(operator: Operator) -> Callable[[NDArray], NDArray]:
    """The numpy function of a Quant node's rounding mode."""
    mode = operator.text("rounding_mode", "ROUND").upper()
    if mode not in ROUNDINGS:
        expected = "rounding by " + ", ".join(ROUNDINGS)
        raise InputError(operator.where, expected, mode[:60], "export with ROUND")
    return ROUNDINGS[mode]


def _check_scale(where: str, values: NDArray, scale: NDArray) -> None:
    if not (np.isfinite(scale).all() and (scale > 0).all() and np.isfinite(values).all()):
        raise InputError(where, "finite numbers and scales above 0", "others", "train or export it again")


def _scaled(where: str, numbers: NDArray, scale: NDArray, bits: int) -> Constant:
    try:
        wide = np.broadcast_to(scale.astype(np.float64), numbers.shape)
    except ValueError as error:
        raise InputError(where, f"a scale that fits {numbers.shape}", str(scale.shape)) from error
    return Constant(numbers.astype(np.int64), wide, bits)


def _whole(number: float) -> Any:
    return int(number) if number == int(number) else number
