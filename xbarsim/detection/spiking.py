"""Test sets for spiking chips, whose answers are random: few patterns, repeated, and a statistical test.

A session shows every pattern R times. Its statistic is the sum, over patterns and outputs, of
(S - R m)^2 / max(R v, 1), with the spikes S of the session, and mean m and variance v of a fault-free chip's
counts. At least 1, since the rare spikes of outputs that hardly ever spike would make the threshold high, and
hide faults, otherwise. The chip is called faulty if the statistic is above a threshold.

The threshold is a tolerance limit: with the confidence that is asked for, fault-free sessions exceed it at
most with the false-alarm rate that is asked for, whatever the distribution of the statistic. It comes from
sessions that nothing was chosen with, and the share of sessions in which a fault is found comes from others.
A fault-free chip's sessions are independent; faulty chips of one call may meet the same spikes.

Patterns are put in order greedily for every number of repetitions, and the first of them that are enough are
taken: the set is small, not proven smallest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError, check_int, check_number
from xbarsim.hints import checked
from xbarsim.metrics.intervals import Estimate, clopper_pearson, smallest_sample, tolerance_limit

FloatArray = NDArray[np.float64]
REPETITIONS = (1, 2, 4, 8, 16)
LEARNED = 20  # repetitions that mean and variance are learned from, for each one of a session
FAULTY_SESSIONS, POWER_SESSIONS = 20, 100  # of every faulty chip: to search with, to count in
# of a fault-free chip as many sessions as have so many false alarms, to search with and to set thresholds
SEARCH_ALARMS, THRESHOLD_ALARMS = 4, 20


class Record(Protocol):
    """Shows patterns to chips; with other random numbers for every repetition and at every call."""

    def __call__(self, patterns: NDArray[np.int64], repetitions: int) -> NDArray:
        """(chips, repetitions, patterns, classes) spike counts of some of the candidates."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingTest:
    """A test set with its decision.

    Attributes
    ----------
    patterns : (chosen,) places of its patterns among the candidates
    repetitions : how often each is shown
    mean, variance : (chosen, classes) of a fault-free chip's counts
    threshold : of the statistic
    false_alarm_rate : that fault-free sessions do not exceed
    confidence : with which they do not
    """

    patterns: NDArray[np.int64]
    repetitions: int
    mean: FloatArray
    variance: FloatArray
    threshold: float
    false_alarm_rate: float
    confidence: float

    @property
    def inferences(self) -> int:
        """Images that a session shows."""
        return len(self.patterns) * self.repetitions

    def sessions(self, record: Record, count: int) -> NDArray:
        """(chips, count, repetitions, chosen, classes) of new sessions."""
        counts = _recorded("record", record, self.patterns, count * self.repetitions, self.mean.shape[-1])
        return counts.reshape(len(counts), count, self.repetitions, *self.mean.shape)

    def statistic(self, counts: NDArray) -> FloatArray:
        """(...,) of sessions (..., repetitions, chosen, classes)."""
        return self.distances(counts).sum(axis=-1)

    def distances(self, counts: NDArray) -> FloatArray:
        """(..., chosen) what every pattern adds to the statistic."""
        if counts.shape[-3:] != (self.repetitions, *self.mean.shape):
            expected = f"(..., {self.repetitions}, {', '.join(map(str, self.mean.shape))})"
            raise InputError("counts", expected, str(counts.shape))
        found = _distances(counts.mean(axis=-3), self.mean, self.variance, self.repetitions)
        if not np.isfinite(found).all():  # else a chip that does not answer would pass
            raise InputError("counts", "finite numbers of spikes", "others")
        return found

    def is_faulty(self, counts: NDArray) -> NDArray[np.bool_]:
        """(...,) the verdict on sessions; see `statistic`."""
        return self.statistic(counts) > self.threshold

    def alarms(self, sessions: NDArray) -> Estimate:
        """How often independent sessions are called faulty, with Clopper and Pearson's interval.

        Parameters
        ----------
        sessions : (n, repetitions, chosen, classes) counts
        """
        verdicts = self.is_faulty(sessions)
        return clopper_pearson(int(verdicts.sum()), len(verdicts))


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedTest:
    """A test set, and which faults it finds.

    Attributes
    ----------
    power : (faults,), the share of new sessions in which each is found; near 0.95 with an error of 0.02
    needed_power : from which share on a fault counts as found
    """

    test: SpikingTest
    power: FloatArray
    needed_power: float

    @property
    def found(self) -> int:
        """Faults that are found."""
        return int((self.power >= self.needed_power).sum())


