"""Networks that studies train: each has a file in a folder, and goes on where it was stopped.

Several processes may ask for the same network: one trains it, the others wait and read it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from torch import nn

from networks.checkpoints import read_metadata
from xbarsim.data import Dataset
from xbarsim.training.loop import fit
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe
from xbarsim.training.resume import Epoch


def train_once(
    module: nn.Module,
    data: Dataset,
    recipe: Recipe,
    file: Path,
    *,
    seed: int,
    methods: Sequence[TrainingMethod] = (),
    device: str = "cpu",
    **options: Any,
) -> list[Epoch]:
    """Train a module in place, or take over the state that the file holds; its epochs.

    Parameters
    ----------
    file : the training's state, written after every epoch
    options : see `xbarsim.training.loop.fit`
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        return fit(
            module,
            data.images,
            data.labels,
            recipe,
            seed=seed,
            methods=methods,
            resume=file,
            device=device,
            **options,
        )


def training_seconds(file: Path) -> float | None:
    """Return how long a training took so far, by its file; None if there is no such file."""
    if not file.exists():
        return None
    return sum(epoch["seconds"] for epoch in json.loads(read_metadata(file)["history"]))
