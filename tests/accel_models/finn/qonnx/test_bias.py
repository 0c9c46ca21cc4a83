"""The last layer's bias in integers: every comparison of classes is as with the exact numbers."""

from fractions import Fraction

import numpy as np
import pytest

from accel_models.finn.qonnx.bias import last_bias
from tests.helpers.qonnx_files import Line, assert_same
from xbarsim.errors import InputError


@pytest.mark.parametrize("whole", [True, False])
def test_last_bias(whole, tmp_path):
    line = Line((6,), 11).linear(5, 6, 3).quant(3, 0.25).linear(4, 5, 3)
    terms = np.array([3, -2, 0, 5]) / 16 if whole else line.rng.normal(size=4)
    network = assert_same(line.plus(terms), tmp_path, bias_step=0.0 if whole else 2.0**-8)
    assert network.layers[-1].accumulator_shift == (0 if whole else 8)
    assert network.layers[-1].bias.any()


def test_last_bias_keeps_every_comparison():
    rng = np.random.default_rng(0)
    for _ in range(200):
        few = [Fraction(int(n), 7) for n in rng.integers(-50, 50, size=5)]
        near = [f + Fraction(int(n), 10**5) for f, n in zip(few, rng.integers(0, 3, size=5), strict=True)]
        for exact in (few, near):
            bias, shift = last_bias(exact)
            for i in range(5):
                for j in range(5):
                    for sums in range(-3, 4):
                        step = sums + round(float(exact[j] - exact[i]))
                        want = step + exact[i] - exact[j]
                        got = (step << shift) + int(bias[i]) - int(bias[j])
                        assert (want > 0, want == 0) == (got > 0, got == 0)


def test_biases_that_no_width_tells_apart_are_refused():
    with pytest.raises(InputError, match="quantize the last bias"):
        last_bias([Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**12)])
