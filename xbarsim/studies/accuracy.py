"""Accuracy of many faulty chips, before and after repair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xbarsim.checks import check_int
from xbarsim.detection.march.chip import march_chip
from xbarsim.detection.march.notation import MarchTest
from xbarsim.faults.sampling import FaultMix
from xbarsim.rng import stream
from xbarsim.studies.workbench import Workbench, hits
from xbarsim.training.masking import retrain
from xbarsim.training.weight_update import WeightUpdate


@dataclass(frozen=True, kw_only=True)
class ChipAccuracy:
    """Right predictions of one faulty chip."""

    trial: int
    faults: int
    used_faults: int
    hits: int
    shots: int


def accuracy_of_chips(
    bench: Workbench,
    *,
    rate: float,
    mix: FaultMix,
    chips: int,
    seed: int,
    on_chip: Callable[[int], None] | None = None,
) -> list[ChipAccuracy]:
    """Run the test images on `chips` faulty chips."""
    check_int("chips", chips, 1, 10**6)
    rows = []
    for trial in range(chips):
        chip = bench.faulty_chip(rate, mix, seed, trial)
        logits, _ = chip.run(bench.test.images)
        rows.append(
            ChipAccuracy(
                trial=trial,
                faults=len(chip.fault_map),
                used_faults=chip.placement.used_faults(chip.fault_map),
                hits=hits(logits, bench.test.labels),
                shots=len(bench.test.labels),
            )
        )
        if on_chip is not None:
            on_chip(trial + 1)
    return rows


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One chip before and after retraining, and what was sent to it."""

    trial: int
    stuck_cells: int
    diagnosed_exactly: bool
    shots: int
    hits_faulty: int
    hits_retrained: int
    hits_ternary: int
    changed_weights: int
    weights: int
    update_bytes: int
    ternary_bytes: int
    cell_writes: int


def repair_chip(
    bench: Workbench,
    *,
    rate: float,
    mix: FaultMix,
    seed: int,
    trial: int,
    march: MarchTest,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    train_images: int | None = None,
    on_batch: Callable[[int, int, float], None] | None = None,
) -> Repair:
    """Diagnose a faulty chip with a March test, retrain for the diagnosed map, update the chip.

    The training sees what March diagnosed; the accuracies are those of the chip with its true faults.
    """
    faulty = bench.faulty_chip(rate, mix, seed, trial)
    diagnosis = march_chip(faulty.fault_map, march, rng=stream(seed, "march", trial))
    known = bench.chip.inject(diagnosis.fault_map)
    config = bench.chip.config
    result = retrain(
        bench.chip.graph,
        config.array.format,
        known.training_masks(),
        bench.train.images[:train_images],
        bench.train.labels[:train_images],
        epochs=epochs,
        learning_rate=learning_rate,
        seed=seed + trial,
        on_batch=on_batch,
    )
    exact = WeightUpdate.between(bench.chip.graph, result.graph)
    ternary = WeightUpdate.between(bench.chip.graph, result.graph, ternary=True)
    form = config.array.format
    repaired, coarse = (
        faulty.update(u.apply(bench.chip.graph, low=form.low, high=form.high)) for u in (exact, ternary)
    )
    right = [hits(c.run(bench.test.images)[0], bench.test.labels) for c in (faulty, repaired, coarse)]
    return Repair(
        trial=trial,
        stuck_cells=len(faulty.fault_map.permanent),
        diagnosed_exactly=faulty.fault_map.permanent.as_stuck_levels().compare(diagnosis.fault_map).exact,
        shots=len(bench.test.labels),
        hits_faulty=right[0],
        hits_retrained=right[1],
        hits_ternary=right[2],
        changed_weights=exact.changed_weights,
        weights=sum(layer.weights.size for layer in bench.chip.graph.layers),
        update_bytes=len(exact.to_bytes()),
        ternary_bytes=len(ternary.to_bytes()),
        cell_writes=repaired.write_cost.cell_writes,
    )
