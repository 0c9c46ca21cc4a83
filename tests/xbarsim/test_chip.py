"""What a chip answers."""

import numpy as np
import pytest

from xbarsim.chip import Cost, Run
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
    "labels",
    [
        [0, 1, 1],
        [0.0, 1.0, 1.0, 1.0],
        [[0, 1, 1, 1]],
        ["0"] * 4,
        [True] * 4,
        [],
        [0, 1, 1, 2],
        [0, 1, 1, -1],
        [[0], [1], [1], [1]],
        np.array([0, 1, 1, 1]) + 0.25,
        None,
    ],
)
def test_labels_that_are_none_are_refused(labels):
    with pytest.raises(InputError, match=r"^labels: expected .*; one class an image, as integers from 0$"):
        RUN.hits(labels)


def test_a_cost_without_writes_has_none():
    assert Cost(latency_ns=1.0, energy_pJ=2.0).cell_writes == 0
