"""Repair of faulty chips: diagnose with a March test, retrain around the stuck cells, send the update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xbarsim.checks import check_int, check_positive
from xbarsim.detection.march.chip import march_chip
from xbarsim.detection.march.notation import MarchTest
from xbarsim.faults.cell_map import FaultMap
from xbarsim.mapping.graph import IntegerGraph
from xbarsim.rng import stream
from xbarsim.studies.workbench import Workbench, hits
from xbarsim.training.masking import retrain
from xbarsim.training.weight_update import WeightUpdate

BIAS_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class RetrainSettings:
    """Budget of one retraining; `images` limits the training set, None takes all of it."""

    epochs: int = 1
    learning_rate: float = 1e-3
    images: int | None = None

    def __post_init__(self) -> None:
        check_int("epochs", self.epochs, 0, 10**6)
        check_positive("learning rate", self.learning_rate)
        if self.images is not None:
            check_int("training images", self.images, 1, 10**9)


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One chip before and after retraining, and what was sent to it.

    Attributes
    ----------
    diagnosed_exactly : the March test found the stuck cells as they are, all and no others
    hits_* : right predictions of `shots`, on the chip with its true faults
    update_bytes, ternary_bytes, network_bytes : size of the exact update, of the ternary one, and of all
        weights at full width with all biases
    cell_writes : cells that the exact update writes
    """

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
    network_bytes: int
    cell_writes: int


def repair_chip(
    bench: Workbench,
    fault_map: FaultMap,
    *,
    seed: int,
    trial: int,
    march: MarchTest,
    settings: RetrainSettings,
    on_batch: Callable[[int, int, float], None] | None = None,
) -> tuple[Repair, WeightUpdate]:
    """Diagnose a faulty chip with a March test, retrain for the diagnosed map, update the chip.

    The training sees what March diagnosed; the accuracies are those of the chip with its true faults. Returns
    the counts and the exact update.
    """
    faulty, labels = bench.chip.inject(fault_map), bench.test.labels
    graph, form = bench.chip.graph, bench.chip.config.array.format
    diagnosis = march_chip(fault_map, march, rng=stream(seed, "march", trial))
    result = retrain(
        graph,
        form,
        bench.chip.inject(diagnosis.fault_map).training_masks(),
        bench.train.images[: settings.images],
        bench.train.labels[: settings.images],
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        seed=seed + trial,
        on_batch=on_batch,
    )
    updates = [WeightUpdate.between(result.start, result.graph, ternary=t) for t in (False, True)]
    chips = [faulty, *(faulty.update(u.apply(result.start, low=form.low, high=form.high)) for u in updates)]
    right = [hits(chip.run(bench.test.images)[0], labels) for chip in chips]
    weights = sum(layer.weights.size for layer in graph.layers)
    biases = sum(layer.bias.size for layer in graph.layers)
    repair = Repair(
        trial=trial,
        stuck_cells=len(fault_map.permanent),
        diagnosed_exactly=fault_map.permanent.as_stuck_levels().compare(diagnosis.fault_map).exact,
        shots=len(labels),
        hits_faulty=right[0],
        hits_retrained=right[1],
        hits_ternary=right[2],
        changed_weights=_changed(result.start, result.graph),
        weights=weights,
        update_bytes=len(updates[0].to_bytes()),
        ternary_bytes=len(updates[1].to_bytes()),
        network_bytes=-(-weights * form.weight_bits // 8) + BIAS_BYTES * biases,
        cell_writes=chips[1].write_cost.cell_writes,
    )
    return repair, updates[0]


def _changed(old: IntegerGraph, new: IntegerGraph) -> int:
    return sum(int((a.weights != b.weights).sum()) for a, b in zip(old.layers, new.layers, strict=True))
