import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from xbarsim.errors import InputError
from xbarsim.metrics.corruption import sdc_1, sdc_confidence, softmax
from xbarsim.metrics.intervals import mean_over_chips, wilson


@pytest.mark.parametrize(("hits", "shots"), [(0, 10), (10, 10), (3, 7), (97, 100), (9931, 10000)])
def test_wilson_is_scipys(hits, shots):
    expected = binomtest(hits, shots).proportion_ci(method="wilson")
    found = wilson(hits, shots)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(("hits", "shots"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(hits, shots):
    with pytest.raises(InputError, match="rate"):
        wilson(hits, shots)


def test_mean_over_chips_has_students_interval():
    values = [0.9, 0.95, 0.97, 0.91]
    expected = ttest_1samp(values, 0).confidence_interval()
    found = mean_over_chips(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_chip_has_no_interval_and_no_chip_no_mean():
    assert np.isnan(mean_over_chips([0.5]).low)
    with pytest.raises(InputError, match="at least one chip"):
        mean_over_chips([])


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
