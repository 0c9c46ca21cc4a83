"""Silent data corruption: does an output differ from the fault-free one enough to be called faulty?

Source: RRAMedy, section IV-B (SDC-1, SDC-3 %), after Li et al., SC 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xbarsim.arrays import check_array
from xbarsim.errors import check_number

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]


def softmax(logits: Floats) -> Floats:
    """Confidences (N, classes) that add up to 1, computed without overflow."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def sdc_1(expected: Floats, observed: Floats) -> Bools:
    """SDC-1: the top class differs. Logits (N, classes) in, (N,) out."""
    expected, observed = _checked(expected, observed)
    return expected.argmax(axis=1) != observed.argmax(axis=1)


def sdc_confidence(
    expected: Floats, observed: Floats, *, threshold: float = 0.03, relative: bool = False
) -> Bools:
    """SDC-x %: the confidence of the top class differs by more than `threshold`. Logits in, (N,) out.

    The paper does not say whether the difference is absolute (default here) or relative.
    """
    check_number("threshold", threshold, 0, 1)
    change = confidence_change(expected, observed)
    return change > (threshold * softmax(np.asarray(expected)).max(axis=1) if relative else threshold)


def confidence_change(expected: Floats, observed: Floats) -> Floats:
    """How far the confidence of the top class moves, in shares. Logits (N, classes) in, (N,) out."""
    expected, observed = _checked(expected, observed)
    return np.abs(softmax(observed).max(axis=1) - softmax(expected).max(axis=1))


def _checked(expected: Floats, observed: Floats) -> tuple[Floats, Floats]:
    known = check_array("expected logits", expected, ("N", "classes"))
    return known, check_array("observed logits", observed, known.shape)
