"""What programming and running hold in memory at their peak."""

import tracemalloc

import numpy as np
import pytest

from accel_models.reram.analog import write_analog
from accel_models.reram.chip import program
from accel_models.reram.config import accelerator
from networks.lenet import LeNet
from xbarsim import programs
from xbarsim.cells.device import device
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.training.loop import initialise


def peak_bytes(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def lenet():
    images = np.random.default_rng(0).random((8, 1, 28, 28), np.float32)
    return programs.program(initialise(LeNet, 0), accelerator("isaac"), calibrate=images)


def test_programming_lenet_takes_at_most_20_bytes_a_cell(lenet):
    cells = lenet.placement.used_cells
    assert cells == 3_444_000
    assert peak_bytes(lambda: program(lenet.graph, lenet.config)) < 5 * cells


@pytest.mark.parametrize("name", ["hfo2-wan", "cmo-hfox", "pcm"])
def test_writing_lenet_into_conductances_takes_at_most_20_bytes_a_cell(lenet, name):
    def write():
        write_analog(lenet, device(name), np.random.default_rng(0)).prepare()

    assert peak_bytes(write) < 20 * lenet.placement.used_cells


@pytest.mark.parametrize("noise", [None, "hfo2-wan", "cmo-hfox"])
def test_a_run_holds_no_tensor_over_cycles_and_slices(lenet, noise):
    """(batch, cycles, slices, columns) would be 256 x 16 x 8 x 512 numbers for every row block."""
    if noise is None:
        rng = np.random.default_rng(0)
        matrix = program_matrix(rng.integers(-(2**15), 2**15, (512, 512)), ArrayConfig(adc=AdcConfig(bits=6)))
        x = rng.integers(0, 2**16, (256, 512))
        run = lambda: matrix.product(x, signed=False)  # noqa: E731
    else:
        matrix = write_analog(lenet, device(noise), np.random.default_rng(0)).matrices["fc1", 0]
        x = np.random.default_rng(0).integers(0, 2**16, (256, 800))
        run = lambda: matrix.multiply(x, False, seed=1)  # noqa: E731
    run()
    assert peak_bytes(run) < 256 * 16 * 8 * 512
