"""What a chip answers."""

import numpy as np
import pytest

from xbarsim.chip import Cost, Run, check_labels
from xbarsim.errors import InputError

RUN = Run(
    scores=np.array([[1, 0], [0, 1], [2, 0], [0, 3]]),
    classes=np.array([0, 1, 0, 1], np.int64),
    cost=Cost(latency_ns=1.0, energy_pJ=2.0),
)


def test_hits_and_accuracy_count_right_classes():
    assert RUN.hits([0, 1, 1, 1]) == 3 and isinstance(RUN.hits([0, 1, 1, 1]), int)
    assert RUN.accuracy(np.array([0, 1, 1, 1], np.uint8)) == 0.75


@pytest.mark.parametrize(
    "labels", [[0, 1, 1], [0.0, 1.0, 1.0, 1.0], [[0, 1, 1, 1]], ["0"] * 4, [True] * 4, []]
)
def test_labels_that_are_none_are_refused(labels):
    with pytest.raises(InputError, match=r"labels: expected \(4,\) integers, got"):
        RUN.hits(labels)


def test_labels_become_int64():
    assert check_labels(np.array([3, 4], np.uint8), 2).dtype == np.int64


def test_a_cost_without_writes_has_none():
    assert Cost(latency_ns=1.0, energy_pJ=2.0).cell_writes == 0
