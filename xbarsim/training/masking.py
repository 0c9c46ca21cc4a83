"""Fault-masking retraining: the network learns around the stuck cells of one chip.

After every step the bits of stuck cells are fixed to their stuck values (RRAMedy, Eq. 6); forward runs
on the chip's effective weights, backward straight through. The fault map may be the true one or one that a
March test diagnosed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from xbarsim.cells.encoding import WeightFormat
from xbarsim.faults.masks import CellMasks
from xbarsim.mapping.graph import IntegerGraph
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.training.loop import fit


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
    on_batch: Callable[[int, int, float], None] | None = None,
    device: str | torch.device = "cpu",
) -> Retrained:
    """Retrain a network for the stuck cells that `masks` names.

    Parameters
    ----------
    graph, form : the network on the chip and how its weights are stored
    masks : by (layer, group), as `chip.training_masks()` of a chip with the known fault map gives them
    images, labels : (N, ...) and (N,) training data
    on_batch : called with batches done, batches in all, loss

    Raises
    ------
    InputError : empty data, a loss that is not finite.
    """
    module = ChipModule(graph, form, masks).to(device)
    module.project()
    start = module.to_graph()
    losses = fit(
        module,
        images,
        labels,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        schedule="cosine",
        after_step=module.project,
        on_batch=on_batch,
        device=device,
    )
    return Retrained(start, module.to_graph(), losses)
