"""Statistical tests of spiking chips: false alarms as stated, faults found, small sets."""

import numpy as np
import pytest

from xbarsim.checks import InputError
from xbarsim.detection.spiking import generate_test

CANDIDATES, CLASSES = 12, 4


def chips(faults=6, recorded=1500, seed=0):
    """Binomial counts of 10 steps; fault f shows only in pattern f, by its output 0."""
    rng = np.random.default_rng(seed)
    share = np.random.default_rng(99).uniform(0, 0.9, (CANDIDATES, CLASSES))
    share[0] = 0  # outputs that never spike
    fault_free = rng.binomial(10, share, (recorded, CANDIDATES, CLASSES))
    faulty = np.empty((faults, 200, CANDIDATES, CLASSES), int)
    for f in range(faults):
        other = share.copy()
        other[f, 0] = np.clip(share[f, 0] + (0.3 if share[f, 0] < 0.5 else -0.3), 0, 1)
        faulty[f] = rng.binomial(10, other, (200, CANDIDATES, CLASSES))
    return fault_free, faulty


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_false_alarms_are_as_stated_on_other_sessions(rate):
    fault_free, faulty = chips(recorded=6000)
    made = generate_test(fault_free, faulty, false_alarm_rate=rate, rng=np.random.default_rng(1))
    fresh, _ = chips(seed=5, recorded=3000)
    alarms = made.test.alarms(fresh, np.random.default_rng(2))
    assert rate / 2 < alarms.value < 2 * rate
    assert made.test.false_alarm_rate == rate


def test_faults_that_show_in_different_patterns_need_all_of_these():
    fault_free, faulty = chips()
    made = generate_test(fault_free, faulty, coverage=1.0, rng=np.random.default_rng(1))
    assert set(range(6)) <= set(made.test.patterns.tolist()) and len(made.test.patterns) <= 8
    assert made.found == 6 and (made.power >= 0.95).all()
    assert made.test.inferences == len(made.test.patterns) * made.test.repetitions
    _, others = chips(seed=7)
    for one in others:
        assert made.test.alarms(one, np.random.default_rng(3), sessions=300).value > 0.85
    less = generate_test(fault_free, faulty, coverage=0.5, rng=np.random.default_rng(1))
    assert less.found >= 3 and less.test.inferences < made.test.inferences


def test_the_statistic_is_what_it_says():
    fault_free, faulty = chips()
    test = generate_test(fault_free, faulty, rng=np.random.default_rng(1)).test
    session = fault_free[: test.repetitions][:, test.patterns]
    total = 0.0
    for place in range(len(test.patterns)):
        for output in range(CLASSES):
            mean = sum(session[:, place, output]) / test.repetitions
            variance = test.variance[place, output] / test.repetitions
            total += (mean - test.mean[place, output]) ** 2 / variance
    assert test.statistic(session) == pytest.approx(total)
    assert test.is_faulty(np.stack([session, session + 5])).tolist() == [total > test.threshold, True]


def test_faults_that_do_nothing_are_not_found_and_do_no_harm():
    fault_free, faulty = chips()
    faulty[0] = chips(seed=8)[0][:200]
    made = generate_test(fault_free, faulty, coverage=1.0, most_patterns=8, rng=np.random.default_rng(1))
    assert made.power[0] < 0.2 and made.found == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"false_alarm_rate": 0}, "false_alarm_rate"),
        ({"needed_power": 1.5}, "needed_power"),
        ({"coverage": 0}, "coverage"),
        ({"repetitions": (8,)}, "repetitions"),
        ({"repetitions": (0,)}, "repetitions"),
        ({"most_patterns": 0}, "most_patterns"),
        ({"faulty": np.zeros((2, 5, 3, 3))}, "counts"),
        ({"fault_free": np.zeros((5, CANDIDATES, CLASSES))}, "repetitions"),
    ],
)
def test_nonsense_is_refused(change, words):
    fault_free, faulty = chips(recorded=300)
    given = {"fault_free": fault_free, "faulty": faulty, "rng": np.random.default_rng(0)} | change
    with pytest.raises(InputError, match=words):
        generate_test(**given)


def test_a_session_of_another_size_is_refused():
    fault_free, faulty = chips()
    test = generate_test(fault_free, faulty, rng=np.random.default_rng(1)).test
    with pytest.raises(InputError, match="counts"):
        test.statistic(np.zeros((3, 3)))
