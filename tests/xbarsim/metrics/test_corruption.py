import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.metrics.corruption import sdc_1, sdc_confidence, softmax


def test_softmax_does_not_overflow():
    assert softmax(np.array([[1e5, 0.0], [-1e5, -1e5]])).tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_corruption_compares_the_top_class_and_its_confidence():
    expected = np.log(np.array([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9]]))
    observed = np.log(np.array([[0.58, 0.42], [0.56, 0.44], [0.9, 0.1]]))
    assert sdc_1(expected, observed).tolist() == [False, False, True]
    assert sdc_confidence(expected, observed).tolist() == [False, True, False]
    assert sdc_confidence(expected, observed, relative=True).tolist() == [True, True, False]


def test_logits_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="logits"):
        sdc_1(np.zeros((2, 3)), np.zeros((2, 4)))
