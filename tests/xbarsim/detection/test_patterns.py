"""Detectors that show patterns: which, when they fire, and what they take."""

import numpy as np
import pytest
import torch

from tests.helpers.subjects import digits_subject
from xbarsim.chip import Cost, Run
from xbarsim.detection.adversarial import PatternSet, attack
from xbarsim.detection.patterns import (
    AdversarialPatterns,
    OriginalImages,
    PatternTest,
    criterion_threshold,
)
from xbarsim.errors import InputError
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.metrics.corruption import softmax
from xbarsim.rng import Trial
from xbarsim.subject import Subject


@pytest.fixture(scope="module")
def subject():
    return digits_subject(epsilon=0.2)


@pytest.fixture(scope="module")
def faulty(subject):
    drawn = StuckCells(rate=0.02).draw(subject.chip.geometry, np.random.default_rng(1))
    return subject.chip.inject(drawn)


@pytest.fixture(scope="module")
def pools(subject):
    test = subject.test
    step = {"epsilon": 0.2, "value_range": test.value_range}
    return attack(subject.module, test.images, test.labels, **step).pattern_sets(test.images, **step)


@pytest.mark.parametrize("detector", [OriginalImages, AdversarialPatterns])
@pytest.mark.parametrize("criterion", ["SDC-1", "SDC-3%", "SDC-0.5%"])
def test_a_score_is_what_the_worst_of_the_trials_patterns_says(subject, faulty, pools, detector, criterion):
    test = detector(patterns=6, criterion=criterion).prepare(subject)
    pool = pools[0] if detector is OriginalImages else pools[1]
    for chip in (subject.chip, faulty):
        trial = Trial(3, 2)
        chosen = trial.stream("patterns").choice(len(pool.images), 6, replace=False)
        shown = pool.take(chosen)
        answers = chip.run(shown.images).scores
        if criterion == "SDC-1":
            expected = int((answers.argmax(axis=1) != shown.logits.argmax(axis=1)).sum())
        else:
            expected = np.abs(softmax(answers).max(axis=1) - softmax(shown.logits).max(axis=1)).max()
        assert test.score(chip, trial) == pytest.approx(expected)


class Answering:
    """A chip whose scores are those of a function."""

    def __init__(self, scores):
        self.scores, self.seen = scores, []

    def run(self, images):
        self.seen.append(images.copy())
        return Run(
            scores=self.scores(images),
            classes=np.zeros(len(images), np.int64),
            cost=Cost(latency_ns=0.0, energy_pJ=0.0),
        )


@pytest.mark.parametrize(
    ("criterion", "fired"), [("SDC-1", [False, False, True]), ("SDC-3%", [False, True, False])]
)
def test_criteria_fire_on_another_class_and_on_three_percent(criterion, fired):
    observed = np.array([[2.0, 0.0], [1.6, 0.0], [0.0, 2.0]])
    for scores, expected in zip(observed, fired, strict=True):
        pool = PatternSet("original", np.zeros((1, 1)), np.array([[2.0, 0.0]]))
        test = PatternTest(pool, 1, criterion)
        chip = Answering(lambda images, own=scores: own[None])
        assert (test.score(chip, Trial(0, 0)) > test.threshold) == expected


def test_a_chip_is_detected_when_any_of_its_patterns_fires(subject, pools):
    """A chip that answers wrongly for one image is found exactly when a trial draws that image."""
    bad = pools[0].images[7]

    def scores(images):
        with torch.no_grad():
            logits = subject.module(torch.as_tensor(images)).double().numpy()
        logits[(images == bad).all(axis=(1, 2, 3))] *= -1
        return logits

    def detected(pool):
        test = PatternTest(pool, 3, "SDC-1")
        chip = Answering(scores)
        found = [test.score(chip, Trial(0, number)) > test.threshold for number in range(200)]
        drawn = [(images == bad).all(axis=(1, 2, 3)).any() for images in chip.seen]
        assert found == drawn and len(found) == 200
        return sum(found)

    assert detected(pools[1]) == 0
    assert 5 <= detected(pools[0]) <= 40


def test_the_same_seed_draws_the_same_patterns(pools):
    test, chip = PatternTest(pools[0], 4, "SDC-1"), Answering(lambda images: np.zeros((len(images), 10)))
    for _ in range(2):
        for number in range(2):
            test.score(chip, Trial(5, number))
    assert (chip.seen[0] == chip.seen[2]).all()
    assert (chip.seen[1] == chip.seen[3]).all()
    assert (chip.seen[0] != chip.seen[1]).any()


def test_a_healthy_chip_is_below_and_a_faulty_one_above_the_threshold(subject, faulty):
    test = AdversarialPatterns().prepare(subject)
    assert test.score(subject.chip, Trial(1, 0)) <= test.threshold < test.score(faulty, Trial(1, 0))


def test_every_trial_draws_patterns_of_its_own(subject, faulty):
    test = OriginalImages(patterns=3).prepare(subject)
    scores = [test.score(faulty, Trial(1, number)) for number in (0, 1, 2, 0)]
    assert scores[0] == scores[3] and len(set(scores)) > 1


def test_a_step_of_ones_own_goes_before_the_subjects(subject, pools):
    own = AdversarialPatterns(epsilon=0.01).prepare(subject).pool
    assert (AdversarialPatterns().prepare(subject).pool.images == pools[1].images).all()
    assert np.abs(own.images - pools[0].images).max() == pytest.approx(0.01, rel=1e-3)


def test_patterns_of_one_step_are_made_once(subject):
    pools = [
        AdversarialPatterns(patterns=n, criterion=c).prepare(subject).pool
        for n, c in ((3, "SDC-1"), (9, "SDC-3%"))
    ]
    assert pools[0] is pools[1]


def test_a_test_takes_its_inferences(subject):
    cost = OriginalImages(patterns=7).prepare(subject).cost(subject.chip)
    assert cost == subject.chip.cost(7)


def test_words(subject):
    assert AdversarialPatterns(epsilon=0.5).words.endswith(", epsilon 0.5")
    assert AdversarialPatterns().words != OriginalImages().words


@pytest.mark.parametrize(("criterion", "expected"), [("SDC-1", 0.0), ("SDC-3%", 0.03), ("SDC-100%", 1.0)])
def test_criteria_are_thresholds(criterion, expected):
    assert criterion_threshold(criterion) == pytest.approx(expected)


@pytest.mark.parametrize("criterion", ["SDC-3", "SDC-%", "SDC-0%", "SDC-101%", "sdc-1", "", "SDC-1%x"])
def test_other_criteria_are_refused(criterion):
    with pytest.raises(InputError, match="criterion: expected 'SDC-1', or 'SDC-3%'"):
        OriginalImages(criterion=criterion)


def test_numbers_out_of_range_are_refused(subject):
    with pytest.raises(InputError, match="patterns: expected an integer in 1"):
        AdversarialPatterns(patterns=0)
    with pytest.raises(InputError, match="epsilon: expected a finite number above 0"):
        AdversarialPatterns(epsilon=0.0)
    with pytest.raises(
        InputError, match=r"patterns: expected an integer in 1\.\.40, got 41; there are no more"
    ):
        OriginalImages(patterns=41).prepare(subject)


def test_a_network_without_a_module_has_no_float_answers(subject):
    graph = Subject(subject.integers, "isaac", test=subject.test, name="graph")
    with pytest.raises(InputError, match="network 'graph': expected a torch module"):
        AdversarialPatterns().prepare(graph)
