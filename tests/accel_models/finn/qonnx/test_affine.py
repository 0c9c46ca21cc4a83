"""What an integer means: gains, offsets and floors in fractions, and the thresholds on it."""

from fractions import Fraction

import numpy as np
import pytest

from accel_models.finn.layer import Stream
from accel_models.finn.qonnx.affine import Affine, Quantizer, exact, root
from accel_models.finn.qonnx.reader import read_qonnx
from tests.helpers.qonnx_files import Line, assert_same, small
from xbarsim.errors import InputError


def test_floor_of_a_relu_survives_scales_and_terms(tmp_path):
    """2 max(x, 0) + 0.4 passes the cuts 0.125 and 0.375 always."""
    line = Line((6,), 3).cnv_input()
    line.linear(8, 6, 2).norm(8).op("Relu").times([2.0]).plus(0.4).quant(3, 0.25, signed=0)
    assert_same(line.linear(4, 8, 2), tmp_path)


def test_negative_gains_turn_the_weights(tmp_path):
    """Also where -4 of three bits has to become 4 of four."""
    line = Line((4,), 9)
    raw = np.array([[-4, 3, 1, 0], [-4, -4, 2, 3]]) * 0.25
    weights = line.node(
        "Quant", line.const(raw), line.const(0.25), line.const(0.0), line.const(3), signed=1, narrow=0
    )
    line.op("Gemm", weights, line.const([0.3, -0.2]), transB=1).times([-1.5, 2.0])
    line.op("Sub", line.const([-1.0, 1.0])).quant(4, 0.25)
    network = assert_same(line.linear(3, 2, 3), tmp_path)
    assert network.layers[0].weights.tolist() == [[4, -3, -1, 0], [-4, -4, 2, 3]]
    assert network.layers[0].weight_bits == 4


def norm_without_variance(line):
    others = [line.const([v] * 3) for v in (1.0, 0.0, 0.0, -1.0)]
    return line.op("BatchNormalization", *others)


REFUSED = {
    "variance": (lambda: norm_without_variance(small().conv(3, 3, (2, 2), 2)), "variances above 0"),
    "negative relu": (
        lambda: small().conv(3, 3, (2, 2), 2).op("Relu").times(-1.0).quant(2, 0.5),
        "mul.*behind a ReLU",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_node_and_with_a_remedy(case, tmp_path):
    build, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        read_qonnx(build().save(tmp_path))


def of(*gains):
    return Affine.of([Fraction(g) for g in gains])


def numbers(*values):
    return tuple(Fraction(v) for v in values)


def test_maps_follow_on_one_another_exactly():
    """((2 n) + 1/3) * 3 = 6 n + 1, and n / 7 beside it."""
    found = of(2, "1/7").shifted(numbers("1/3", 0)).scaled("here", numbers(3, 1))
    assert (found.gain, found.offset) == (numbers(6, "1/7"), numbers(1, 0))
    assert found.floor == (None, None)


def test_floors_move_with_what_comes_behind_them():
    found = of(1, -2).rectified().shifted(numbers(3, -1)).scaled("here", numbers(2, 5))
    assert found.floor == numbers(6, -5)
    assert found.rectified().floor == numbers(6, 0)
    with pytest.raises(InputError, match="here: expected factors above 0 behind a ReLU"):
        found.scaled("here", numbers(1, -1))


def test_batch_norms_are_maps():
    """Gains 2 / sqrt(9/4) and offsets 1 - 5 * 4/3."""
    parts = [numbers(n) for n in (2, 1, 5, 2)]
    found = of(1).normalized("here", parts, Fraction(1, 4))
    assert (found.gain, found.offset) == (numbers("4/3"), numbers("-17/3"))
    with pytest.raises(InputError, match="variances above 0"):
        of(1).normalized("here", [*parts[:3], numbers(-1)], Fraction(1, 4))


def test_thresholds_are_on_integers_and_signs_turn_them():
    cuts = np.array([numbers("1/2", "3/2")], object)
    quantizer = Quantizer(Stream(low=0, step=1, top=2), Fraction(1), cuts, (False, True))
    before = Affine(numbers("1/2", -1, 1), numbers(0, 1, 0), (None, None, Fraction(1)))
    found, sign = quantizer.thresholds(before)
    assert sign.tolist() == [1, -1, 1]
    for row, gain, offset, floor in ((0, 0.5, 0, -99), (1, -1, 1, -99), (2, 1, 0, 1)):
        for integer in range(-9, 10):
            value = max(gain * integer + offset, floor)
            expected = int(value > 0.5) + int(value >= 1.5)
            assert (sign[row] * integer > found[row]).sum() == expected


def test_numbers_of_files_are_one_a_channel():
    assert exact("here", np.array([0.5]), 3) == numbers("1/2", "1/2", "1/2")
    assert exact("here", np.array([[1.0], [0.1]]), 2) == (Fraction(1), Fraction(0.1))
    with pytest.raises(InputError, match="here: expected 1 or 3 numbers, got 2"):
        exact("here", np.ones(2), 3)
    with pytest.raises(InputError, match="finite numbers"):
        exact("here", np.array([np.nan]), 1)


def test_roots_are_exact_where_they_are_fractions():
    assert root(Fraction(49, 9)) == Fraction(7, 3)
    assert abs(root(Fraction(2)) ** 2 - 2) < Fraction(1, 2**250)
