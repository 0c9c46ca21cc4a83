"""Confidence intervals of rates, of means over chips, and of differences on the same chips.

Quantiles come from `scipy.special`, bit for bit those of `scipy.stats`, whose import would cost every command
that runs trials most of a second; what needs more of it imports it where it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log1p

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri, stdtrit

from xbarsim.arrays import check_array, check_scores
from xbarsim.errors import InputError, check_int, check_number, is_integer, is_number
from xbarsim.hints import check_fields, checked
from xbarsim.rng import stream

MOST_SHOTS = 2**62


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        check_fields(self, unknown=("value", "low", "high"))

    def __str__(self) -> str:
        return f"{self.value:.2%} [{self.low:.2%}, {self.high:.2%}]"


@checked
def wilson(hits: int, shots: int, *, confidence: float = 0.95) -> Estimate:
    """A rate with its Wilson score interval (Wilson, JASA 1927).

    >>> print(wilson(97, 100))
    97.00% [91.55%, 98.97%]
    """
    _check_counts(hits, shots)
    z = ndtri((1 + check_confidence(confidence)) / 2)
    p = hits / shots
    centre = (p + z * z / (2 * shots)) / (1 + z * z / shots)
    half = z / (1 + z * z / shots) * np.sqrt(p * (1 - p) / shots + z * z / (4 * shots * shots))
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == shots else centre + half
    return Estimate(p, float(low), float(high))


@checked
def mean_over_chips(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """A mean with Student's t interval; chips are the independent samples. One chip has no interval (NaN)."""
    x = check_scores("mean over chips", values)
    mean = float(x.mean())
    if x.size == 1:
        check_confidence(confidence)
        return mean_from_moments(1, mean, 0.0)
    return mean_from_moments(x.size, mean, float(x.var(ddof=1)), confidence=confidence)


def mean_from_moments(count: int, mean: float, variance: float, *, confidence: float = 0.95) -> Estimate:
    """The interval of `mean_over_chips` from the number of chips, their mean and their (n - 1) variance."""
    if count < 2:
        return Estimate(mean, float("nan"), float("nan"))
    half = float(stdtrit(count - 1, (1 + check_confidence(confidence)) / 2) * np.sqrt(variance / count))
    return Estimate(mean, mean - half, mean + half)


def clopper_pearson(hits: int, shots: int, *, confidence: float = 0.95) -> Estimate:
    """A rate with its exact interval, which covers at least as often as it says (Clopper, Pearson 1934).

    >>> print(clopper_pearson(0, 100))
    0.00% [0.00%, 3.62%]
    """
    _check_counts(hits, shots)
    tail = (1 - check_confidence(confidence)) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, shots - hits + 1, tail))
    high = 1.0 if hits == shots else float(betaincinv(hits + 1, shots - hits, 1 - tail))
    return Estimate(hits / shots, low, high)


def bootstrap_mean(
    values: Sequence[float], *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Estimate:
    """A mean over chips with its bootstrap interval, bias-corrected and accelerated (Efron, JASA 1987).

    For means of skewed values, where Student's t is too short on one side. Equal values have no spread: the
    interval is the value. One chip has no interval (NaN).
    """
    from scipy.stats import bootstrap

    x = check_scores("mean over chips", values)
    check_confidence(confidence)
    check_int("resamples", resamples, 1, 10**7)
    mean = float(x.mean())
    if x.size == 1:
        return Estimate(mean, float("nan"), float("nan"))
    if np.ptp(x) == 0:
        return Estimate(mean, mean, mean)
    found = bootstrap(
        (x,), np.mean, confidence_level=check_confidence(confidence), n_resamples=resamples, batch=500,
        rng=stream(seed, "bootstrap"),
    ).confidence_interval  # fmt: skip
    return Estimate(mean, float(found.low), float(found.high))


@checked
def paired_difference(
    first: Sequence[float], second: Sequence[float], *, confidence: float = 0.95
) -> Estimate:
    """How much higher `first` is than `second` on the same chips: mean of the differences, Student's t.

    What the chips have in common cancels, so that the interval is shorter than those of the two means.

    >>> print(paired_difference([0.90, 0.80, 0.70], [0.88, 0.79, 0.67]))
    2.00% [-0.48%, 4.48%]
    """
    one, other = check_scores("first", first), check_scores("second", second)
    if len(one) != len(other):
        raise InputError("paired difference", "as many values of both", f"{len(one)} and {len(other)}")
    return mean_over_chips((one - other).tolist(), confidence=confidence)


def tolerance_limit(values: ArrayLike, beyond: float, *, confidence: float = 0.95) -> float:
    """A value that, with the confidence, at most a share `beyond` of a population exceeds (Wilks 1941).

    One of a sample's largest values, whatever the distribution; its values have to be independent.

    >>> tolerance_limit(range(1000), 0.01)
    995

    Raises
    ------
    InputError : fewer values than `smallest_sample`, values that are not numbers.
    """
    from scipy.stats import binom

    where = "values of a tolerance limit"
    x, needed = np.sort(check_array(where, values, ("N",))), smallest_sample(beyond, confidence=confidence)
    if x.size < needed:
        raise InputError(where, f"at least {needed} numbers", x.size)
    # more than that share exceeds the k-th largest value if fewer than k of the sample are of that share
    fewer = binom.cdf(np.arange(x.size), x.size, beyond)
    return x[x.size - int(np.searchsorted(fewer, 1 - confidence, "right"))].item()


def smallest_sample(beyond: float, *, confidence: float = 0.95) -> int:
    """Of how many values the largest is a tolerance limit.

    >>> smallest_sample(0.01)
    299
    """
    from scipy.stats import binom

    check_number("beyond", beyond, 1e-9, 1 - 1e-9)
    size = int(log(1 - check_confidence(confidence)) / log1p(-beyond))
    while binom.cdf(0, size, beyond) > 1 - confidence:
        size += 1
    return size


def check_confidence(value: float) -> float:
    """Return `value` if it is a confidence: a number strictly between 0 and 1."""
    if not is_number(value) or not 0 < value < 1:
        raise InputError("confidence", "a number between 0 and 1", repr(value)[:60], "95 % is written 0.95")
    return value


def _check_counts(hits: int, shots: int) -> None:
    whole = is_integer(hits) and is_integer(shots)
    if not whole or not 0 < shots <= MOST_SHOTS or not 0 <= hits <= shots:
        expected = "integers 0 <= hits <= shots with shots above 0"
        raise InputError("rate", expected, f"{hits!r} of {shots!r}"[:60])
