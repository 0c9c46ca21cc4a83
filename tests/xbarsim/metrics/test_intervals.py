"""Intervals against scipy's, and how often they cover in simulation."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest, norm, t, ttest_1samp

from xbarsim.errors import InputError
from xbarsim.metrics.intervals import (
    bootstrap_mean,
    clopper_pearson,
    mean_from_moments,
    mean_over_chips,
    paired_difference,
    smallest_sample,
    tolerance_limit,
    wilson,
)


@pytest.mark.parametrize(("hits", "shots"), [(0, 10), (10, 10), (3, 7), (97, 100), (9931, 10000)])
def test_clopper_pearson_is_scipys(hits, shots):
    expected = binomtest(hits, shots).proportion_ci(method="exact")
    found = clopper_pearson(hits, shots)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(
    shots=st.integers(1, 10**7),
    share=st.floats(0, 1),
    confidence=st.floats(1e-9, 1 - 1e-9),
)
def test_quantiles_are_those_of_scipys_distributions(shots, share, confidence):
    hits, upper = int(share * shots), (1 + confidence) / 2
    exact, tail = clopper_pearson(hits, shots, confidence=confidence), (1 - confidence) / 2
    assert exact.low == (0 if hits == 0 else beta.ppf(tail, hits, shots - hits + 1))
    assert exact.high == (1 if hits == shots else beta.ppf(1 - tail, hits + 1, shots - hits))
    half = float(t.ppf(upper, shots) * np.sqrt(1 / (shots + 1)))
    mean = mean_from_moments(shots + 1, 0.0, 1.0, confidence=confidence)
    assert (mean.low, mean.high) == (-half, half)
    z, p = norm.ppf(upper), hits / shots
    half = z / (1 + z * z / shots) * np.sqrt(p * (1 - p) / shots + z * z / (4 * shots * shots))
    found, centre = (
        wilson(hits, shots, confidence=confidence),
        (p + z * z / (2 * shots)) / (1 + z * z / shots),
    )
    assert found.low == (0 if hits == 0 else centre - half)
    assert found.high == (1 if hits == shots else centre + half)


def test_intervals_load_no_distributions():
    code = (
        "import sys, xbarsim.metrics.intervals, xbarsim.metrics.planning; print('scipy.stats' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "False\n"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.97])
@pytest.mark.parametrize("shots", [40, 300])
def test_rates_cover_exactly_as_often_as_binomials_say(share, shots):
    """The exact interval never less than 95 %; Wilson's 95 % within what its step at 0 and 1 costs."""
    weights = binom.pmf(np.arange(shots + 1), shots, share)

    def coverage(interval):
        found = [interval(k, shots) for k in range(shots + 1)]
        return sum(w for w, f in zip(weights, found, strict=True) if f.low <= share <= f.high)

    assert coverage(clopper_pearson) >= 0.95
    assert 0.925 <= coverage(wilson) <= 0.99


@pytest.mark.parametrize(("draw", "truth", "chips"), [
    (lambda rng, n: rng.beta(60, 3, n), 60 / 63, 30),
    (lambda rng, n: rng.beta(9, 1, n), 0.9, 60),
])  # fmt: skip
def test_means_over_chips_cover(draw, truth, chips):
    """At 95 %, 1,500 and 300 campaigns, within three standard errors; both are a little short if skewed."""
    rng = np.random.default_rng(1)
    found = [mean_over_chips(draw(rng, chips).tolist()) for _ in range(1500)]
    assert 0.92 <= np.mean([f.low <= truth <= f.high for f in found]) <= 0.967
    found = [bootstrap_mean(draw(rng, chips).tolist(), resamples=999) for _ in range(300)]
    assert 0.89 <= np.mean([f.low <= truth <= f.high for f in found]) <= 0.988


def test_a_bootstrap_is_reproducible_and_lopsided_where_values_are():
    values = np.random.default_rng(0).beta(9, 1, 40).tolist()
    found = bootstrap_mean(values)
    assert found == bootstrap_mean(values)
    assert found != bootstrap_mean(values, seed=1)
    assert found.value - found.low > found.high - found.value
    assert bootstrap_mean([0.5, 0.5]) == bootstrap_mean([0.5, 0.5, 0.5])
    assert np.isnan(bootstrap_mean([0.5]).low)
    with pytest.raises(InputError, match="expected at least one number, got none"):
        bootstrap_mean([])


def test_pairs_are_more_precise_than_two_means():
    rng = np.random.default_rng(2)
    chips = rng.beta(9, 1, 50)
    better = chips + 0.01 + rng.normal(0, 0.002, 50)
    found = paired_difference(better.tolist(), chips.tolist())
    assert 0.009 < found.low < 0.01 < found.high < 0.011
    both = mean_over_chips(better.tolist()), mean_over_chips(chips.tolist())
    assert both[0].low < both[1].high  # the two means alone could not tell
    with pytest.raises(InputError, match="as many values"):
        paired_difference([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("count", "beyond", "confidence"), [(299, 0.01, 0.95), (2000, 0.01, 0.95), (100, 0.2, 0.8), (9, 0.4, 0.5)]
)
def test_a_tolerance_limit_is_the_lowest_that_is_exceeded_seldom_enough(count, beyond, confidence):
    """The share above the k-th largest of n uniform numbers is of Beta(k, n - k + 1)."""
    values = np.random.default_rng(0).permutation(count)
    above = count - tolerance_limit(values, beyond, confidence=confidence)
    assert beta.sf(beyond, above, count - above + 1) <= 1 - confidence
    assert beta.sf(beyond, above + 1, count - above) > 1 - confidence


@pytest.mark.parametrize(
    ("values", "beyond"), [(range(298), 0.01), ([], 0.5), ([np.nan] * 300, 0.01), (np.zeros((300, 2)), 0.01)]
)
def test_a_sample_too_small_has_no_tolerance_limit(values, beyond):
    with pytest.raises(InputError, match=r"tolerance limit: expected (at least|finite|shape)"):
        tolerance_limit(list(values), beyond)


@pytest.mark.parametrize("beyond", [0, 1, -0.1, np.nan])
def test_a_tolerance_limit_is_for_a_share(beyond):
    with pytest.raises(InputError, match="beyond"):
        tolerance_limit(range(300), beyond)


@pytest.mark.parametrize(("beyond", "confidence"), [(0.01, 0.95), (0.5, 0.5), (0.5, 0.75), (1e-3, 0.999)])
def test_the_smallest_sample_has_a_limit_and_one_less_has_none(beyond, confidence):
    size = smallest_sample(beyond, confidence=confidence)
    assert (1 - beyond) ** size <= (1 - confidence) * (1 + 1e-12) < (1 - beyond) ** (size - 1)
    assert tolerance_limit(range(size), beyond, confidence=confidence) == size - 1


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5])
def test_a_confidence_is_a_share(confidence):
    for interval in (wilson, clopper_pearson):
        with pytest.raises(InputError, match=r"95 % is written 0.95"):
            interval(1, 2, confidence=confidence)


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
    with pytest.raises(InputError, match="expected at least one number, got none"):
        mean_over_chips([])
