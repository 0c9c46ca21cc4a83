"""Column currents with read noise: the kernel equals its twin bit for bit, through programmed matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.matrices import analog_configurations, matrix_of
from tests.twins.crossbar import analog_product
from xbarsim.crossbar.diagonal import groups_an_array
from xbarsim.crossbar.matrix import input_range
from xbarsim.kernels import analog


@settings(max_examples=40, deadline=None)
@given(
    config=analog_configurations(),
    seed=st.integers(0, 2**63 - 1),
    groups=st.integers(1, 4),
    noise=st.sampled_from(["", "uniform", "per_cell"]),
)
def test_kernel_equals_its_twin_bit_for_bit(config, seed, groups, noise):
    rng = np.random.default_rng(seed)
    noise = noise if config.dac_bits == 1 else ""
    signed = bool(rng.integers(2)) and config.dac_bits == 1
    shape = int(rng.integers(1, 140)), int(rng.integers(1, 40))
    groups = min(groups, groups_an_array(config, *shape))
    noise = {noise: 0.03} if noise else {}
    _, programmed = matrix_of(rng, config, shape, groups=groups, spread=0.2, **noise)
    x = rng.integers(*input_range(config.input_bits, signed), (2, groups * shape[0]), endpoint=True)
    first = int(rng.integers(2**40))
    found = programmed.multiply(x, signed, seed=seed, first=first)
    np.testing.assert_array_equal(found, analog_product(programmed, x, signed, seed, first))


@pytest.mark.parametrize(("polynomial", "function"), [("LOG", np.log), ("COS", np.cos), ("SIN", np.sin)])
def test_polynomials_are_the_functions_to_float32(polynomial, function):
    y = np.linspace(-0.5, 0.5, 2001)
    coefficients = np.array(getattr(analog, polynomial), np.float64)
    if polynomial == "LOG":
        found, expected = np.polyval(coefficients, y), function(1.5 + y)
    else:
        found, expected = np.polyval(coefficients, y**2), function(y * np.pi / 2)
    if polynomial == "SIN":
        found = found * y
    np.testing.assert_allclose(found, expected, atol=3e-7)
