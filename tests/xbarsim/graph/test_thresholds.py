"""Thresholds equal the batch norm and quantizer they stand for, in fractions, around every one of them."""

from fractions import Fraction

import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.graph.grid import Grid
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Input, MatMul
from xbarsim.graph.thresholds import ALWAYS, NEVER, Threshold, batch_norm_thresholds


def passes(number, cut, inclusive):
    return number >= cut if inclusive else number > cut


def above_root(left, distance, variance, inclusive):
    """left >= distance * sqrt(variance) (or >), decided with squares only."""
    square = distance * distance * variance
    if left >= 0 and distance <= 0:
        return inclusive or left > 0 or distance < 0
    if left < 0 and distance >= 0:
        return False
    if distance > 0:
        return passes(left * left, square, inclusive)
    return left * left <= square if inclusive else left * left < square


def level(accumulator, gamma, beta, mean, variance, cuts, scale, inclusive):
    """How many cuts the batch norm of one accumulator passes."""
    centred = Fraction(gamma) * (Fraction(scale) * accumulator - Fraction(mean))
    count = 0
    for cut, reached in zip(cuts, inclusive, strict=True):
        count += above_root(centred, Fraction(cut) - Fraction(beta), variance, reached)
    return count


def check(gamma, beta, mean, var, eps, cuts, scale, inclusive):
    found, signs = batch_norm_thresholds(gamma, beta, mean, var, eps, cuts, scale, inclusive=inclusive)
    assert (found[:, 1:] >= found[:, :-1]).all()  # a difference could overflow
    for c in range(len(gamma)):
        assert signs[c] == (-1 if gamma[c] < 0 else 1)
        middle = [int(t) for t in found[c] if abs(int(t)) < 10**15] + [0]
        for a in sorted({t + d for t in middle for d in (-2, -1, 0, 1, 2)}):
            count = sum(int(t) < a for t in found[c])
            variance = Fraction(var[c]) + Fraction(eps)
            real = int(signs[c]) * a
            assert count == level(real, gamma[c], beta[c], mean[c], variance, cuts, scale, inclusive)


def test_thresholds_equal_exact_arithmetic_around_each_of_them():
    rng = np.random.default_rng(0)
    for _ in range(40):
        channels, n = 6, int(rng.integers(1, 8))
        gamma = rng.normal(size=channels) * 10.0 ** rng.integers(-3, 3)
        gamma[rng.integers(channels)] = 0.0
        cuts = np.sort(rng.normal(size=n)).tolist()
        inclusive = rng.integers(2, size=n).astype(bool).tolist()
        beta, mean = rng.normal(size=(2, channels))
        check(gamma, beta, mean * 9, rng.random(channels) + 0.01, 1e-5, cuts, 2.0**-5, inclusive)


def test_ties_are_decided_exactly():
    """Small integers meet the cuts often: the root is whole in half of the channels, and it is not below."""
    rng = np.random.default_rng(1)
    for _ in range(60):
        gamma = rng.integers(-2, 3, size=6).astype(float)
        beta, mean = rng.integers(-3, 4, size=(2, 6)).astype(float)
        var = np.array([1.0, 4.0, 2.25, 0.25, 2.0, 3.0])
        check(gamma, beta, mean, var, 0.0, [-1.5, -0.5, 0.5, 0.5], 0.5, [False, True, False, True])


def test_exact_where_floats_would_round_to_the_wrong_side():
    """y misses the cut by 1e-30: double precision cannot tell."""
    tiny = Fraction(1, 10**30)
    below, _ = batch_norm_thresholds([1], [0], [0], [1], 0, np.array([[7 - tiny]]), 1)
    above, _ = batch_norm_thresholds([1], [0], [0], [1], 0, np.array([[7 + tiny]]), 1)
    assert below.tolist() == [[6]] and above.tolist() == [[7]]


