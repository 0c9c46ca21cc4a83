"""Power-of-two scales of fixed-point tensors."""

from __future__ import annotations

import numpy as np

from xbarsim.errors import InputError
from xbarsim.graph.nodes import integer_range

MOST_PLACES = 32


def finest_fraction(low: float, high: float, bits: int, signed: bool) -> int:
    """Most binary places f with low * 2**f and high * 2**f inside the integers of `bits` bits.

    >>> finest_fraction(0.0, 1.0, 16, False), finest_fraction(-3.0, 1.0, 8, True)
    (15, 5)
    """
    smallest, largest = integer_range(bits, signed)
    limits = [
        value / limit for value, limit in ((low, smallest), (high, largest)) if limit and value / limit > 0
    ]
    if not limits:
        return bits - 1
    fraction = -int(np.ceil(np.log2(max(limits))))
    if abs(fraction) > MOST_PLACES:
        expected = f"a largest magnitude that {-MOST_PLACES}..{MOST_PLACES} binary places fit"
        raise InputError(
            "fixed-point scale", expected, f"{max(-low, high):.3g}", "scale the network or the images"
        )
    return fraction
