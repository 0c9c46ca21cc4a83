"""Rules, looks, and how often the interval at the end covers the truth."""

import numpy as np
import pytest

from xbarsim.campaigns.stopping import Precision, looks, parse_precision
from xbarsim.errors import InputError
from xbarsim.metrics.intervals import mean_over_chips, wilson

RULE = Precision(metric="accuracy", half_width=0.03)
SHARP = Precision(metric="accuracy", half_width=0.01)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy ± 0.2 % at 95 %", ("accuracy", 0.002, 0.95)),
        ("accuracy +- 1%", ("accuracy", 0.01, 0.95)),
        ("detection-rate+/-2.5% at 99%", ("detection-rate", 0.025, 0.99)),
    ],
)
def test_rules_are_read_as_people_write_them(text, expected):
    found = parse_precision(text)
    assert (found.metric, found.half_width, found.confidence) == pytest.approx(expected)
    assert parse_precision(str(found)) == found


@pytest.mark.parametrize(
    "text", ["", "accuracy", "accuracy ± x %", "± 1 %", "accuracy ± 0.2", "accuracy ± 1.2.3 %"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(InputError, match=r"something like 'accuracy ± 0.2 % at 95 %'"):
        parse_precision(text)


@pytest.mark.parametrize("text", ["accuracy ± 0 %", "accuracy ± 100 %", "accuracy ± 1 % at 100 %"])
def test_impossible_precision_is_refused(text):
    with pytest.raises(InputError, match="a percentage between 0 and 100"):
        parse_precision(text)


@pytest.mark.parametrize("most", [1, 49, 50, 51, 10**6])
def test_looks_end_with_the_last_trial_and_grow(most):
    found = list(looks(most))
    assert found[-1] == most and found == sorted(set(found))
    assert len(found) < 50


def ended(accuracies, most, rule=RULE):
    shots = np.full(len(accuracies), 10**6)
    return rule.end(shots, np.round(accuracies * 10**6).astype(int), most)


def test_a_task_ends_at_the_second_satisfied_look_in_succession():
    calm, wild = np.full(63, 0.9), np.tile([0.2, 0.9], 25)
    assert ended(calm[:49], 1000) is None
    assert ended(calm, 1000) is None  # the first satisfied look: two lost chips would move it by 0.029
    assert ended(np.full(79, 0.9), 1000) == 79
    assert ended(np.concatenate([wild, np.full(500, 0.9)]), 10**6, SHARP) is None
    assert ended(calm[:40], 40) == 40  # the last trial ends it whatever the precision


def test_chips_that_fail_rarely_could_have_been_met():
    """Two chips of accuracy 0 must not move the mean by more than the half width: 180 chips of 0.9."""
    assert ended(np.full(242, 0.9), 1000, SHARP) is None
    assert ended(np.full(243, 0.9), 1000, SHARP) == 243  # looks at 155, 194, 243


def test_what_comes_after_the_end_does_not_move_it():
    rng = np.random.default_rng(1)
    accuracies = rng.beta(60, 3, 4000)
    at = ended(accuracies, 4000)
    assert at is not None and 63 <= at < 500
    assert ended(accuracies[:at], 4000) == at
    assert ended(accuracies[: at - 1], 4000) is None


SPREADS = {
    "even": (lambda rng, n: rng.beta(60, 3, n), 60 / 63, 0.005, 0.93),
    "wide": (lambda rng, n: rng.beta(9, 1, n), 0.9, 0.02, 0.92),
    "a tenth fails": (lambda rng, n: np.where(rng.random(n) < 0.1, 0.1, 0.95), 0.865, 0.05, 0.9),
    "one in fifty fails": (
        lambda rng, n: np.where(rng.random(n) < 0.02, 0.1, rng.normal(0.95, 0.01, n)),
        0.933,
        0.02,
        0.89,
    ),
    "one in a hundred fails": (
        lambda rng, n: np.where(rng.random(n) < 0.01, 0.1, rng.normal(0.95, 0.01, n)),
        0.9415,
        0.02,
        0.65,
    ),
    "one in a hundred is harmed": (
        lambda rng, n: np.where(rng.random(n) < 0.01, 0.95 - rng.uniform(0.02, 0.1, n), 0.95),
        0.95 - 0.01 * 0.06,
        0.002,
        0.9,
    ),
}


@pytest.mark.parametrize("spread", SPREADS)
def test_intervals_after_stopping_cover(spread):
    """At 95 %, 1,200 campaigns: some standard errors (0.6 to 1.3 points) below what the module says."""
    draw, truth, half_width, least = SPREADS[spread]
    rng, covered, campaigns = np.random.default_rng(0), 0, 1200
    rule = Precision(metric="accuracy", half_width=half_width)
    for _ in range(campaigns):
        accuracies = draw(rng, 3000)
        at = ended(accuracies, 3000, rule)
        found = mean_over_chips(accuracies[:at].tolist())
        covered += found.low <= truth <= found.high
    assert covered / campaigns >= least


def test_rates_after_stopping_cover():
    rng, covered, campaigns = np.random.default_rng(0), 0, 1200
    rule = Precision(metric="detection", half_width=0.04)
    for _ in range(campaigns):
        hits = (rng.random(2000) < 0.9).astype(int)
        at = rule.end(np.ones(2000, int), hits, 2000)
        found = wilson(int(hits[:at].sum()), at)
        covered += found.low <= 0.9 <= found.high
    assert covered / campaigns >= 0.93
