"""Many faulty chips at once give the numbers that each gives alone."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from accel_models.reram.config import ReramConfig
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import mix_presets, sample_by_rate
from xbarsim.programs import program
from xbarsim.training.loop import initialise

IMAGES = np.random.default_rng(0).random((7, 2, 6, 6), np.float32)


def network():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, groups=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 4, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def chip_with(adc_bits, full_range=None, rows=8):
    adc = AdcConfig(bits=adc_bits, full_range=full_range)
    config = ReramConfig(array=ArrayConfig(rows=rows, adc=adc))
    return program(initialise(network, 1).eval(), config, calibrate=IMAGES)


# with 20 rows the two groups of the first layer share an array
CHIPS = [chip_with(8), chip_with(4), chip_with(5, "array"), chip_with(8, rows=20), chip_with(4, rows=20)]


def maps_of(chip, rates, seed):
    rng = np.random.default_rng(seed)
    return [sample_by_rate(chip.geometry, rate, mix=mix_presets()["even"], rng=rng) for rate in rates]


@settings(max_examples=25, deadline=None)
@given(
    which=st.integers(0, 4),
    rates=st.lists(st.sampled_from([0.0, 1e-5, 1e-4, 1e-3, 0.05]), max_size=10),
    seed=st.integers(0, 2**32 - 1),
    own_faults=st.booleans(),
    batch_size=st.integers(1, 8),
)
def test_same_numbers_as_one_after_the_other(which, rates, seed, own_faults, batch_size):
    chip = CHIPS[which]
    if own_faults:
        chip = chip.inject(*maps_of(chip, [0.01], seed + 1))
    maps = maps_of(chip, rates, seed)
    together = list(chip.run_each(iter(maps), IMAGES, batch_size=batch_size))
    for found, fault_map in zip(together, maps, strict=True):
        alone = chip.inject(fault_map).run(IMAGES)
        np.testing.assert_array_equal(found.scores, alone.scores)
        np.testing.assert_array_equal(found.classes, alone.classes)
        assert found.scores.shape == (7, 3) and found.cost == alone.cost


def test_single_faults_in_each_layer():
    chip = CHIPS[0]
    maps = [
        FaultMap.of(chip.geometry, array=[place.first], row=[0], column=[7], kind=[kind])
        for place in chip.placement.matrices
        for kind in ("stuck_hrs", "stuck_lrs")
    ]
    found = np.stack([run.scores for run in chip.run_each(maps, IMAGES)])
    healthy = chip.run(IMAGES).scores
    for logits, fault_map in zip(found, maps, strict=True):
        np.testing.assert_array_equal(logits, chip.inject(fault_map).run(IMAGES).scores)
    assert (found != healthy).any(axis=(1, 2)).sum() >= len(maps) // 2


def test_mistakes_are_refused():
    with pytest.raises(InputError, match="arrays"):
        next(CHIPS[0].run_each([FaultMap.of(CellGeometry(arrays=1))], IMAGES))
    with pytest.raises(InputError, match="batch_size"):
        CHIPS[0].run_each([], IMAGES, batch_size=0)
    with pytest.raises(InputError, match="inputs: expected shape"):
        CHIPS[0].run_each([], IMAGES[0])


def test_threads_of_the_caller_neither_crash_nor_change_anything():
    """Several Python threads run chips at once, with the pool of threads that allows least."""
    code = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from threadpoolctl import threadpool_info
from tests.accel_models.reram.test_many import CHIPS, IMAGES, maps_of
from accel_models.reram.analog import write_analog
from xbarsim.cells.device import device
chip = CHIPS[1]
maps = maps_of(chip, [0.05] * 3, 0)
def run(i):
    analog = write_analog(chip, device("hfo2-wan"), np.random.default_rng(0))
    return *(found.scores for found in chip.run_each(maps, IMAGES)), analog.run(IMAGES, seed=1).scores
alone = run(0)
before = [pool["num_threads"] for pool in threadpool_info()]
with ThreadPoolExecutor(4) as pool:
    for found in pool.map(run, range(12)):
        assert all((a == b).all() for a, b in zip(found, alone))
assert [pool["num_threads"] for pool in threadpool_info()] == before
"""
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
