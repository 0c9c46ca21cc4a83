"""Confidence intervals of rates and of means over chips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from xbarsim.checks import InputError


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2%} [{self.low:.2%}, {self.high:.2%}]"


def wilson(hits: int, shots: int, *, confidence: float = 0.95) -> Estimate:
    """A rate with its Wilson score interval (Wilson, JASA 1927).

    >>> print(wilson(97, 100))
    97.00% [91.55%, 98.97%]
    """
    if shots <= 0 or not 0 <= hits <= shots:
        raise InputError("rate", "0 <= hits <= shots with shots above 0", f"{hits} of {shots}")
    z = norm.ppf((1 + confidence) / 2)
    p = hits / shots
    centre = (p + z * z / (2 * shots)) / (1 + z * z / shots)
    half = z / (1 + z * z / shots) * np.sqrt(p * (1 - p) / shots + z * z / (4 * shots * shots))
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == shots else centre + half
    return Estimate(p, float(low), float(high))


def mean_over_chips(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """A mean with Student's t interval; chips are the independent samples. One chip has no interval (NaN)."""
    x = np.asarray(values, float)
    if x.size == 0:
        raise InputError("mean over chips", "at least one chip", "none")
    mean = float(x.mean())
    if x.size == 1:
        return Estimate(mean, float("nan"), float("nan"))
    half = float(t.ppf((1 + confidence) / 2, x.size - 1) * x.std(ddof=1) / np.sqrt(x.size))
    return Estimate(mean, mean - half, mean + half)
