"""How many faults of a finite population to draw, so that a share is known well enough.

n = N / (1 + e^2 (N - 1) / (t^2 p (1 - p))).

Source: R. Leveugle, A. Calvez, P. Maistri, P. Vanhauwaert, "Statistical fault injection: quantified error and
confidence", DATE 2009.
"""

from __future__ import annotations

import math

from scipy.special import ndtri

from xbarsim.errors import InputError, check_int, is_number
from xbarsim.metrics.intervals import check_confidence


def sample_size(population: int, *, margin: float, confidence: float = 0.95, share: float = 0.5) -> int:
    """How many of `population` faults, drawn without repetition, give a share within `margin`.

    Parameters
    ----------
    margin : half the width of the interval that is wanted, in shares (0.01 is one point)
    share : what is expected; one half asks for most and is safe

    Raises
    ------
    InputError : an empty population, a margin or share outside 0..1.

    >>> sample_size(10_000, margin=0.05), sample_size(10**9, margin=0.01)
    (370, 9604)
    """
    count = check_int("population", population, 1, 10**18)
    for name, value in (("margin", margin), ("share", share)):
        if not is_number(value) or not 0 < value < 1:
            raise InputError(name, "a number between 0 and 1", repr(value), "1 % is written 0.01")
    t = float(ndtri((1 + check_confidence(confidence)) / 2))
    spread, wanted = t**2 * share * (1 - share), margin**2 * (count - 1)
    drawn = count * spread / (spread + wanted) if spread + wanted else count
    return max(1, min(count, math.ceil(drawn)))
