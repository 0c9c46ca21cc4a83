"""Statistical tests of spiking chips: false alarms as stated, faults found, small sets."""

from fractions import Fraction

import numpy as np
import pytest

from xbarsim.detection.spiking import SpikingTest, generate_test
from xbarsim.errors import InputError

CANDIDATES, CLASSES = 12, 4


class Chips:
    """Binomial counts of 10 steps; fault f shows only in pattern f, by its output 0."""

    def __init__(self, faults=0, seed=0, harmless=()):
        share = np.random.default_rng(99).uniform(0, 0.9, (CANDIDATES, CLASSES))
        share[0] = 0  # outputs that never spike
        self.shares = np.stack([share] * max(faults, 1))
        for f in set(range(faults)) - set(harmless):
            self.shares[f, f, 0] += 0.3 if share[f, 0] < 0.5 else -0.3
        self.rng = np.random.default_rng(seed)

    def __call__(self, patterns, repetitions):
        some = self.shares[:, None, patterns]
        return self.rng.binomial(10, some, (len(some), repetitions, *some.shape[2:]))


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_false_alarms_are_at_most_what_is_asked_for(rate):
    """Of 40 sets at 80 % confidence at most 8 are above the rate, as a mean; 15 or more once in 170."""
    free = Chips(seed=5)
    made = [
        generate_test(
            free,
            Chips(5, seed=i, harmless=(0,)),
            CANDIDATES,
            false_alarm_rate=rate,
            confidence=0.8,
            repetitions=(4,),
        ).test
        for i in range(40)
    ]
    rates = np.array([test.alarms(test.sessions(free, 4000)[0]).value for test in made])
    assert (rates > rate).sum() < 15
    assert rates.mean() > 0.72 * rate  # 0.80 to 0.84 of it are expected; 0.65 to 0.69 at 95 % confidence
    assert all((test.false_alarm_rate, test.confidence) == (rate, 0.8) for test in made)


def test_faults_that_show_in_different_patterns_need_all_of_these():
    made = generate_test(Chips(), Chips(6, seed=1), CANDIDATES, coverage=1.0)
    assert set(range(6)) <= set(made.test.patterns.tolist()) and len(made.test.patterns) <= 8
    assert made.found == 6 and (made.power >= 0.95).all()
    assert made.test.inferences == len(made.test.patterns) * made.test.repetitions
    for one in made.test.sessions(Chips(6, seed=7), 300):
        assert made.test.alarms(one).value > 0.85
    less = generate_test(Chips(), Chips(6, seed=1), CANDIDATES, coverage=0.5)
    assert less.found >= 3 and less.test.inferences < made.test.inferences


def test_the_statistic_is_what_it_says():
    test = generate_test(Chips(), Chips(3, seed=1), CANDIDATES).test
    (session,) = test.sessions(Chips(seed=2), 1)[0]
    total = 0.0
    for place in range(len(test.patterns)):
        for output in range(CLASSES):
            expected = test.repetitions * test.mean[place, output]
            variance = test.repetitions * test.variance[place, output]
            total += (sum(session[:, place, output]) - expected) ** 2 / max(variance, 1)
    assert test.statistic(session) == pytest.approx(total)
    assert test.is_faulty(np.stack([session, session + 5])).tolist() == [total > test.threshold, True]


def test_what_an_output_that_never_spikes_adds_is_bounded():
    test = SpikingTest(
        patterns=np.array([0, 1]), repetitions=3, mean=np.array([[0.0, 2.0], [0.1, 5.0]]),
        variance=np.array([[0.0, 2.0], [0.1, 0.0]]), threshold=1.0, false_alarm_rate=0.01, confidence=0.95,
    )  # fmt: skip
    counts = np.zeros((3, 2, 2))
    counts[0, 0, 0] = 1  # one spike where there is never one: 1 / max(0, 1)
    counts[:, 0, 1] = 4, 2, 3  # 9 where 6 are expected: 9 / max(6, 1)
    counts[:, 1, 0] = 0, 1, 1  # 2 where 0.3 are: 1.7 ** 2 / max(0.3, 1)
    counts[:, 1, 1] = 5, 5, 5
    assert test.statistic(counts) == pytest.approx(1 + 1.5 + 1.7**2)
    assert test.is_faulty(counts)
    assert test.alarms(np.stack([counts, np.stack([test.mean] * 3)])).value == 0.5


