import numpy as np
import pytest
from sklearn.metrics import roc_curve as expected_curve

from xbarsim.errors import InputError
from xbarsim.metrics.roc import roc_curve


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_curves_are_scikit_learns(levels):
    rng = np.random.default_rng(levels)
    healthy, faulty = rng.integers(levels, size=40), rng.integers(levels, size=60) + levels // 3
    scores = np.concatenate([healthy, faulty])
    alarms, detected, _ = expected_curve(np.repeat([0, 1], [40, 60]), scores, drop_intermediate=False)
    found = roc_curve(healthy, faulty)
    assert found[0] == pytest.approx(alarms) and found[1] == pytest.approx(detected)


@pytest.mark.parametrize(("healthy", "faulty"), [([], [1]), ([1], []), ([float("nan")], [1]), ([[1]], [1])])
def test_scores_must_be_there(healthy, faulty):
    with pytest.raises(InputError, match=r"^(healthy|faulty): expected .*; one number a chip$"):
        roc_curve(healthy, faulty)
