"""What trials say: a share with its interval.

Trials of one shot each are a rate (Wilson); else every trial is a chip with an accuracy of its own, and the
estimate is the mean over chips (Student's t). No trials, no estimate (NaN).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xbarsim.metrics.intervals import Estimate, mean_from_moments, wilson


class Moments(NamedTuple):
    """Trials of a task in sums: how many, the mean and the (n - 1) variance of hits / shots.

    `single` says that every trial had one shot.
    """

    trials: int
    mean: float
    variance: float
    single: bool

    def estimate(self, *, confidence: float = 0.95) -> Estimate:
        """The share with its interval."""
        if self.trials == 0:
            return Estimate(float("nan"), float("nan"), float("nan"))
        if self.single:
            return wilson(round(self.mean * self.trials), self.trials, confidence=confidence)
        found = mean_from_moments(self.trials, self.mean, self.variance, confidence=confidence)
        if self.trials == 1:
            return found  # it has no ends
        return Estimate(found.value, max(0.0, found.low), min(1.0, found.high))


def moments(shots: NDArray[np.int64], hits: NDArray[np.int64]) -> Moments:
    """Of the (trials,) shots and hits of a task."""
    if len(shots) == 0:
        return Moments(0, float("nan"), 0.0, False)
    shares = hits / shots
    variance = float(shares.var(ddof=1)) if len(shares) > 1 else 0.0
    return Moments(len(shares), float(shares.mean()), variance, bool((shots == 1).all()))


def estimate(shots: NDArray[np.int64], hits: NDArray[np.int64], *, confidence: float = 0.95) -> Estimate:
    """The share with its interval, from the (trials,) shots and hits of a task."""
    return moments(shots, hits).estimate(confidence=confidence)