def test_faults_that_do_nothing_are_called_faulty_as_often_as_no_fault():
    """However few repetitions are recorded; and no pattern is spent on them."""
    made = generate_test(Chips(), Chips(8, seed=3, harmless=(0, 5, 6, 7)), CANDIDATES, coverage=1.0)
    assert made.found == 4
    assert (made.power[[0, 5, 6, 7]] <= 0.06).all()
    assert {1, 2, 3, 4} <= set(made.test.patterns.tolist()) and len(made.test.patterns) <= 6
    nothing = generate_test(Chips(), Chips(3, seed=3, harmless=range(3)), CANDIDATES)
    assert nothing.found == 0 and nothing.test.inferences == 1


class Noted(Chips):
    """Notes what it is asked for."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.asked = []

    def __call__(self, patterns, repetitions):
        self.asked.append((len(patterns), repetitions))
        return super().__call__(patterns, repetitions)


def test_threshold_and_shares_come_from_sessions_after_the_choice():
    free, faulty = Noted(), Noted(2)
    test = generate_test(free, faulty, CANDIDATES, repetitions=(1, 4)).test
    assert free.asked[:2] == [(CANDIDATES, 80), (CANDIDATES, 1600)]  # to learn from, to search with
    assert free.asked[-1] == (len(test.patterns), 2000 * test.repetitions)
    assert 4 <= len(free.asked) <= 5  # and to compare sets with
    assert faulty.asked[0] == (CANDIDATES, 80)
    assert faulty.asked[-1] == (len(test.patterns), 100 * test.repetitions)
    assert len(faulty.asked) == len(free.asked) - 1


def test_a_high_confidence_shows_as_many_sessions_as_it_needs():
    free = Noted()
    test = generate_test(free, Chips(2), CANDIDATES, confidence=1 - 1e-5, false_alarm_rate=0.5).test
    assert free.asked[-1][1] == 40 * test.repetitions and test.confidence == 1 - 1e-5
    generate_test(free, Chips(1), CANDIDATES, coverage=1e-9, false_alarm_rate=np.float32(0.1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"candidates": 0}, "candidates"),
        ({"candidates": CANDIDATES - 1}, "fault_free"),
        ({"false_alarm_rate": 0}, "false_alarm_rate"),
        ({"confidence": 1}, "confidence"),
        ({"needed_power": 1.5}, "needed_power"),
        ({"coverage": 0}, "coverage"),
        ({"repetitions": ()}, "repetitions"),
        ({"confidence": "high"}, "confidence"),
        ({"false_alarm_rate": Fraction(1, 10**9)}, "false_alarm_rate"),
        ({"fault_free": lambda patterns, repetitions: np.full((1, repetitions, 12, 4), np.nan)}, "finite"),
        ({"repetitions": (0,)}, "repetitions"),
        ({"most_patterns": 0}, "most_patterns"),
        ({"fault_free": lambda patterns, repetitions: np.zeros((2, repetitions, 12, 3))}, "fault_free"),
        ({"faulty": lambda patterns, repetitions: np.zeros((2, 5, 3, 3))}, "faulty"),
        ({"faulty": lambda patterns, repetitions: np.zeros((0, repetitions, 12, 4))}, "faulty"),
    ],
)
def test_nonsense_is_refused(change, words):
    given = {"fault_free": Chips(), "faulty": Chips(2), "candidates": CANDIDATES} | change
    if change.get("candidates"):
        given["fault_free"] = lambda patterns, repetitions: np.zeros((1, repetitions, CANDIDATES, 4))
    with pytest.raises(InputError, match=words):
        generate_test(**given, **({} if "repetitions" in change else {"repetitions": (1, 2)}))


def test_a_recorder_that_changes_its_mind_is_refused():
    class Moody(Chips):
        def __call__(self, patterns, repetitions):
            return super().__call__(patterns, min(repetitions, 1000))

    with pytest.raises(InputError, match=r"record: expected counts \(chips, 2000, \d+, 4\), got"):
        generate_test(Moody(), Chips(2), CANDIDATES, repetitions=(1,))


def test_a_session_of_another_size_is_refused():
    test = generate_test(Chips(), Chips(2), CANDIDATES).test
    with pytest.raises(InputError, match="counts"):
        test.statistic(np.zeros((3, 3)))


def test_a_chip_that_does_not_answer_does_not_pass():
    test = generate_test(Chips(), Chips(2), CANDIDATES).test
    with pytest.raises(InputError, match="finite"):
        test.is_faulty(np.full((test.repetitions, *test.mean.shape), np.nan))
