"""Times of exact products and of LeNet beside plain torch, and of a March test on an array.

Run with `make bench`; docs/performance.md has a table. Compare ratios within one run, never times of
different machines.
"""

import numpy as np
import pytest
import torch

from accel_models.reram.config import accelerator
from networks.lenet import LeNet
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.chip import march_chip
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import mix_presets, sample_by_rate
from xbarsim.studies.workbench import program_module
from xbarsim.training.loop import initialise

K, M, N = 512, 512, 256
EVEN = mix_presets()["even"]


def operands(bits):
    rng = np.random.default_rng(0)
    half = 2 ** (bits - 1)
    return rng.integers(-half, half, (K, M)), rng.integers(0, 2 * half, (N, K))


def programmed(bits, adc_bits):
    weights, x = operands(bits)
    adc = AdcConfig(bits=adc_bits)
    config = ArrayConfig(format=WeightFormat(weight_bits=bits), input_bits=bits, adc=adc)
    return program_matrix(weights, config), weights, x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_torch_product(benchmark, dtype):
    weights, x = (torch.from_numpy(a).to(dtype) for a in operands(8))
    assert benchmark(lambda: x @ weights).shape == (N, M)


@pytest.mark.parametrize("bits", [8, 16])
def test_proven_product(benchmark, bits):
    matrix, weights, x = programmed(bits, adc_bits=8)
    assert matrix.proof.proven.all()
    assert (benchmark(lambda: matrix.product(x, signed=False)) == x @ weights).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_bit_serial_product(benchmark, bits):
    matrix, _, x = programmed(bits, adc_bits=6)
    assert not matrix.proof.proven.any()
    matrix.product(x, signed=False)
    assert benchmark(lambda: matrix.product(x, signed=False)).shape == (N, M)


@pytest.fixture(scope="module")
def lenet():
    images = np.random.default_rng(0).random((100, 1, 28, 28), np.float32)
    return initialise(LeNet, 0).eval(), images


def test_torch_lenet(benchmark, lenet):
    module, images = lenet
    with torch.no_grad():
        assert benchmark(lambda: module(torch.from_numpy(images))).shape == (100, 10)


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_lenet_on_a_chip(benchmark, lenet, rate):
    module, images = lenet
    chip = program_module(module, images, accelerator("isaac"))
    chip = chip.inject(sample_by_rate(chip.geometry, rate, mix=EVEN, rng=np.random.default_rng(0)))
    chip.run(images)
    assert benchmark(lambda: chip.run(images)[0]).shape == (100, 10)


def test_march_c_minus_on_one_array(benchmark):
    faults = sample_by_rate(CellGeometry(arrays=1), 0.005, mix=EVEN, rng=np.random.default_rng(0))
    test = march_test("March C-")
    found = benchmark(lambda: march_chip(faults, test, rng=np.random.default_rng(1)))
    assert found.fault_map == faults
