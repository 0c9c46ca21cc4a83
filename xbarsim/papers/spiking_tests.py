"""Test sets for a spiking chip, one for each class of faults: how few patterns and repetitions find them.

Candidates are test images and patterns that Algorithm 1 makes for faults of the class. Every fault is alone
on its chip; faults that act alike are counted once (`collapse`). The sets' files are where the networks are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accel_models.spiking.chip import SpikingChip
from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.recorder import Recorder
from xbarsim.campaigns.store import TaskStatus
from xbarsim.campaigns.task import Outcome, Task, TrialFunction
from xbarsim.detection.spiking import POWER_SESSIONS, REPETITIONS, generate_test
from xbarsim.detection.spiking_files import SpikingTestSet
from xbarsim.documents import plain
from xbarsim.errors import InputError
from xbarsim.faults.neuron_effects import collapse
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, NeuronFaults
from xbarsim.files import read_bytes, write_bytes
from xbarsim.metrics.intervals import Estimate, clopper_pearson
from xbarsim.papers.spiking_networks import (
    CHIPS_SEED,
    UNIVERSE,
    SpikingBudget,
    SpikingTraining,
    SpikingVariant,
    counts_of,
    spiking_budget,
    trainings,
)
from xbarsim.papers.study import Settings, Shown, Study
from xbarsim.report.results import Results
from xbarsim.report.tables import Table
from xbarsim.rng import stream
from xbarsim.training.spiking_patterns import PatternSettings, make_patterns

KINDS = tuple(kind for kind in NeuronFaultKind if kind is not NeuronFaultKind.stuck_output)
ALARM_SESSIONS = 4000  # to count false alarms in
SINGLE_FAULTS = FaultUniverse(geometry=UNIVERSE.geometry, scope=("input", "hidden", "output", "synapses"))
REVISION = 1  # one more whenever an unchanged description gives other counts


@dataclass(frozen=True, kw_only=True)
class SessionBudget:
    """How much is tried: faults of a class, candidates of each sort, repetitions of a pattern."""

    faults: int
    candidates: int
    repetitions: tuple[int, ...] = REPETITIONS


def session_budget(name: str) -> SessionBudget:
    """Return 'smoke' (seconds), 'cpu' (minutes) or 'full'."""
    return {
        "smoke": SessionBudget(faults=4, candidates=4, repetitions=(1,)),
        "cpu": SessionBudget(faults=60, candidates=30),
        "full": SessionBudget(faults=400, candidates=60),
    }[name]


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedSet:
    """A test set for the faults of a kind. Shots: the faults that it is made for; hits: those that it finds.

    Counts: `single_faults` of the class, without those that do nothing and alike ones; `power I`, sessions
    of 100 in which fault I is found, and `others_power I`, of others of the class, which nothing was chosen
    for; `others_found`; `candidates_made` by Algorithm 1 and `patterns_made`, those of the set among them;
    `patterns`, `repetitions`, `threshold`; `false_alarms` in sessions that nothing was chosen with.

    Parameters
    ----------
    training : of the network
    false_alarm_rate, confidence, needed_power : see `xbarsim.detection.spiking.generate_test`
    """

    training: SpikingTraining
    kind: NeuronFaultKind
    budget: SessionBudget
    false_alarm_rate: float = 0.01
    confidence: float = 0.95
    needed_power: float = 0.95

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        images = self.training.data.test.first(self.budget.candidates)
        return {
            "metric": "test set",
            "network": self.training.variant.name,
            "training": self.training.describe(),
            "data": images.digest,
            "images": len(images),
            "accelerator": "spiking",
            "faults": {"name": "single neurons", "kind": self.kind.name, "scope": list(SINGLE_FAULTS.scope)},
            "budget": plain(self.budget),
            "false_alarm_rate": self.false_alarm_rate,
            "confidence": self.confidence,
            "needed_power": self.needed_power,
            "alarm_sessions": ALARM_SESSIONS,
            "revision": REVISION,
        }

    def prepare(self) -> TrialFunction:
        """Train the network, or find it."""
        self.training.trained  # noqa: B018 - once for all trials

        def trials(seed: int, numbers: Sequence[int]) -> Iterator[Outcome]:
            return (self._trial(seed, number) for number in numbers)

        return trials

    def _trial(self, seed: int, number: int) -> Outcome:
        chip = SpikingConfig().program(self.training.trained.network)
        rng = stream(seed, f"tests {self.kind.name}", number)
        size, faults, others = self._drawn(chip, rng)
        candidates, given = self._candidates(faults, rng)
        free, faulty, unseen = (
            Recorder(chip, chips, candidates, seed=int(rng.integers(2**62)))
            for chips in ([chip], *([chip.inject(one) for one in part.each()] for part in (faults, others)))
        )
        made = generate_test(
            free, faulty, len(candidates), false_alarm_rate=self.false_alarm_rate, confidence=self.confidence,
            needed_power=self.needed_power, repetitions=self.budget.repetitions,
        )  # fmt: skip
        test = made.test
        chosen = candidates[test.patterns].reshape(len(test.patterns), -1)
        key = Task(workload=self, trials=1, seed=seed).key
        SpikingTestSet(test=test, images=chosen).save(file_of(self.training.folder, self.kind.name, key))
        others_power = test.is_faulty(test.sessions(unseen, POWER_SESSIONS)).mean(axis=1)
        counts = {
            "single_faults": size,
            **_by_fault("power", made.power),
            **_by_fault("others_power", others_power),
            "others_found": int((others_power >= made.needed_power).sum()),
            "candidates_made": len(candidates) - given,
            "patterns": len(test.patterns),
            "patterns_made": int((test.patterns >= given).sum()),
            "repetitions": test.repetitions,
            "threshold": test.threshold,
            "false_alarms": int(test.is_faulty(test.sessions(free, ALARM_SESSIONS)[0]).sum()),
        }
        return Outcome(len(made.power), made.found, counts)

    def _drawn(self, chip: SpikingChip, rng: np.random.Generator) -> tuple[int, NeuronFaults, NeuronFaults]:
        """How many faults the class has, those to make a set for, and as many others."""
        classes = collapse(SINGLE_FAULTS.enumerate(self.kind), chip.geometry, chip.weights).faults
        count = min(self.budget.faults, len(classes) // 2)
        drawn = rng.choice(len(classes), 2 * count, replace=False)
        return len(classes), classes.take(np.sort(drawn[:count])), classes.take(np.sort(drawn[count:]))

    def _candidates(self, faults: NeuronFaults, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Test images, then patterns that are made; how many of them are test images."""
        most = self.budget.candidates
        data = self.training.data.test.first(most)
        made = _patterns(self.training.trained.module, faults, data.images, data.labels, most, rng)
        return np.concatenate([data.images, made]), len(data)


