import math

import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.metrics.stability import stability_score


def test_score_does_not_depend_on_the_unit():
    percent = stability_score(75.10, 75.38, 73.03)
    assert stability_score(0.7510, 0.7538, 0.7303) == pytest.approx(percent, rel=1e-12)
    assert stability_score(*np.array([75.10, 75.38, 73.03], np.float32)) == pytest.approx(percent, rel=1e-4)


@pytest.mark.parametrize("defect", [0.9, 0.95])
def test_score_is_infinite_where_faults_take_nothing(defect):
    assert stability_score(0.9, 0.8, defect) == math.inf


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf, None, "0.9", True])
def test_accuracies_that_are_none_are_refused(place, wrong):
    accuracies = [0.9, 0.9, 0.5]
    accuracies[place] = wrong
    with pytest.raises(InputError, match=("pretrain", "retrain", "defect")[place]):
        stability_score(*accuracies)
