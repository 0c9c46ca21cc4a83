"""Fault-masking retraining: the network learns around the stuck cells of one chip.

After every step the bits of stuck cells are fixed to their stuck values (RRAMedy, Eq. 6); forward runs
on the chip's effective weights, backward straight through. The fault map may be the true one or one that a
March test diagnosed, with misses and false alarms if need be. The targets are labels, or what the fault-free
network says (RRAMedy, Eq. 4; the distance is the cross entropy to its softmax, which the paper leaves open).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from xbarsim.cells.encoding import WeightFormat
from xbarsim.errors import check_choice
from xbarsim.faults.masks import CellMasks
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.training.loop import fit, scores_of
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe

TARGETS = ("labels", "fault-free")


@dataclass(frozen=True, eq=False)
class Retrained:
    """What a retraining gives.

    Attributes
    ----------
    start : the network with the stuck bits in its weights, where the training began; the chip's side can
        make it too, so an update is the difference to it
    graph : the retrained network, to be written with `chip.update`
    losses : mean loss of every epoch
    """

    start: IntegerGraph
    graph: IntegerGraph
    losses: list[float]


class FixStuckBits(TrainingMethod):
    """The Mask of RRAMedy's Eq. 6, on a `ChipModule`."""

    def after_step(self, module: nn.Module) -> None:
        """Fix the bits of stuck cells."""
        module.project()  # type: ignore[operator]


def retrain(
    graph: IntegerGraph,
    form: WeightFormat,
    masks: Mapping[tuple[str, int], CellMasks],
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int = 1,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    targets: Literal["labels", "fault-free"] = "labels",
    threads: int = 1,
    on_batch: Callable[[int, int, float], None] | None = None,
    device: str | torch.device = "cpu",
) -> Retrained:
    """Retrain a network for the stuck cells that `masks` names.

    Parameters
    ----------
    graph, form : the network on the chip and how its weights are stored
    masks : by (layer, group), as `chip.training_masks()` of a chip with the known fault map gives them
    images, labels : (N, ...) and (N,) training data
    targets : 'labels', or 'fault-free' for the output of the network without faults; labels are then not used
    threads : see `Recipe`
    on_batch : called with batches done, batches in all, loss

    Raises
    ------
    InputError : empty data, a loss that is not finite.
    """
    check_choice("targets", targets, TARGETS)
    distilled = targets == "fault-free"
    if distilled and len(images):
        labels = scores_of(ChipModule(graph, form).to(device), images).softmax(dim=1).numpy()
    recipe = Recipe(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule="cosine",
        loss="soft-targets" if distilled else "cross-entropy",
        threads=threads,
    )
    module = ChipModule(graph, form, masks).to(device)
    module.project()
    start = module.to_graph()
    history = fit(
        module,
        images,
        labels,
        recipe,
        seed=seed,
        methods=[FixStuckBits()],
        on_batch=on_batch,
        device=device,
    )
    return Retrained(start, module.to_graph(), [epoch.loss for epoch in history])
