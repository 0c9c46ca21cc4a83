"""Refresh: soft faults go, stuck cells stay, conductances are fresh."""

import numpy as np
import pytest

from accel_models.reram.analog_config import AnalogConfig
from xbarsim.faults.sampling import FaultMix, sample_by_rate
from xbarsim.repair.refresh import Refresh

ALL_KINDS = FaultMix(stuck_hrs=1, stuck_lrs=1, stuck_at=1, flip=1, step=1)


@pytest.fixture(scope="module")
def mixed(bench):
    """5 % of the cells, stuck or with soft faults."""
    faults = sample_by_rate(bench.chip.geometry, 0.05, mix=ALL_KINDS, rng=np.random.default_rng(3))
    return bench.chip.inject(faults)


def test_soft_faults_are_cured_and_stuck_cells_stay(bench, mixed, trial):
    done = Refresh().repair(mixed, bench, trial)
    assert 0 < len(done.chip.faults) < len(mixed.faults)
    assert done.chip.faults == mixed.faults.permanent
    alone = bench.chip.inject(mixed.faults.permanent).run(bench.test.images).scores
    np.testing.assert_array_equal(done.chip.run(bench.test.images).scores, alone)


def test_every_used_cell_is_written(bench, mixed, trial):
    done = Refresh().repair(mixed, bench, trial)
    assert done.counts == {"cell_writes": bench.chip.placement.used_cells}
    assert done.files == {}


def test_aged_conductances_are_fresh_again_by_draws_of_the_trial(bench, trial):
    old = AnalogConfig(device="pcm", age_s=1e7).program(bench.integers)
    images = bench.test.images[:40]
    exact = bench.chip.run(images).scores
    fresh, again = (Refresh().repair(old, bench, trial).chip.run(images, seed=1).scores for _ in range(2))
    np.testing.assert_array_equal(fresh, again)
    assert np.abs(fresh - exact).mean() < np.abs(old.run(images, seed=1).scores - exact).mean() / 2
