"""The generalisation error and its interval."""

import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.metrics.generalisation import generalisation_error


@pytest.mark.parametrize(("train", "test"), [(0.95, 0.85), (0.999, 0.99), (0.6, 0.6)])
def test_the_interval_covers_as_often_as_it_says(train, test):
    rng, covered = np.random.default_rng(0), 0
    for _ in range(2000):
        found = generalisation_error(rng.binomial(1000, train), 1000, rng.binomial(500, test), 500)
        covered += found.low <= train - test <= found.high
    assert 0.935 < covered / 2000 < 0.985


def test_the_value_is_the_difference_of_the_accuracies():
    found = generalisation_error(98, 100, 170, 200)
    assert found.value == pytest.approx(0.13) and found.low < 0.13 < found.high
    assert generalisation_error(100, 100, 200, 200).value == 0


def test_more_hits_than_shots_are_refused():
    with pytest.raises(InputError):
        generalisation_error(11, 10, 5, 10)
