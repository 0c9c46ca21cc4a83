"""Times of the exact product beside plain BLAS, of the bit-serial kernel, and of a March test on an array.

Run with `make bench`. The BLAS product is the limit that the collapsed path is held against.
"""

import numpy as np
import pytest

from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.chip import march_chip
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import mix_presets, sample_by_rate

K, M, N = 512, 512, 256


@pytest.fixture(scope="module")
def operands():
    rng = np.random.default_rng(0)
    return rng.integers(-(2**15), 2**15, (K, M)), rng.integers(0, 2**16, (N, K))


def test_blas_float64(benchmark, operands):
    weights, x = (a.astype(np.float64) for a in operands)
    result = benchmark(lambda: x @ weights)
    assert result.shape == (N, M)


def test_collapsed_product(benchmark, operands):
    weights, x = operands
    matrix = program_matrix(weights, ArrayConfig())
    assert matrix.proven.all()
    assert (benchmark(lambda: matrix.product(x, signed=False)) == x @ weights).all()


def test_bit_serial_product(benchmark, operands):
    weights, x = operands
    matrix = program_matrix(weights, ArrayConfig(adc=AdcConfig(bits=7)))
    assert not matrix.proven.any()
    result = benchmark.pedantic(lambda: matrix.product(x, signed=False), rounds=3, warmup_rounds=1)
    assert result.shape == (N, M)


def test_march_c_minus_on_one_array(benchmark):
    faults = sample_by_rate(
        CellGeometry(arrays=1), 0.005, mix=mix_presets()["even"], rng=np.random.default_rng(0)
    )
    test = march_test("March C-")
    found = benchmark(lambda: march_chip(faults, test, rng=np.random.default_rng(1)))
    assert found.fault_map == faults