@checked
def generate_test(
    fault_free: Record,
    faulty: Record,
    candidates: int,
    *,
    false_alarm_rate: float = 0.01,
    confidence: float = 0.95,
    needed_power: float = 0.95,
    coverage: float = 0.9,
    most_patterns: int = 20,
    repetitions: Sequence[int] = REPETITIONS,
) -> GeneratedTest:
    """The smallest test set that a greedy search finds.

    Parameters
    ----------
    fault_free : shows patterns to one fault-free chip
    faulty : shows patterns to all faulty chips, one fault each
    candidates : patterns to choose from; recorders are given their places
    false_alarm_rate : share of sessions in which a fault-free chip may be called faulty
    confidence : that it is no more than that
    needed_power : share of sessions in which a fault has to be found
    coverage : share of the faults to find; if no set does, the one that finds most, and the smallest of these
    most_patterns : of a set
    repetitions : of a pattern in a session; those that could give a smaller set are tried

    Returns
    -------
    The set with the fewest inferences, of those that reach the coverage. Its threshold and its faults' power
    are measured anew after that, so that it may find a few more or less.

    Raises
    ------
    InputError : shares out of range, recorders that give counts of another shape.
    """
    rate = check_number("false_alarm_rate", false_alarm_rate, 1e-3, 0.5)
    confidence = check_number("confidence", confidence, 0.5, 1 - 1e-6)
    needed_power = check_number("needed_power", needed_power, 0.01, 1)
    coverage = check_number("coverage", coverage, 1e-9, 1)
    most_patterns = check_int("most_patterns", most_patterns, 1, 10**6)
    candidates = check_int("candidates", candidates, 1, 10**6)
    counts = sorted({check_int("repetitions", count, 1, 10**6) for count in repetitions})
    if not counts:
        raise InputError("repetitions", "at least one number", "none")
    search = _Search(fault_free, faulty, candidates, rate, confidence, needed_power, counts)
    wanted = max(1, ceil(coverage * len(search.tried) - 1e-9))
    best: tuple[tuple[int, int], SpikingTest] | None = None
    for count in counts:
        most = most_patterns
        if best is not None and best[0][0] == 0:  # others have to be smaller
            most = min(most, (best[0][1] - 1) // count)
        for test, found in search.sets(count, most):
            rank = max(0, wanted - found), test.inferences
            if best is None or rank < best[0]:
                best = rank, test
    assert best is not None  # the smallest number of repetitions always gives a set
    test = search.with_threshold(best[1])
    power = test.is_faulty(test.sessions(faulty, POWER_SESSIONS)).mean(axis=1)
    return GeneratedTest(test=test, power=power, needed_power=needed_power)


class _Search:
    """What the search knows: every candidate shown to all chips, as often as the longest sessions need."""

    def __init__(
        self,
        fault_free: Record,
        faulty: Record,
        candidates: int,
        rate: float,
        confidence: float,
        needed: float,
        repetitions: list[int],
    ) -> None:
        self.fault_free, self.faulty = fault_free, faulty
        self.rate, self.confidence, self.needed = rate, confidence, needed
        every, most = np.arange(candidates), repetitions[-1]
        known = _recorded("fault_free", fault_free, every, LEARNED * most)
        if len(known) != 1:
            raise InputError("fault_free", "counts of one chip", str(len(known)))
        self.mean, self.variance = known[0].mean(axis=0), known[0].var(axis=0, ddof=1)
        classes, self.sessions = known.shape[-1], ceil(SEARCH_ALARMS / rate)
        self.free = _recorded("fault_free", fault_free, every, self.sessions * most, classes)[0]
        self.tried = _recorded("faulty", faulty, every, FAULTY_SESSIONS * most, classes)

    def sets(self, count: int, most: int) -> Iterator[tuple[SpikingTest, int]]:
        """The first pattern of the order, the first two, and so on, each with how many faults it finds.

        Counted in new sessions; the tests have no threshold yet.
        """
        if not (order := self.order(count, most)):
            return
        whole = self.test(count, order)
        free = whole.distances(self.fault_free_sessions(whole)).cumsum(axis=-1)
        faulty = whole.distances(whole.sessions(self.faulty, POWER_SESSIONS)).cumsum(axis=-1)
        for last in range(len(order)):
            limit = tolerance_limit(free[:, last], self.rate, confidence=self.confidence)
            found = (faulty[..., last] > limit).mean(axis=1) >= self.needed
            yield self.test(count, order[: last + 1]), int(found.sum())

    def with_threshold(self, test: SpikingTest) -> SpikingTest:
        """From new sessions."""
        free = test.statistic(self.fault_free_sessions(test))
        return replace(test, threshold=tolerance_limit(free, self.rate, confidence=self.confidence))

    def fault_free_sessions(self, test: SpikingTest) -> NDArray:
        """As many new ones as a threshold needs."""
        count = max(
            ceil(THRESHOLD_ALARMS / self.rate), smallest_sample(self.rate, confidence=self.confidence)
        )
        return test.sessions(self.fault_free, count)[0]

    def order(self, count: int, most: int) -> list[int]:
        """Patterns one by one: the one with which most faults are found, of equal ones the clearest.

        Until all faults are found, or as many as may be; how many of these are worth it other sessions tell.
        """
        null = self._by_session(self.free, count, self.sessions)
        found = self._by_session(self.tried, count, FAULTY_SESSIONS)  # (faults, sessions, candidates)
        chosen: list[int] = []
        null_sum, sums = np.zeros(len(null)), np.zeros(found.shape[:2])
        power = np.zeros(len(found))
        while len(chosen) < min(most, null.shape[1]) and (power < self.needed).any():
            thresholds = np.quantile(null_sum[:, None] + null, 1 - self.rate, axis=0, method="higher")
            powers = (sums[..., None] + found > thresholds).mean(axis=1)  # (faults, candidates)
            score = (powers >= self.needed).sum(axis=0) + np.minimum(powers, self.needed).mean(axis=0)
            score[chosen] = -1
            best = int(score.argmax())
            chosen.append(best)
            null_sum, sums, power = null_sum + null[:, best], sums + found[..., best], powers[:, best]
        return chosen

    def test(self, count: int, chosen: list[int]) -> SpikingTest:
        """Without a threshold yet: nothing is called faulty."""
        return SpikingTest(
            patterns=np.array(chosen), repetitions=count, mean=self.mean[chosen],
            variance=self.variance[chosen], threshold=inf, false_alarm_rate=self.rate,
            confidence=self.confidence,
        )  # fmt: skip

    def _by_session(self, counts: NDArray, count: int, sessions: int) -> FloatArray:
        """(..., sessions, candidates) of the first sessions of `count` repetitions."""
        apart = counts[..., : sessions * count, :, :]
        means = apart.reshape(*counts.shape[:-3], sessions, count, *counts.shape[-2:]).mean(axis=-3)
        return _distances(means, self.mean, self.variance, count)


def _distances(means: FloatArray, mean: FloatArray, variance: FloatArray, count: int) -> FloatArray:
    """(..., candidates): squared distances to a fault-free chip's spikes, in their variances."""
    return ((count * (means - mean)) ** 2 / np.maximum(count * variance, 1)).sum(axis=-1)


def _recorded(
    where: str, record: Record, patterns: NDArray[np.int64], repetitions: int, classes: int | None = None
) -> NDArray:
    """What a recorder gives, checked."""
    counts = np.asarray(record(patterns, repetitions))
    fits = counts.shape[1:3] == (repetitions, len(patterns)) and classes in (None, *counts.shape[3:])
    if counts.ndim != 4 or not counts.size or not fits:
        expected = f"counts (chips, {repetitions}, {len(patterns)}, {classes or 'classes'})"
        raise InputError(where, expected, str(counts.shape))
    if not np.isfinite(counts).all():
        raise InputError(where, "finite counts", "others")
    return counts
