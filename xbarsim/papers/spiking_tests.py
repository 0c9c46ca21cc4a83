"""Test sets for a spiking chip, one for each class of faults: how few patterns and repetitions find them.

Candidates are test images and patterns that Algorithm 1 makes for faults of the class. Every fault is alone
on its chip; faults that act alike are counted once (`collapse`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.recorder import Recorder
from xbarsim.detection.spiking import POWER_SESSIONS, REPETITIONS, GeneratedTest, generate_test
from xbarsim.detection.spiking_files import SpikingTestSet
from xbarsim.errors import check_choice
from xbarsim.faults.neuron_effects import collapse
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, NeuronFaults
from xbarsim.metrics.intervals import Estimate
from xbarsim.papers.spiking import SpikingStudy, SpikingVariant
from xbarsim.report.tables import Table
from xbarsim.rng import stream
from xbarsim.torch_bridge.spiking import spiking_network
from xbarsim.training.loop import OnBatch
from xbarsim.training.spiking_patterns import PatternSettings, make_patterns

Watch = Callable[[str], OnBatch | None]
KINDS = tuple(kind for kind in NeuronFaultKind if kind is not NeuronFaultKind.stuck_output)
ALARM_SESSIONS = 4000  # to count false alarms in
SCOPE = ("input", "hidden", "output", "synapses")


@dataclass(frozen=True, kw_only=True)
class SessionBudget:
    """How much is tried: faults of a class, candidates of each sort, repetitions of a pattern."""

    faults: int
    candidates: int
    repetitions: tuple[int, ...] = REPETITIONS


def session_budget(name: str) -> SessionBudget:
    """'smoke' (seconds), 'cpu' (minutes) or 'full'."""
    check_choice("--budget", name, ("smoke", "cpu", "full"))
    return {
        "smoke": SessionBudget(faults=4, candidates=4, repetitions=(1,)),
        "cpu": SessionBudget(faults=60, candidates=30),
        "full": SessionBudget(faults=400, candidates=60),
    }[name]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassTest:
    """The test set of a class of faults.

    Attributes
    ----------
    size : faults of the class, those without effect and alike ones left out
    made_patterns : how many of the candidates Algorithm 1 made
    from_made : how many of the set are of these
    images : (chosen, pixels) of the set
    others_power : share of sessions in which other faults of the class are found, that nothing was chosen for
    alarms : of a fault-free chip, on sessions that nothing was chosen with
    """

    kind: NeuronFaultKind
    size: int
    made_patterns: int
    from_made: int
    images: np.ndarray
    generated: GeneratedTest
    others_power: np.ndarray
    alarms: Estimate

    @property
    def others_found(self) -> int:
        """Of the other faults."""
        return int((self.others_power >= self.generated.needed_power).sum())

    @property
    def test_set(self) -> SpikingTestSet:
        """With which chips can be tested."""
        return SpikingTestSet(test=self.generated.test, images=self.images)

    def results(self) -> dict[str, object]:
        """Numbers for machines; images, means and variances are in the test set's file."""
        test, power = self.generated.test, self.generated.power
        return {
            "kind": self.kind.name,
            "single_faults": self.size,
            "tried": len(power),
            "found": self.generated.found,
            "needed_power": self.generated.needed_power,
            "power": power,
            "others_found": self.others_found,
            "others_power": self.others_power,
            "candidates_made": self.made_patterns,
            "patterns": len(test.patterns),
            "patterns_made": self.from_made,
            "repetitions": test.repetitions,
            "inferences": test.inferences,
            "threshold": test.threshold,
            "false_alarm_rate": test.false_alarm_rate,
            "confidence": test.confidence,
            "false_alarms": self.alarms,
        }


def run_tests(
    study: SpikingStudy,
    budget: SessionBudget,
    *,
    false_alarm_rate: float = 0.01,
    watch: Watch = lambda name: None,
) -> list[ClassTest]:
    """A test set for each class, for the baseline network of a study."""
    module, _, _ = study.train(SpikingVariant(method="baseline"))
    chip = SpikingConfig().program(spiking_network(module))
    universe = FaultUniverse(geometry=chip.geometry, scope=SCOPE)
    images, labels = study.test_images(budget.candidates)
    found = []
    for kind in KINDS:
        rng = stream(study.chips_seed, f"tests {kind.name}")
        classes = collapse(universe.enumerate(kind), chip.geometry, chip.weights).faults
        count = min(budget.faults, len(classes) // 2)
        drawn = rng.choice(len(classes), 2 * count, replace=False)
        faults, others = (classes.take(np.sort(part)) for part in (drawn[:count], drawn[count:]))
        patterns = _patterns(module, faults, images, labels, budget.candidates, rng)
        candidates = np.concatenate([images, patterns])
        advance = watch(f"tests for {kind.name}")
        free, faulty, unseen = (
            Recorder(chip, chips, candidates, seed=int(rng.integers(2**62)), on_repetitions=advance)
            for chips in ([chip], *([chip.inject(one) for one in part.each()] for part in (faults, others)))
        )
        made = generate_test(
            free, faulty, len(candidates), false_alarm_rate=false_alarm_rate, repetitions=budget.repetitions
        )
        test = made.test
        found.append(
            ClassTest(
                kind=kind,
                size=len(classes),
                made_patterns=len(patterns),
                from_made=int((test.patterns >= len(images)).sum()),
                images=candidates[test.patterns].reshape(len(test.patterns), -1),
                generated=made,
                others_power=test.is_faulty(test.sessions(unseen, POWER_SESSIONS)).mean(axis=1),
                alarms=test.alarms(test.sessions(free, ALARM_SESSIONS)[0]),
            )
        )
    return found


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


def sets_table(found: Sequence[ClassTest], universe: FaultUniverse) -> Table:
    """Classes down; size of the set, what it finds, and its false alarms."""
    rows = []
    for one in found:
        made, test, alarms = one.generated, one.generated.test, one.alarms
        rows.append(
            (
                one.kind.name,
                f"{one.size:,}",
                f"{made.found} of {len(made.power)}",
                f"{one.others_found} of {len(one.others_power)}",
                str(len(test.patterns)),
                str(one.from_made),
                str(test.repetitions),
                str(test.inferences),
                f"{100 * alarms.value:.2f} ({100 * alarms.low:.2f} to {100 * alarms.high:.2f})",
            )
        )
    test, power = found[0].generated.test, found[0].generated.needed_power
    return Table(
        title=f"Test sets for spiking chips, at most {test.false_alarm_rate:.1%} false alarms, confidence "
        f"{test.confidence:.0%}",
        columns=(
            "class", "faults", "found", "others", "patterns", "made", "repetitions", "inferences",
            "false alarms [%]",
        ),
        rows=tuple(rows),
        note=f"Single faults of {universe}. A fault is found if {power:.0%} of the sessions call the chip "
        "faulty: of those that the set is made for, and of others of its class. Made: patterns by Algorithm "
        "1. False alarms with their 95 % interval. Statistical test: squared distances of spike counts from "
        "a fault-free chip's, see xbarsim.detection.spiking. The search is greedy: the sets are small, not "
        "proven smallest.",
    )  # fmt: skip
