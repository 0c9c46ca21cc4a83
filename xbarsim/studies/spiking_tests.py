"""Test sets for a spiking chip, one for each class of faults: how few patterns and repetitions find them.

Candidates are test images and patterns that Algorithm 1 makes for faults of the class. Every fault is alone
on its chip; faults that act alike are counted once (`collapse`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from accel_models.spiking.chip import SpikingChip, run_many
from xbarsim.checks import check_choice
from xbarsim.detection.spiking import GeneratedTest, generate_test
from xbarsim.faults.neuron_effects import collapse
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, NeuronFaults
from xbarsim.metrics.intervals import Estimate
from xbarsim.report.tables import Table
from xbarsim.rng import stream
from xbarsim.studies.spiking import SpikingStudy, SpikingVariant, chip_of
from xbarsim.training.loop import OnBatch
from xbarsim.training.spiking_patterns import PatternSettings, make_patterns

Watch = Callable[[str], OnBatch | None]
KINDS = tuple(kind for kind in NeuronFaultKind if kind is not NeuronFaultKind.stuck_output)
TOGETHER = 20  # repetitions
SCOPE = ("input", "hidden", "output", "synapses")


@dataclass(frozen=True, kw_only=True)
class SessionBudget:
    """How much is tried: faults of a class, candidates of each sort, recorded repetitions."""

    faults: int
    candidates: int
    fault_free: int
    faulty: int


def session_budget(name: str) -> SessionBudget:
    """'smoke' (seconds), 'cpu' (minutes) or 'full'."""
    check_choice("--budget", name, ("smoke", "cpu", "full"))
    return {
        "smoke": SessionBudget(faults=4, candidates=6, fault_free=300, faulty=20),
        "cpu": SessionBudget(faults=60, candidates=30, fault_free=1000, faulty=60),
        "full": SessionBudget(faults=400, candidates=60, fault_free=4000, faulty=100),
    }[name]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassTest:
    """The test set of a class of faults.

    Attributes
    ----------
    size : faults of the class, those without effect and alike ones left out
    made_patterns : how many of the candidates Algorithm 1 made
    from_made : how many of the set are of these
    alarms : of a fault-free chip, on sessions that nothing was chosen with
    """

    kind: NeuronFaultKind
    size: int
    tried: int
    made_patterns: int
    from_made: int
    generated: GeneratedTest
    alarms: Estimate


def run_tests(
    study: SpikingStudy,
    budget: SessionBudget,
    *,
    false_alarm_rate: float = 0.01,
    watch: Watch = lambda name: None,
) -> list[ClassTest]:
    """A test set for each class, for the baseline network of a study."""
    module, _, _ = study.train(SpikingVariant(method="baseline"))
    chip = chip_of(module)
    universe = FaultUniverse(geometry=chip.geometry, scope=SCOPE)
    images, labels = study.test_images(budget.candidates)
    found = []
    for kind in KINDS:
        advance = watch(f"tests for {kind.name}")
        rng = stream(study.chips_seed, f"tests {kind.name}")
        classes = collapse(universe.enumerate(kind), chip.geometry, chip.weights).faults
        count = min(budget.faults, len(classes))
        faults = classes.take(np.sort(rng.choice(len(classes), count, replace=False)))
        patterns = _patterns(module, faults, images, labels, budget.candidates, rng)
        candidates = np.concatenate([images, patterns])
        key = f"tests {kind.name}, sessions"
        free = _record(chip, [chip], candidates, 2 * budget.fault_free, study.chips_seed, f"{key} free")[0]
        faulty = _record(
            chip, [chip.inject(f) for f in faults.each()], candidates, budget.faulty, study.chips_seed,
            f"{key} faulty", advance,
        )  # fmt: skip
        first, fresh = free[: budget.fault_free], free[budget.fault_free :]
        made = generate_test(first, faulty, false_alarm_rate=false_alarm_rate, rng=rng)
        found.append(
            ClassTest(
                kind=kind,
                size=len(classes),
                tried=count,
                made_patterns=len(patterns),
                from_made=int((made.test.patterns >= len(images)).sum()),
                generated=made,
                alarms=made.test.alarms(fresh, rng),
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


def _record(
    chip: SpikingChip,
    chips: Sequence[SpikingChip],
    candidates: np.ndarray,
    repetitions: int,
    seed: int,
    name: str,
    advance: OnBatch | None = None,
) -> np.ndarray:
    """(chips, repetitions, candidates, classes) counts: repetitions are images of one long run."""
    found = np.empty((len(chips), repetitions, len(candidates), chip.geometry.sizes[-1]), np.int16)
    key = int(stream(seed, name).integers(2**62))
    for first in range(0, repetitions, TOGETHER):
        count = min(TOGETHER, repetitions - first)
        shown = np.concatenate([candidates] * count)
        counts = run_many(chip, chips, shown, seed=key, first_image=first * len(candidates))
        found[:, first : first + count] = counts.reshape(len(chips), count, len(candidates), -1)
        if advance is not None:
            advance(first + count, repetitions, 0.0)
    return found


def sets_table(found: Sequence[ClassTest], universe: FaultUniverse, rate: float) -> Table:
    """Classes down; size of the set, what it finds, and its false alarms."""
    rows = [
        (
            one.kind.name,
            f"{one.size:,}",
            f"{one.generated.found} of {one.tried}",
            str(len(one.generated.test.patterns)),
            str(one.from_made),
            str(one.generated.test.repetitions),
            str(one.generated.test.inferences),
            f"{one.alarms.value:.2%} ({one.alarms.low:.2%} to {one.alarms.high:.2%})",
        )
        for one in found
    ]
    power = found[0].generated.needed_power
    return Table(
        title=f"Test sets for spiking chips, at most {rate:.1%} false alarms asked for",
        columns=(
            "class", "single faults", "found", "patterns", "made ones", "repetitions", "inferences",
            "false alarms (95 %)",
        ),
        rows=tuple(rows),
        note=f"Faults of {universe}; a fault is found if {power:.0%} of the sessions call the chip faulty. "
        "Statistical test: squared distances of mean spike counts from a fault-free chip's, see "
        "xbarsim.detection.spiking. The search is greedy: the sets are small, not proven smallest.",
    )  # fmt: skip
