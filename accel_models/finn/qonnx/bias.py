"""The last layer's bias in integers, with every comparison of classes as it is with the exact numbers."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor

import numpy as np

from accel_models.finn.layer import IntArray
from xbarsim.errors import InputError

BIAS_SHIFTS = (8, 16, 24)


def last_bias(exact_bias: list[Fraction]) -> tuple[IntArray, int]:
    """The last layer's bias in steps of 2**-shift of the accumulator.

    Sums of integers and biases compare as they do exactly, since the rounded biases' fractional parts keep
    their order.
    """
    near = [round(b) for b in exact_bias]
    if all(abs(b - n) * (1 << 21) <= abs(b) for b, n in zip(exact_bias, near, strict=True)):
        return np.array(near, np.int64), 0  # whole numbers, but for the rounding of single precision
    for shift in BIAS_SHIFTS:
        rounded = [floor(b * (1 << shift) + Fraction(1, 2)) for b in exact_bias]
        if max(map(abs, rounded)) < 1 << 47 and _same_order(exact_bias, rounded, shift):
            return np.array(rounded, np.int64), shift
    remedy = "quantize the last bias, to the scale of the product"
    raise InputError(
        "the file's output", f"biases that {BIAS_SHIFTS[-1]} places tell apart", "closer ones", remedy
    )


def _same_order(exact_bias: list[Fraction], rounded: list[int], shift: int) -> bool:
    parts = [
        (b % 1, r % (1 << shift), floor(b) - (r >> shift)) for b, r in zip(exact_bias, rounded, strict=True)
    ]
    parts.sort()
    steps = pairwise(parts)
    ordered = all((a[0] == b[0]) == (a[1] == b[1]) and a[1] <= b[1] for a, b in steps)
    return ordered and not any(carry for _, _, carry in parts)
