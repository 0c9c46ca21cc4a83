"""An experiment: a measure of a subject's chips with faults, after a repair; what campaigns repeat.

Trial t of a seed is the same chip in every experiment with that fault model, whatever is measured or
repaired, so that results can be compared pair by pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from xbarsim.campaigns.task import Outcome, Task, TrialFunction
from xbarsim.chip import FaultModel, Repair
from xbarsim.code import code_of
from xbarsim.errors import InputError
from xbarsim.experiments.drawing import trials_of
from xbarsim.experiments.facts import subject_facts
from xbarsim.experiments.measures import Condition, Measure
from xbarsim.faults.places import NoFaults, is_of
from xbarsim.hints import admit, check_fields, checked
from xbarsim.registry import accelerators, detectors, fault_models, repairs
from xbarsim.repair.nothing import AsItIs
from xbarsim.rng import stream
from xbarsim.subject import Subject

REVISION = 2  # one more whenever an unchanged description gives other counts


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A measure under a condition.

    Parameters
    ----------
    keep : folder in which a repair's files are written, chip by chip; no part of what it is
    """

    measure: Measure
    subject: Subject
    faults: FaultModel = field(default_factory=NoFaults)
    repair: Repair = field(default_factory=AsItIs)
    keep: Path | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        return {
            **self.measure.describe(self.subject),
            **self.subject.describe(),
            "faults": fault_models.describe(self.faults),
            "repair": repairs.describe(self.repair),
            "revision": REVISION,
        }

    @property
    def condition(self) -> Condition:
        """What is measured."""
        return Condition(subject=self.subject, faults=self.faults, repair=self.repair, keep=self.keep)

    @property
    def batch(self) -> int:
        """Chips that are measured together."""
        return self.measure.batch(self.condition)

    @property
    def code(self) -> tuple[Path, ...]:
        """Files of the user's that define parts of it."""
        detector = getattr(self.measure, "detector", None)
        return code_of(self.measure, detector, self.faults, self.repair, self.subject.accelerator)

    def prepare(self) -> TrialFunction:
        """See `Workload`."""
        condition = self.condition
        self.subject.chip  # noqa: B018 - programs it, once for all trials

        def trials(seed: int, numbers: Sequence[int]) -> list[Outcome] | Iterator[Outcome]:
            return self.measure.count(condition, list(trials_of(seed, numbers)))

        return trials

    @property
    def words(self) -> dict[str, str]:
        """What people read of its parts."""
        detector = getattr(self.measure, "detector", None)
        return {
            "accelerator": accelerators.words(self.subject.accelerator),
            "faults": fault_models.words(self.faults),
            "repair": repairs.words(self.repair),
            **({} if detector is None else {"detector": detectors.words(detector)}),
        }

    def facts(self) -> dict[str, Any]:
        """What a report shows beside the trials: words, the healthy chip, its size and costs."""
        return {"words": self.words, **subject_facts(self.subject), **self.measure.facts(self.condition)}


@checked
def grid(
    measures: Measure | Iterable[Measure],
    *,
    subjects: Subject | Iterable[Subject],
    faults: FaultModel | Iterable[FaultModel],
    repairs: Repair | Iterable[Repair] | None = None,
    trials: int = 100,
    seed: int = 0,
    keep: Path | None = None,
) -> list[Task]:
    """Return a task for every combination, in the order of the arguments; equal ones once.

    Parameters
    ----------
    trials : chips of each; of a model that lists its faults, at most as many as there are
    keep : folder for what repairs send to chips

    Raises
    ------
    InputError : nothing to combine, a number out of range.
    """
    found: dict[str, Task] = {}
    chosen = {
        "subjects": subjects,
        "measures": measures,
        "repairs": AsItIs() if repairs is None else repairs,
        "faults": faults,
    }
    kinds = (Subject, Measure, Repair, FaultModel)
    for subject, measure, repair, model in product(*map(_several, chosen, chosen.values(), kinds)):
        if not is_of(model, subject.chip.geometry):
            model.draw(subject.chip.geometry, stream(seed, "faults"))  # refuses it in its own words
        experiment = Experiment(measure=measure, subject=subject, faults=model, repair=repair, keep=keep)
        known = getattr(model, "population", None)
        count = trials if known is None else min(trials, known(subject.chip.geometry))
        task = Task(workload=experiment, trials=count, seed=seed)
        found[task.key] = task
    return list(found.values())


def _several(name: str, things: Any, kind: type) -> list[Any]:
    listed = isinstance(things, Iterable) and not isinstance(things, (str, Subject))
    found = [admit(f"grid: {name}", one, kind) for one in (things if listed else [things])]
    if not found:
        raise InputError(f"grid: {name}", "at least one", "none")
    return found
