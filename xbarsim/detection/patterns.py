"""Detectors that show patterns: adversarial images, or plain ones, and the answers that they should give.

Every test draws its own N patterns from all that there are, so that a rate does not hang on one lucky choice.
A chip is called faulty when any of them fires: by SDC-1 if its class differs from the float network's, by
SDC-x% if the confidence of its top class differs by more than x points.

Source: RRAMedy, section III-C. The paper gives neither N nor the rule for a set of patterns: both are ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from torch import nn

from xbarsim.chip import Cost
from xbarsim.detection.adversarial import PatternSet, attack
from xbarsim.errors import InputError, check_int, check_positive
from xbarsim.hints import check_fields
from xbarsim.metrics.corruption import confidence_change, sdc_1
from xbarsim.rng import Trial

CRITERION = re.compile(r"SDC-(1|(?P<percent>\d+(\.\d+)?)%)")
CHANGED = 0.0  # of the classes: one is enough


def criterion_threshold(criterion: str) -> float:
    """Return the share of confidence above which a pattern fires; 0 for SDC-1, which counts classes.

    >>> criterion_threshold("SDC-3%")
    0.03
    """
    match = CRITERION.fullmatch(criterion)
    if match is None or (match["percent"] and not 0 < float(match["percent"]) <= 100):
        raise InputError(
            "criterion", "'SDC-1', or 'SDC-3%' with some other number of points", repr(criterion)
        )
    return CHANGED if match["percent"] is None else float(match["percent"]) / 100


@dataclass(frozen=True, eq=False)
class PatternTest:
    """Patterns with the float network's answers; see `AdversarialPatterns`."""

    pool: PatternSet
    patterns: int
    criterion: str
    digest: str = ""

    @property
    def threshold(self) -> float:
        """See `PreparedTest`."""
        return criterion_threshold(self.criterion)

    def score(self, chip: Any, trial: Trial) -> float:
        """Return how many classes changed (SDC-1), or the largest change of a top confidence, in shares."""
        chosen = trial.stream("patterns").choice(len(self.pool.images), self.patterns, replace=False)
        shown = self.pool.take(chosen)
        answers = chip.run(shown.images).scores
        if self.threshold == CHANGED:
            return float(sdc_1(shown.logits, answers).sum())
        return float(confidence_change(shown.logits, answers).max())

    def cost(self, chip: Any) -> Cost:
        """Return what the inferences take."""
        return chip.cost(self.patterns)


@dataclass(frozen=True, kw_only=True)
class AdversarialPatterns:
    """FGSM images of the test set.

    Parameters
    ----------
    patterns : N, how many a test shows
    criterion : 'SDC-1' or 'SDC-3%', with any number of points
    epsilon : FGSM's step in units of the inputs; the subject's own by default

    Raises
    ------
    InputError : a number or a criterion out of range; more patterns than test images; a subject without a
        torch module.
    """

    patterns: int = 10
    criterion: str = "SDC-3%"
    epsilon: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        _check(self.patterns, self.criterion)
        if self.epsilon is not None:
            check_positive("epsilon", self.epsilon)

    @property
    def words(self) -> str:
        """What people read."""
        step = "" if self.epsilon is None else f", epsilon {self.epsilon:g}"
        return f"{self.patterns} adversarial, {self.criterion}{step}"

    def fits(self, subject: Any) -> bool:
        """Return whether a subject has a float network, which patterns and answers come from."""
        return isinstance(subject.network, nn.Module)

    def prepare(self, subject: Any) -> PatternTest:
        """Attack the float network on every test image."""
        return _test(self, subject, 1, subject.epsilon if self.epsilon is None else self.epsilon)


@dataclass(frozen=True, kw_only=True)
class OriginalImages:
    """Plain test images; parameters as those of `AdversarialPatterns`."""

    patterns: int = 10
    criterion: str = "SDC-3%"

    def __post_init__(self) -> None:
        check_fields(self)
        _check(self.patterns, self.criterion)

    @property
    def words(self) -> str:
        """What people read."""
        return f"{self.patterns} original, {self.criterion}"

    def fits(self, subject: Any) -> bool:
        """See `AdversarialPatterns`."""
        return isinstance(subject.network, nn.Module)

    def prepare(self, subject: Any) -> PatternTest:
        """Ask the float network about every test image."""
        return _test(self, subject, 0, subject.epsilon)


def _check(patterns: int, criterion: str) -> None:
    check_int("patterns", patterns, 1, 10**9)
    criterion_threshold(criterion)


def _test(detector: Any, subject: Any, place: int, epsilon: float) -> PatternTest:
    data = subject.test
    check_int("patterns", detector.patterns, 1, len(data), "there are no more test images")

    step = {"epsilon": epsilon, "value_range": data.value_range}
    made = subject.in_float(
        ("attack", epsilon), lambda: attack(subject.module, data.images, data.labels, **step)
    )
    pools = subject.once(("patterns", epsilon), lambda: made.pattern_sets(data.images, **step))
    return PatternTest(pools[place], detector.patterns, detector.criterion, made.digests[place])
