"""Which of many designs are worth a look: those that no other beats in cost and error at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.arrays import NUMBERS, as_array
from xbarsim.errors import InputError


def pareto_front(costs: ArrayLike, errors: ArrayLike) -> NDArray[np.int64]:
    """Places of the points that no other point dominates, by rising cost; both numbers shall be small.

    A point dominates another if it is no larger in both numbers and smaller in one. Of equal points the first
    is kept, so that costs rise strictly along the front and errors fall strictly.

    Parameters
    ----------
    costs, errors : (points,) numbers of any units; infinite ones are allowed

    Raises
    ------
    InputError : shapes differ or are not one-dimensional; a number is NaN.

    >>> pareto_front([3, 1, 2, 2, 1], [0.1, 0.5, 0.2, 0.4, 0.5]).tolist()
    [1, 2, 0]
    """
    cost, error = as_array("costs", costs), as_array("errors", errors)
    if not {cost.dtype.kind, error.dtype.kind} <= set(NUMBERS):
        raise InputError("pareto front", "numbers", f"{cost.dtype} and {error.dtype}")
    if cost.ndim != 1 or cost.shape != error.shape:
        raise InputError("pareto front", "a cost and an error a point", f"{cost.shape} and {error.shape}")
    if np.isnan(cost).any() or np.isnan(error).any():
        raise InputError("pareto front", "numbers", "NaN", "leave out the points that were not measured")
    order = np.lexsort((error, cost))
    best = np.minimum.accumulate(error[order])
    kept = np.ones(len(order), bool)
    kept[1:] = error[order][1:] < best[:-1]
    return order[kept].astype(np.int64)
