"""Retrain around the stuck cells of one chip, and send what changed.

Source: RRAMedy, section III-D, Eqs. 4 to 6; see `xbarsim.training.masking` and `weight_update`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from xbarsim.chip import Repaired
from xbarsim.errors import check_choice, check_int, check_positive
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.hints import check_fields
from xbarsim.repair.diagnosis import Diagnosis
from xbarsim.repair.writing import check_writable
from xbarsim.rng import Trial
from xbarsim.training.masking import TARGETS, retrain
from xbarsim.training.recipe import MOST_THREADS
from xbarsim.training.weight_update import WeightUpdate

BIAS_BYTES = 8
UPDATES = ("exact", "ternary")


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """Fault-masking retraining of the subject's network for one chip.

    Parameters
    ----------
    epochs : passes over the training data; the subject's own number by default
    learning_rate : Adam's step, which falls to 0 over the training
    images : the first so many training images; all by default
    targets : what is learned: 'labels', or 'fault-free' for the output of the network without faults
    update : what is sent: 'exact' values of the changed weights, or 'ternary' signs with a step a layer
    diagnosis : how the stuck cells become known
    threads : of the processor that a training takes; with another number sums round otherwise. One, since
        campaigns train for several chips at a time

    Raises
    ------
    InputError : a number or a word out of range.
    """

    epochs: int | None = None
    learning_rate: float = 1e-3
    images: int | None = None
    targets: Literal["labels", "fault-free"] = "labels"
    update: Literal["exact", "ternary"] = "exact"
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    threads: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        if self.epochs is not None:
            check_int("Retrain.epochs", self.epochs, 0, 10**6)
        if self.images is not None:
            check_int("Retrain.images", self.images, 1, 10**9)
        check_int("Retrain.threads", self.threads, 1, MOST_THREADS)
        check_positive("Retrain.learning_rate", self.learning_rate)
        check_choice("Retrain.targets", self.targets, TARGETS)
        check_choice("Retrain.update", self.update, UPDATES)

    def repair(self, chip: Any, subject: Any, trial: Trial) -> Repaired:
        """Return the chip with the update written.

        Counts: `stuck_cells` that were known, `diagnosed_exactly` (1 if these are the true ones),
        `changed_weights` of `weights`, `update_bytes`, `network_bytes` (all weights at full width with all
        biases), `cell_writes`. The file that is sent is `update.safetensors`.
        """
        check_writable("retrain", chip)
        data, form = subject.training_data().first(self.images), chip.weight_format
        known, masks = self.diagnosis.masks(chip, subject, trial)
        result = retrain(
            chip.graph,
            form,
            masks,
            data.images,
            data.labels,
            epochs=subject.passes if self.epochs is None else self.epochs,
            learning_rate=self.learning_rate,
            seed=trial.seed + trial.number,
            targets=self.targets,
            threads=self.threads,
        )
        update = WeightUpdate.between(result.start, result.graph, ternary=self.update == "ternary")
        content = update.to_bytes()
        written = chip.update(update.apply(result.start, low=form.low, high=form.high))
        weights = sum(layer.weights.size for layer in chip.graph.layers)
        biases = sum(layer.bias.size for layer in chip.graph.layers)
        counts = {
            "stuck_cells": len(known),
            "diagnosed_exactly": int(chip.faults.permanent.as_stuck_levels().compare(known).exact),
            "changed_weights": _changed(result.start, result.graph),
            "weights": weights,
            "update_bytes": len(content),
            "network_bytes": -(-weights * form.weight_bits // 8) + BIAS_BYTES * biases,
            "cell_writes": written.write_cost.cell_writes,
        }
        return Repaired(chip=written, counts=counts, files={"update.safetensors": content})


def _changed(old: IntegerGraph, new: IntegerGraph) -> int:
    return sum(int((a.weights != b.weights).sum()) for a, b in zip(old.layers, new.layers, strict=True))
