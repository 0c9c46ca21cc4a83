"""What is counted on a trial's chip: right answers, or whether a detector calls it faulty."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from xbarsim.campaigns.task import Outcome
from xbarsim.chip import Detector, FaultModel, Repair, Varied
from xbarsim.errors import check_choice
from xbarsim.experiments.drawing import faulty_chip, read_seed
from xbarsim.experiments.single_faults import FAULTS_AT_ONCE, can_share, single_outcomes
from xbarsim.faults.trials import faults_of
from xbarsim.files import write_bytes
from xbarsim.hints import check_fields
from xbarsim.registry import detectors
from xbarsim.repair.nothing import AsItIs
from xbarsim.rng import Trial
from xbarsim.subject import Subject

CHIPS_AT_ONCE = 4  # that share what no fault has changed
DIGITS = 9  # of scores: what processors agree on


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a measure is taken of: a subject, what is wrong with its chips, and what is done about it."""

    subject: Subject
    faults: FaultModel
    repair: Repair
    keep: Path | None = None

    @property
    def together(self) -> bool:
        """Whether chips can share work: nothing is repaired, and they differ in their faults alone."""
        return isinstance(self.repair, AsItIs) and not isinstance(self.subject.chip, Varied)

    def repaired(self, trial: Trial) -> tuple[Any, dict[str, float]]:
        """Return a trial's chip after the repair, and counts of both."""
        chip = faulty_chip(self.subject.chip, self.faults, trial)
        found = self.repair.repair(chip, self.subject, trial)
        for name, content in found.files.items() if self.keep is not None else ():
            path = Path(str(self.keep), f"chip-{trial.number}-{name}")
            write_bytes(path, content)
        return found.chip, {**fault_counts(chip, chip.faults), **found.counts}


def fault_counts(chip: Any, faults: Any) -> dict[str, float]:
    """Count the faults of a chip, and those among them in cells that hold weights, where it has such."""
    used = getattr(chip, "used_faults", None)
    return {"faults": len(faults), **({} if used is None else {"used_faults": used(faults)})}


class Measure(Protocol):
    """What is counted; a frozen dataclass, whose fields tell it from others."""

    @property
    def metric(self) -> str:
        """Its name, as stopping rules say it."""

    def fits(self, subject: Subject) -> bool:
        """Return whether it can be taken of a subject: campaigns leave it out elsewhere."""

    def batch(self, condition: Condition) -> int:
        """Return how many chips are measured together."""

    def describe(self, subject: Subject) -> dict[str, Any]:
        """Return its fields as JSON, and digests of what it makes of a subject in floats."""

    def count(self, condition: Condition, trials: Sequence[Trial]) -> Iterator[Outcome] | list[Outcome]:
        """Count, on the chips of these trials: a list where they share work."""

    def facts(self, condition: Condition) -> dict[str, Any]:
        """Return what a report shows beside the counts."""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Right answers to the test images.

    Parameters
    ----------
    fidelity : 'bit-serial' simulates every conversion of ReRAM arrays, for checking: the same numbers, slowly
    """

    fidelity: Literal["digital", "bit-serial"] = "digital"

    metric = "accuracy"

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("fidelity", self.fidelity, ("digital", "bit-serial"))

    def fits(self, subject: Subject) -> bool:
        """See `Measure`."""
        return True

    def together(self, condition: Condition) -> bool:
        """Whether chips share work."""
        return condition.together and self.fidelity == "digital"

    def batch(self, condition: Condition) -> int:
        """See `Measure`."""
        if not self.together(condition):
            return 1
        return FAULTS_AT_ONCE if can_share(condition.subject.chip, condition.faults) else CHIPS_AT_ONCE

    def describe(self, subject: Subject) -> dict[str, Any]:
        """See `Measure`."""
        return {"metric": self.metric, **({} if self.fidelity == "digital" else {"fidelity": self.fidelity})}

    def count(self, condition: Condition, trials: Sequence[Trial]) -> Iterator[Outcome] | list[Outcome]:
        """See `Measure`."""
        if not self.together(condition):
            return (self._one(condition, trial) for trial in trials)
        chip, test = condition.subject.chip, condition.subject.test
        if can_share(chip, condition.faults):
            return single_outcomes(chip, condition.faults, test, trials)  # type: ignore[arg-type]
        drawn = [faults_of(condition.faults, chip.geometry, trial) for trial in trials]
        runs = chip.run_each(drawn, test.images, seed=trials[0].seed)
        return [
            Outcome(len(test), run.hits(test.labels), fault_counts(chip, faults))
            for faults, run in zip(drawn, runs, strict=True)
        ]

    def _one(self, condition: Condition, trial: Trial) -> Outcome:
        chip, counts = condition.repaired(trial)
        test = condition.subject.test
        more = {} if self.fidelity == "digital" else {"fidelity": self.fidelity}
        run = chip.run(test.images, seed=read_seed(chip, trial), **more)
        return Outcome(len(test), run.hits(test.labels), counts)

    def facts(self, condition: Condition) -> dict[str, Any]:
        """See `Measure`."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Whether a detector calls a chip faulty: one shot, a hit if it does.

    Counts: the score. Faults of the model 'none' count false alarms.
    """

    detector: Detector

    def __post_init__(self) -> None:
        check_fields(self)

    metric = "detection"

    def fits(self, subject: Subject) -> bool:
        """See `Measure`; a detector that says nothing is for all."""
        return getattr(self.detector, "fits", lambda subject: True)(subject)

    def batch(self, condition: Condition) -> int:
        """See `Measure`."""
        return 1

    def describe(self, subject: Subject) -> dict[str, Any]:
        """See `Measure`."""
        digest = getattr(self._test(subject), "digest", None)
        shown = {} if digest is None else {"shown": digest}
        return {"metric": self.metric, "detector": detectors.describe(self.detector), **shown}

    def count(self, condition: Condition, trials: Sequence[Trial]) -> Iterator[Outcome]:
        """See `Measure`."""
        test = self._test(condition.subject)
        for trial in trials:
            chip, counts = condition.repaired(trial)
            score = test.score(chip, trial)
            found = int(score > test.threshold)
            yield Outcome(1, found, {**counts, "score": round(float(score), DIGITS)})

    def facts(self, condition: Condition) -> dict[str, Any]:
        """See `Measure`."""
        test = self._test(condition.subject)
        latency = test.cost(condition.subject.chip).latency_ns
        known = {"test_latency_ns": latency} if math.isfinite(latency) else {}
        return {"threshold": test.threshold, **known}

    def _test(self, subject: Subject) -> Any:
        return subject.once(("test", self.detector), lambda: self.detector.prepare(subject))