def file_of(folder: Path, kind: str, key: str) -> Path:
    """Return the place of a test set, which its task's key names."""
    return folder / f"spiking-test-{kind}-{key}.safetensors"


def _by_fault(name: str, power: np.ndarray) -> dict[str, int]:
    return {f"{name} {place}": round(share * POWER_SESSIONS) for place, share in enumerate(power.tolist())}


def _patterns(
    module: torch.nn.Module,
    faults: NeuronFaults,
    images: np.ndarray,
    labels: np.ndarray,
    most: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Patterns of Algorithm 1 for single faults, one fault after the other."""
    settings, made = PatternSettings(rounds=10), [images[:0]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**62)))
        for fault in faults.each():
            if sum(map(len, made)) >= most:
                break
            patterns, _ = make_patterns(
                module, fault, torch.from_numpy(images), torch.from_numpy(labels), settings
            )
            made.append(patterns.numpy()[:3])
    module.set_faults(None)  # type: ignore[operator]
    return np.concatenate(made)[:most]


def set_tasks(session: SessionBudget, budget: SpikingBudget, settings: Settings) -> list[Task]:
    """Return a task a kind of fault, for the baseline network."""
    training = trainings([SpikingVariant(method="baseline")], budget, settings)[0]
    return [
        Task(workload=GeneratedSet(training=training, kind=kind, budget=session), trials=1, seed=CHIPS_SEED)
        for kind in KINDS
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassTest:
    """What is known of a test set; see `GeneratedSet`.

    Attributes
    ----------
    key : of its task
    power, others_power : shares of sessions
    alarms : of a fault-free chip
    """

    kind: str
    key: str
    size: int
    power: tuple[float, ...]
    others_power: tuple[float, ...]
    needed_power: float
    found: int
    others_found: int
    candidates_made: int
    patterns: int
    patterns_made: int
    repetitions: int
    threshold: float
    false_alarm_rate: float
    confidence: float
    alarms: Estimate

    @property
    def inferences(self) -> int:
        """Images that a session shows."""
        return self.patterns * self.repetitions

    def record(self) -> dict[str, object]:
        """Return its numbers for machines; images, means and variances are in the test set's file."""
        return {
            "kind": self.kind,
            "single_faults": self.size,
            "tried": len(self.power),
            "found": self.found,
            "needed_power": self.needed_power,
            "power": self.power,
            "others_found": self.others_found,
            "others_power": self.others_power,
            "candidates_made": self.candidates_made,
            "patterns": self.patterns,
            "patterns_made": self.patterns_made,
            "repetitions": self.repetitions,
            "inferences": self.inferences,
            "threshold": self.threshold,
            "false_alarm_rate": self.false_alarm_rate,
            "confidence": self.confidence,
            "false_alarms": self.alarms,
        }

    def copy(self, folder: Path, path: Path) -> Path:
        """Write the test set, which is in a folder, to a path.

        Raises
        ------
        InputError : it is not there any more.
        """
        source = file_of(folder, self.kind, self.key)
        if not source.is_file():
            remedy = "remove the file of the trials, so that it is made again"
            raise InputError(f"test set {source}", "the file that the trial wrote", "nothing", remedy)
        return write_bytes(path, read_bytes(source, f"test set {source}"))


def class_tests(results: Results) -> list[ClassTest]:
    """Return the test set of every kind."""
    by_kind = {task.description["faults"]["kind"]: task for task in results.tasks}
    return [_class_test(results, by_kind[kind.name]) for kind in KINDS]


def _class_test(results: Results, task: TaskStatus) -> ClassTest:
    was, counts, tried = task.description, counts_of(results, task), results.trials_of(task).iloc[0]
    faults = range(int(tried["shots"]))
    return ClassTest(
        kind=was["faults"]["kind"],
        key=task.key,
        size=int(counts["single_faults"]),
        power=tuple(counts[f"power {place}"] / POWER_SESSIONS for place in faults),
        others_power=tuple(counts[f"others_power {place}"] / POWER_SESSIONS for place in faults),
        needed_power=was["needed_power"],
        found=int(tried["hits"]),
        others_found=int(counts["others_found"]),
        candidates_made=int(counts["candidates_made"]),
        patterns=int(counts["patterns"]),
        patterns_made=int(counts["patterns_made"]),
        repetitions=int(counts["repetitions"]),
        threshold=counts["threshold"],
        false_alarm_rate=was["false_alarm_rate"],
        confidence=was["confidence"],
        alarms=clopper_pearson(int(counts["false_alarms"]), was["alarm_sessions"]),
    )


def sets_table(found: Sequence[ClassTest]) -> Table:
    """Classes down; size of the set, what it finds, and its false alarms."""
    rows = [
        (
            one.kind,
            f"{one.size:,}",
            f"{one.found} of {len(one.power)}",
            f"{one.others_found} of {len(one.others_power)}",
            str(one.patterns),
            str(one.patterns_made),
            str(one.repetitions),
            str(one.inferences),
            f"{100 * one.alarms.value:.2f} ({100 * one.alarms.low:.2f} to {100 * one.alarms.high:.2f})",
        )
        for one in found
    ]
    first = found[0]
    return Table(
        title=f"Test sets for spiking chips, at most {first.false_alarm_rate:.1%} false alarms, confidence "
        f"{first.confidence:.0%}",
        columns=(
            "class", "faults", "found", "others", "patterns", "made", "repetitions", "inferences",
            "false alarms [%]",
        ),
        rows=tuple(rows),
        note=f"Single faults of {SINGLE_FAULTS}. A fault is found if {first.needed_power:.0%} of the "
        "sessions call the chip faulty: of those that the set is made for, and of others of its class. Made: "
        "patterns by Algorithm 1. False alarms with their 95 % interval. Statistical test: squared distances "
        "of spike counts from a fault-free chip's, see xbarsim.detection.spiking. The search is greedy: the "
        "sets are small, not proven smallest.",
    )  # fmt: skip


def tasks(settings: Settings) -> list[Task]:
    """Return a test set for every kind of fault."""
    return set_tasks(session_budget(settings.budget), spiking_budget(settings.budget), settings)


def show(results: Results, settings: Settings) -> Shown:
    """Show what the sets find, and give their files."""
    found = class_tests(results)
    return Shown(
        results={"classes": [one.record() for one in found], "universe": str(SINGLE_FAULTS)},
        tables=[sets_table(found)],
        files={f"spiking-test-{one.kind}.safetensors": partial(one.copy, settings.folder) for one in found},
    )


TESTS = Study(tasks=tasks, show=show)
