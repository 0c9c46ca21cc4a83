"""Trainings that are kept: found again, with the time that they took."""

import numpy as np
import pytest
from torch import nn

from xbarsim.data import Dataset
from xbarsim.papers.training import train_once, training_seconds
from xbarsim.training.loop import initialise
from xbarsim.training.recipe import Recipe


def trained(file, seed=0):
    rng = np.random.default_rng(1)
    data = Dataset.of(rng.random((20, 6), np.float32), rng.integers(0, 3, 20))
    module = initialise(lambda: nn.Linear(6, 3), seed)
    return module, train_once(module, data, Recipe(epochs=2, batch_size=10), file, seed=seed)


def test_a_training_is_found_again(tmp_path):
    file = tmp_path / "networks" / "one.safetensors"
    first, epochs = trained(file)
    written = file.stat().st_mtime_ns
    again, known = trained(file)
    assert (known, file.stat().st_mtime_ns) == (epochs, written)
    assert all((a == b).all() for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_a_file_tells_how_long_it_was_trained(tmp_path):
    file = tmp_path / "one.safetensors"
    assert training_seconds(file) is None
    _, epochs = trained(file)
    assert training_seconds(file) == pytest.approx(sum(epoch.seconds for epoch in epochs))
