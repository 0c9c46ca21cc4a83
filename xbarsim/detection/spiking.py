"""Test sets for spiking chips, whose answers are random: few patterns, repeated, and a statistical test.

A session shows every pattern R times. Its statistic is the sum, over patterns and outputs, of
(mean count - m)^2 / (v / R), with mean m and variance v of a fault-free chip's counts; where v is nearly 0 it
is taken as that of an output that spikes once in all calibration repetitions. The chip is called faulty if
the statistic is above a threshold that fault-free sessions exceed with the false-alarm rate that is asked
for. Sessions are drawn, with replacement, from recorded repetitions: of the fault-free ones a third gives m
and v, a third serves the search, and a third, which nothing was chosen with, gives the threshold. How often
it is exceeded in fact is measured on others. Of a faulty chip's repetitions one half serves the search, and
the other tells in how many sessions the fault is found.

The smallest set is searched greedily for every number of repetitions, so it is small, not proven smallest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.checks import InputError, check_int, check_number
from xbarsim.metrics.intervals import Estimate, clopper_pearson

FloatArray = NDArray[np.float64]
REPETITIONS = (1, 2, 4, 8, 16, 32)
SESSIONS = 4000  # of a fault-free chip
FAULTY_SESSIONS, POWER_SESSIONS = 40, 400
RECORDED = 20  # repetitions for each one of a session: fewer know a fault-free chip too badly


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingTest:
    """A test set with its decision.

    Attributes
    ----------
    patterns : (chosen,) places of its patterns among the candidates
    repetitions : how often each is shown
    mean, variance : (chosen, classes) of a fault-free chip's counts
    threshold : of the statistic
    false_alarm_rate : what was asked for
    """

    patterns: NDArray[np.int64]
    repetitions: int
    mean: FloatArray
    variance: FloatArray
    threshold: float
    false_alarm_rate: float

    @property
    def inferences(self) -> int:
        """Images that a session shows."""
        return len(self.patterns) * self.repetitions

    def statistic(self, counts: NDArray) -> FloatArray:
        """(...,) of sessions (..., repetitions, chosen, classes)."""
        if counts.shape[-3:] != (self.repetitions, *self.mean.shape):
            expected = f"(..., {self.repetitions}, {', '.join(map(str, self.mean.shape))})"
            raise InputError("counts", expected, str(counts.shape))
        return _distances(counts.mean(axis=-3), self.mean, self.variance, self.repetitions).sum(axis=-1)

    def is_faulty(self, counts: NDArray) -> NDArray[np.bool_]:
        """(...,) the verdict on sessions; see `statistic`."""
        return self.statistic(counts) > self.threshold

    def alarms(self, repeated: NDArray, rng: np.random.Generator, sessions: int = SESSIONS) -> Estimate:
        """How often sessions of a chip are called faulty, with Clopper and Pearson's interval.

        Parameters
        ----------
        repeated : (recorded, candidates, classes) counts of repetitions, of which sessions are drawn
        """
        drawn = _sessions(repeated[:, self.patterns], self.repetitions, sessions, rng)
        found = _distances(drawn, self.mean, self.variance, self.repetitions).sum(axis=-1) > self.threshold
        return clopper_pearson(int(found.sum()), sessions)


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedTest:
    """A test set, and which faults it finds.

    Attributes
    ----------
    power : (faults,), the share of sessions in which each is found
    needed_power : from which share on a fault counts as found
    """

    test: SpikingTest
    power: FloatArray
    needed_power: float

    @property
    def found(self) -> int:
        """Faults that are found."""
        return int((self.power >= self.needed_power).sum())


def generate_test(
    fault_free: NDArray,
    faulty: NDArray,
    *,
    false_alarm_rate: float = 0.01,
    needed_power: float = 0.95,
    coverage: float = 0.9,
    most_patterns: int = 20,
    repetitions: Sequence[int] = REPETITIONS,
    rng: np.random.Generator,
) -> GeneratedTest:
    """The smallest test set that a greedy search finds.

    Parameters
    ----------
    fault_free : (recorded, candidates, classes) counts of a fault-free chip for candidate patterns; a session
        repeats a pattern at most once for every 60 recorded
    faulty : (faults, recorded, candidates, classes) the same of every faulty chip
    false_alarm_rate : share of sessions in which a fault-free chip is called faulty
    needed_power : share of sessions in which a fault has to be found
    coverage : share of the faults to find; if no set does, the one that finds most, and the smallest of these
    most_patterns : of a set

    Returns
    -------
    The set with the fewest inferences, of those that reach the coverage.

    Raises
    ------
    InputError : counts that do not belong together, shares out of range, too few repetitions recorded.
    """
    _check(fault_free, faulty, false_alarm_rate, needed_power, coverage, most_patterns)
    third = len(fault_free) // 3
    mean = fault_free[:third].mean(axis=0)
    variance = np.maximum(fault_free[:third].var(axis=0, ddof=1), 1 / third)
    best: tuple[tuple[float, int], GeneratedTest] | None = None
    tried, kept = faulty[:, : faulty.shape[1] // 2], faulty[:, faulty.shape[1] // 2 :]
    for count in _possible(repetitions, third):
        null, others = (
            _distances(_sessions(part, count, SESSIONS, rng), mean, variance, count)
            for part in (fault_free[third : 2 * third], fault_free[2 * third :])
        )
        found = np.stack(
            [_distances(_sessions(one, count, FAULTY_SESSIONS, rng), mean, variance, count) for one in tried]
        )
        limit = most_patterns if best is None or best[0][0] < 0 else (best[0][1] - 1) // count
        chosen = _greedy(null, found, false_alarm_rate, needed_power, coverage, min(most_patterns, limit))
        if not chosen:
            continue
        at = np.array(chosen)
        threshold = float(np.quantile(others[:, at].sum(axis=1), 1 - false_alarm_rate, method="higher"))
        test = SpikingTest(
            patterns=at, repetitions=count, mean=mean[at], variance=variance[at], threshold=threshold,
            false_alarm_rate=false_alarm_rate,
        )  # fmt: skip
        power = np.array([test.alarms(one, rng, POWER_SESSIONS).value for one in kept])
        made = GeneratedTest(test=test, power=power, needed_power=needed_power)
        missing = max(0.0, np.ceil(coverage * len(faulty) - 1e-9) - made.found)
        rank = (-missing, test.inferences)
        if best is None or missing < -best[0][0] or (missing == -best[0][0] and rank[1] < best[0][1]):
            best = rank, made
    assert best is not None
    return best[1]


def _possible(repetitions: Sequence[int], third: int) -> list[int]:
    """Numbers of repetitions that enough was recorded for."""
    for count in repetitions:
        check_int("repetitions", count, 1, 10**6)
    found = [count for count in sorted(set(repetitions)) if count <= max(1, third // RECORDED)]
    if not found:
        expected = f"one of at most {max(1, third // RECORDED)}, of {3 * third} recorded"
        remedy = f"record {3 * RECORDED} for each repetition"
        raise InputError("repetitions", expected, str(tuple(repetitions)), remedy)
    return found


def _greedy(
    null: FloatArray, found: FloatArray, rate: float, needed: float, coverage: float, most: int
) -> list[int]:
    """Patterns added one by one: the one with which most faults are found, of equal ones the clearest.

    Parameters
    ----------
    null : (sessions, candidates) distances of a fault-free chip
    found : (faults, sessions, candidates) of every faulty one
    """
    chosen: list[int] = []
    null_sum, sums = np.zeros(len(null)), np.zeros(found.shape[:2])
    power = np.zeros(len(found))
    while len(chosen) < most and (power >= needed).sum() < np.ceil(coverage * len(found) - 1e-9):
        thresholds = np.quantile(null_sum[:, None] + null, 1 - rate, axis=0, method="higher")
        powers = (sums[..., None] + found > thresholds).mean(axis=1)  # (faults, candidates)
        score = (powers >= needed).sum(axis=0) + np.minimum(powers, needed).mean(axis=0)
        score[chosen] = -1
        best = int(score.argmax())
        if score[best] < 0:
            break
        chosen.append(best)
        null_sum, sums = null_sum + null[:, best], sums + found[..., best]
        power = powers[:, best]
    return chosen


def _sessions(repeated: NDArray, count: int, sessions: int, rng: np.random.Generator) -> FloatArray:
    """(sessions, candidates, classes) mean counts of `count` repetitions drawn with replacement."""
    total = np.zeros((sessions, *repeated.shape[1:]))
    for _ in range(count):
        total += repeated[rng.integers(len(repeated), size=sessions)]
    return total / count


def _distances(means: FloatArray, mean: FloatArray, variance: FloatArray, count: int) -> FloatArray:
    """(..., candidates): squared distances to a fault-free chip's, in its variances."""
    return ((means - mean) ** 2 / (variance / count)).sum(axis=-1)


def _check(
    fault_free: NDArray, faulty: NDArray, rate: float, power: float, coverage: float, most: int
) -> None:
    check_number("false_alarm_rate", rate, 1e-3, 0.5)
    check_number("needed_power", power, 0.01, 1)
    check_number("coverage", coverage, 1e-9, 1)
    check_int("most_patterns", most, 1, 10**6)
    shapes = fault_free.ndim, faulty.ndim, faulty.shape[2:]
    if shapes != (3, 4, fault_free.shape[1:]) or not len(faulty):
        got = f"{fault_free.shape} and {faulty.shape}"
        raise InputError("counts", "(recorded, candidates, classes), and for every fault", got)
    needed = int(np.ceil(3 / rate - 1e-9))  # a third of them gives the threshold
    if len(fault_free) < needed or faulty.shape[1] < 4:
        expected = f"{needed} of a fault-free chip for this rate, 4 of a faulty one, at least"
        raise InputError("repetitions", expected, f"{len(fault_free)} and {faulty.shape[1]}")
