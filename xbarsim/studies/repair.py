"""Repair of faulty chips: diagnose with a March test, retrain around the stuck cells, send the update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from xbarsim.crossbar.closest import project_graph
from xbarsim.detection.march.chip import march_chip
from xbarsim.detection.march.notation import MarchTest
from xbarsim.errors import check_choice, check_int, check_positive, check_rate
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.diagnosis import imperfect
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.rng import stream
from xbarsim.studies.workbench import Workbench
from xbarsim.training.masking import TARGETS, retrain
from xbarsim.training.weight_update import WeightUpdate

BIAS_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class RetrainSettings:
    """Budget of one retraining, and what it is given to work with.

    Parameters
    ----------
    images : first so many training images; None takes all
    targets : 'labels' or 'fault-free', see `xbarsim.training.masking.retrain`
    misses, false_positives : how much worse than March the map is that is trained with, see `imperfect`
    """

    epochs: int = 1
    learning_rate: float = 1e-3
    images: int | None = None
    targets: Literal["labels", "fault-free"] = "labels"
    misses: float = 0.0
    false_positives: float = 0.0

    def __post_init__(self) -> None:
        check_int("epochs", self.epochs, 0, 10**6)
        check_positive("learning rate", self.learning_rate)
        if self.images is not None:
            check_int("training images", self.images, 1, 10**9)
        check_choice("targets", self.targets, TARGETS)
        check_rate("misses", self.misses)
        check_rate("false positives", self.false_positives)


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One chip before and after retraining, and what was sent to it.

    Attributes
    ----------
    diagnosed_exactly : the map that was trained with has the stuck cells as they are, all and no others
    hits_* : right predictions of `shots`, on the chip with its true faults; `hits_closest` without training,
        by writing the closest values that the stuck cells can act as
    update_bytes, ternary_bytes, network_bytes : size of the exact update, of the ternary one, and of all
        weights at full width with all biases
    cell_writes : cells that the exact update writes
    """

    trial: int
    stuck_cells: int
    diagnosed_exactly: bool
    shots: int
    hits_faulty: int
    hits_closest: int
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
    found = march_chip(fault_map, march, rng=stream(seed, "march", trial)).fault_map
    known = imperfect(
        found,
        misses=settings.misses,
        false_positives=settings.false_positives,
        rng=stream(seed, "diagnosis", trial),
    )
    masks = bench.chip.inject(known).training_masks()
    result = retrain(
        graph,
        form,
        masks,
        bench.train.images[: settings.images],
        bench.train.labels[: settings.images],
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        seed=seed + trial,
        targets=settings.targets,
        on_batch=on_batch,
    )
    updates = [WeightUpdate.between(result.start, result.graph, ternary=t) for t in (False, True)]
    written = [u.apply(result.start, low=form.low, high=form.high) for u in updates]
    chips = [faulty, *(faulty.update(g) for g in (project_graph(graph, form, masks), *written))]
    right = [chip.run(bench.test.images).hits(labels) for chip in chips]
    weights = sum(layer.weights.size for layer in graph.layers)
    biases = sum(layer.bias.size for layer in graph.layers)
    repair = Repair(
        trial=trial,
        stuck_cells=len(fault_map.permanent),
        diagnosed_exactly=fault_map.permanent.as_stuck_levels().compare(known).exact,
        shots=len(labels),
        hits_faulty=right[0],
        hits_closest=right[1],
        hits_retrained=right[2],
        hits_ternary=right[3],
        changed_weights=_changed(result.start, result.graph),
        weights=weights,
        update_bytes=len(updates[0].to_bytes()),
        ternary_bytes=len(updates[1].to_bytes()),
        network_bytes=-(-weights * form.weight_bits // 8) + BIAS_BYTES * biases,
        cell_writes=chips[2].write_cost.cell_writes,
    )
    return repair, updates[0]


def _changed(old: IntegerGraph, new: IntegerGraph) -> int:
    return sum(int((a.weights != b.weights).sum()) for a, b in zip(old.layers, new.layers, strict=True))