def test_constant_channel_has_thresholds_at_the_ends():
    found, signs = batch_norm_thresholds([0.0, -0.0], [0.5, 1.0], 0.0, 1.0, 0.0, [0.0, 0.5, 2.0], 1.0)
    assert found.tolist() == [[ALWAYS, ALWAYS, NEVER]] * 2 and signs.tolist() == [1, 1]
    strict, _ = batch_norm_thresholds(0.0, 0.5, 0.0, 1.0, 0.0, [0.5], 1.0, inclusive=False)
    assert strict.tolist() == [[NEVER]]


def test_thresholds_beyond_int64_saturate():
    found, _ = batch_norm_thresholds(1e-300, 0.0, 0.0, 1.0, 0.0, [-1.0, 1.0], 1.0)
    assert found.tolist() == [[ALWAYS, NEVER]]


def test_cuts_may_differ_from_channel_to_channel():
    found, _ = batch_norm_thresholds(1.0, 0.0, 0.0, 1.0, 0.0, [[1.0, 2.0], [3.0, 4.0]], 1.0)
    assert found.tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"var": [-1.0]}, "var"),
        ({"scale": 0.0}, "scale"),
        ({"cuts": [1.0, 0.0]}, "ascending"),
        ({"mean": [np.nan]}, "mean"),
        ({"beta": [1.0, 2.0, 3.0], "mean": [1.0, 2.0]}, "mean"),
    ],
)
def test_nonsense_is_refused(change, words):
    good = {"gamma": 1.0, "beta": 0.0, "mean": [0.0], "var": [1.0], "eps": 0.0, "cuts": [0.0], "scale": 1.0}
    with pytest.raises(InputError, match=words):
        batch_norm_thresholds(**(good | change))


def test_threshold_node_counts_thresholds_strictly_below():
    rng = np.random.default_rng(2)
    thresholds = np.sort(rng.integers(-9, 9, size=(3, 5)), axis=1)
    node = Threshold(name="t", thresholds=thresholds, low=-3, step=2, fraction=1)
    for shape in ((20, 3), (4, 3, 5, 2)):
        x = rng.integers(-10, 10, size=shape)
        found = node.forward(x)
        for place, value in np.ndenumerate(x):
            assert found[place] == -3 + 2 * sum(1 for t in thresholds[place[1]] if t < value)
    assert node.top == 7 and node.grid([Grid(scale=2.0**-12)]).fraction == 1


@pytest.mark.parametrize(
    "wrong", [np.zeros(3, np.int64), np.zeros((2, 0), np.int64), np.zeros((2, 2)), np.array([[1, 0]]), [[1]]]
)
def test_wrong_thresholds_are_refused(wrong):
    with pytest.raises(InputError, match="node 't'"):
        Threshold(name="t", thresholds=wrong)


def test_channels_must_match():
    node = Threshold(name="t", thresholds=np.zeros((3, 1), np.int64))
    for shape in ((2, 4), (2, 4, 1, 1), (3,), (2, 2, 3)):
        with pytest.raises(InputError, match="one row of thresholds a channel"):
            node.forward(np.zeros(shape, np.int64))


def test_threshold_works_in_a_graph():
    weights = np.array([[[1, -1], [1, 1]]], np.int64)
    layer = MatMul(
        name="fc",
        sources=("x",),
        weights=weights,
        bias=np.zeros(2, np.int64),
        weight_fraction=2,
        input_bits=4,
        input_signed=True,
    )
    sign = Threshold(name="s", sources=("fc",), thresholds=np.array([[-1], [-1]]), low=-1, step=2)
    graph = IntegerGraph((Input(name="x", bits=4, signed=True, fraction=0), layer, sign), (2,))
    assert graph.run(np.array([[1.0, 2.0], [3.0, 1.0], [-4.0, 2.0]])).tolist() == [[1, 1], [1, -1], [-1, 1]]
    assert graph.fractions["s"] == 0 and graph.output_shape == (2,)
