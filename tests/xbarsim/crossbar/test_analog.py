"""Analog products: the kernel against its slow twin, its limit against the digital one, its noise in law."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.helpers.matrices import analog_configurations, matrix_of
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.analog import analog_matrix
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.diagonal import groups_an_array
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.errors import InputError


@settings(max_examples=40, deadline=None)
@given(config=analog_configurations(), seed=st.integers(0, 2**32 - 1), groups=st.integers(1, 4))
def test_without_errors_it_is_the_digital_product(config, seed, groups):
    rng = np.random.default_rng(seed)
    most = (300, 70) if groups == 1 else (config.rows + 1, 9)
    shape = int(rng.integers(1, most[0])), int(rng.integers(1, most[1]))
    groups = min(groups, groups_an_array(config, *shape))
    digital, analog = matrix_of(rng, config, shape, groups=groups)
    x = rng.integers(0, 2**config.input_bits, (3, groups * shape[0]))
    np.testing.assert_array_equal(analog.multiply(x, False, seed=1), digital.product(x, signed=False))


def test_noise_depends_on_seed_and_row_number_alone():
    rng = np.random.default_rng(0)
    _, analog = matrix_of(rng, ArrayConfig(), (200, 40), uniform=0.05)
    x = rng.integers(0, 2**16, (600, 200))
    whole = analog.multiply(x, False, seed=7)
    parts = [analog.multiply(x[i : i + 70], False, seed=7, first=i) for i in range(0, 600, 70)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (analog.multiply(x, False, seed=8) != whole).mean() > 0.9


@pytest.mark.parametrize("noise", ["uniform", "per_cell"])
def test_read_noise_is_gaussian_with_the_cells_variances_added(noise):
    config = ArrayConfig(
        rows=64,
        format=WeightFormat(weight_bits=2, cell_bits=2),
        inverted_storage=False,
        adc=AdcConfig(bits=12, full_range=256),
        input_bits=1,
    )
    levels = np.full((1, 64, 40), 2.0, np.float32)
    variance = np.full(levels.shape, 0.5, np.float32)
    if noise == "per_cell":
        variance[0, ::2] = 1.0
        variance[0, 1::2] = 0.0
    matrix = analog_matrix(
        config,
        np.zeros((1, 40), np.int64),
        (64, 40),
        [(levels, variance if noise == "per_cell" else 0.5)],
        largest_variance=1.0 if noise == "per_cell" else 0.0,
    )
    x = np.zeros((5000, 64), np.int64)
    x[:, :16] = 1
    currents = matrix.multiply(x, False, seed=3) + 2 * 16  # offset encoding takes 2 off for a driven row
    assert abs(currents.mean() - 32) < 0.03
    spread = np.sqrt(16 * 0.5 + 1 / 12)  # the result is rounded to an integer
    assert currents.std() == pytest.approx(spread, rel=0.01)
    edges = np.arange(20, 45)
    law = stats.norm.cdf((edges + 0.5 - 32) / np.sqrt(8))
    found = np.array([(currents <= e).mean() for e in edges])
    assert np.abs(found - law).max() < 1.95 / np.sqrt(currents.size) * 1.5


@pytest.mark.parametrize("levels", [2, 4, 16])
@pytest.mark.parametrize("sigma", [0.05, 0.08, 0.1, 0.15])
def test_misreads_match_the_closed_form(levels, sigma):
    """p = 2 (L-1)/L Q(1 / (2 (L-1) sigma)): cells read one by one, sigma a share of the range."""
    cell_bits = levels.bit_length() - 1
    config = ArrayConfig(
        rows=1,
        columns=2,
        format=WeightFormat(weight_bits=2 * cell_bits, cell_bits=cell_bits),
        inverted_storage=False,
        adc=AdcConfig(bits=cell_bits),
        input_bits=1,
    )
    rng = np.random.default_rng(levels)
    stored = rng.integers(-(2 ** (2 * cell_bits - 1)), 2 ** (2 * cell_bits - 1), (1, 4000))
    digital = program_matrix(stored, config)
    form = config.format
    true = np.stack([form.level(digital.held, d) for d in range(2)])
    variance = (sigma * (levels - 1)) ** 2
    matrix = analog_matrix(config, digital.inversion, (1, 4000), [(true.astype(np.float32), variance)])
    reads = matrix.multiply(np.ones((100, 1), np.int64), False, seed=11) + form.zero
    wrong = sum(int((((reads >> (d * cell_bits)) & (levels - 1)) != true[d]).sum()) for d in range(2))
    shots = 100 * 2 * 4000
    p = 2 * (levels - 1) / levels * stats.norm.sf(1 / (2 * (levels - 1) * sigma))
    low, high = stats.binomtest(wrong, shots).proportion_ci(0.9999, method="exact")
    assert low <= p <= high, f"{wrong / shots:.3g} for {p:.3g}"


def test_what_cannot_be_simulated_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="2\\*\\*16"):
        matrix_of(rng, ArrayConfig(rows=65536, dac_bits=4, adc=AdcConfig(bits=8)), (65536, 1))
    with pytest.raises(InputError, match="1-bit DAC"):
        matrix_of(rng, ArrayConfig(dac_bits=2), (4, 2), uniform=0.1)
