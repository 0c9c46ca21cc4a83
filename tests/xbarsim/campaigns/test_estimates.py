"""Shares with their intervals, from trials or from their sums."""

import numpy as np
import pytest

from xbarsim.campaigns.estimates import Moments, estimate, moments
from xbarsim.metrics.intervals import mean_over_chips, wilson


def test_chips_are_a_mean_and_single_shots_a_rate():
    shots, hits = np.full(5, 10), np.array([9, 8, 9, 10, 7])
    found, plain = estimate(shots, hits), mean_over_chips((hits / 10).tolist())
    assert (found.value, found.low) == (plain.value, plain.low)
    assert found.high == min(1, plain.high)
    assert np.isnan([estimate(shots[:1], hits[:1]).low, estimate(shots[:1], hits[:1]).high]).all()
    assert estimate(np.ones(5, int), np.array([1, 0, 1, 1, 1])) == wilson(4, 5)
    near = estimate(np.full(3, 10), np.array([10, 10, 8]))  # its t interval reaches 1.22
    assert 0 < near.low < near.value < near.high == 1
    assert np.isnan(estimate(np.zeros(0, int), np.zeros(0, int)).value)


def test_moments_by_hand():
    """9, 7 and 8 of 10: mean 0.8, variance 0.01."""
    found = moments(np.full(3, 10), np.array([9, 7, 8]))
    assert found == pytest.approx(Moments(3, 0.8, 0.01, False))
    half = 4.302652729911275 * 0.1 / np.sqrt(3)  # Student's t of two degrees of freedom
    whole = found.estimate()
    assert (whole.value, whole.low, whole.high) == pytest.approx((0.8, 0.8 - half, 1.0))  # 1.048 is no share
    assert found.estimate(confidence=0.5).high == pytest.approx(0.8 + 0.816496580927726 * 0.1 / np.sqrt(3))


def test_single_shots_are_rates():
    found = moments(np.ones(4, int), np.array([1, 0, 0, 0]))
    assert (found.trials, found.mean, found.single) == (4, 0.25, True)
    assert found.estimate() == wilson(1, 4) and found.estimate(confidence=0.5) == wilson(1, 4, confidence=0.5)


def test_no_trials_have_no_estimate():
    found = moments(np.zeros(0, int), np.zeros(0, int))
    assert found.trials == 0 and np.isnan([found.estimate().value, found.estimate().low]).all()
