"""A chip with stuck cells, and one that nobody can write."""

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from tests.helpers.finn_networks import random_network
from xbarsim.experiments.drawing import faulty_chip
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.rng import Trial


@pytest.fixture(scope="session")
def trial():
    return Trial(seed=1)


@pytest.fixture(scope="session")
def faulty(bench, trial):
    """The digits network's chip with 3 % stuck cells."""
    return faulty_chip(bench.chip, StuckCells(rate=0.03, mix="even"), trial)


@pytest.fixture(scope="session")
def unwritable():
    """A FINN chip: its weights are part of the design."""
    return FinnConfig().program(random_network("lfcW1A1", np.random.default_rng(0)))
