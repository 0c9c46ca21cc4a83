"""The Pareto front: what the definition says, for any points."""

import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.metrics.pareto import pareto_front


def naive_front(costs, errors):
    """The definition: points that no other dominates, the first of equals, by rising cost."""
    points = list(zip(costs, errors, strict=True))
    kept = []
    for i, (c, e) in enumerate(points):
        beaten = any(p <= c and q <= e and (p < c or q < e) for p, q in points)
        if not beaten and points.index((c, e)) == i:
            kept.append(i)
    return sorted(kept, key=lambda i: points[i])


@pytest.mark.parametrize("seed", range(50))
def test_front_is_the_definition(seed):
    rng = np.random.default_rng(seed)
    costs, errors = rng.integers(0, 8, (2, rng.integers(0, 30))).astype(float)
    assert pareto_front(costs, errors).tolist() == naive_front(costs.tolist(), errors.tolist())


def test_equal_points_are_shown_once_and_ties_in_one_number_are_dominated():
    assert pareto_front([1, 1, 1, 2], [3, 2, 2, 2]).tolist() == [1]


def test_infinite_numbers_are_points():
    inf = float("inf")
    assert pareto_front([1, 2, inf], [inf, 5, 0]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("costs", "errors"), [([1, float("nan")], [0, 0]), ([0.0], [float("nan")]), ([1], [1, 2]), ([[1]], [[1]])]
)
def test_what_cannot_be_compared_is_refused(costs, errors):
    with pytest.raises(InputError, match="pareto front"):
        pareto_front(costs, errors)
