"""Receiver operating characteristic: what a threshold on a score detects, for how many false alarms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.arrays import check_scores
from xbarsim.hints import checked


@checked
def roc_curve(healthy: ArrayLike, faulty: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False alarms and detections of the rule "score above a threshold", for every threshold.

    Parameters
    ----------
    healthy, faulty : (chips,) scores; high means faulty

    Returns
    -------
    (points,) shares of healthy and of faulty chips above the threshold, both rising from 0 to 1.

    Raises
    ------
    InputError : no chip, other shapes, scores that are not finite numbers.

    >>> alarms, detected = roc_curve([0.1, 0.4], [0.4, 0.8, 0.9])
    >>> alarms.tolist(), detected.round(2).tolist()
    ([0.0, 0.0, 0.0, 0.5, 1.0], [0.0, 0.33, 0.67, 1.0, 1.0])
    """
    low, high = check_scores("healthy", healthy), check_scores("faulty", faulty)
    thresholds = np.unique(np.concatenate([low, high]))[::-1]
    above = [(low[:, None] >= thresholds).mean(axis=0), (high[:, None] >= thresholds).mean(axis=0)]
    alarms, detected = (np.concatenate([[0.0], share]) for share in above)
    return alarms, detected
