"""Weights as integers: the steps of every output, and how much of the signal is left."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from xbarsim.errors import InputError
from xbarsim.graph.grid import Grid
from xbarsim.torch_bridge.products import Weighted
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.torch_bridge.weights import LARGEST_FREE_BIAS, quantize_weights


def product(weight, bias=None, groups=1):
    bias = np.zeros(len(weight)) if bias is None else bias
    return Weighted(None, None, np.asarray(weight, float), bias, "layer", None, None, groups=groups)


def rounded(weighted, *, bits=8, fixed_point=False, scale=0.01, symmetric=True):
    source = Grid(scale=scale, zero=0)
    return quantize_weights(
        "layer", weighted, source, bits=bits, symmetric=symmetric, fixed_point=fixed_point
    )


def by_output(found, outputs):
    """(outputs, inputs) real weights and real bias that integers stand for."""
    groups, inputs, each = found.integers.shape
    rows = found.integers.transpose(0, 2, 1).reshape(outputs, inputs)
    scales = np.ones(outputs) if found.channel_scales is None else found.channel_scales
    steps = scales * 2.0**-found.fraction
    assert groups * each == outputs
    return rows, rows * steps[:, None], steps


@given(st.integers(2, 16), st.sampled_from([1, 2, 3]), st.integers(0, 2**32))
def test_the_largest_weight_of_every_output_reaches_the_top(bits, groups, seed):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(6, 4, 3, 1)) * 10.0 ** rng.integers(-3, 3, (6, 1, 1, 1))
    bias, top = rng.normal(size=6), 2 ** (bits - 1) - 1
    found = rounded(product(weight, bias, groups), bits=bits)
    rows, real, steps = by_output(found, 6)
    flat = weight.reshape(6, -1)
    assert (np.abs(rows).max(axis=1) == top).all()
    largest = np.abs(flat).max(axis=1, keepdims=True) / top
    if bits < 8:  # the largest may be cut off, if the others gain more by it
        plain = np.floor(flat / largest + 0.5) * largest
        assert (np.square(real - flat).sum(1) <= np.square(plain - flat).sum(1) * (1 + 1e-9)).all()
        assert (steps <= largest[:, 0] * (1 + 1e-9)).all()
    else:
        assert (np.abs(real - flat) <= steps[:, None] * (0.5 + 1e-9)).all()
    assert (np.abs(found.bias * steps * 0.01 - bias) <= steps * 0.01 * (0.5 + 1e-6)).all()


def test_one_large_weight_among_many_is_cut_off():
    weight = np.concatenate([np.full((1, 40), 0.3), [[1.0]]], axis=1) * np.resize([1, -1], 41)
    found = rounded(product(weight), bits=3)
    rows, real, _ = by_output(found, 1)
    assert np.abs(rows).max() == 3 and abs(real[0, -1]) < 0.95
    assert np.abs(real[0, :-1] - weight[0, :-1]).max() < 0.02


def test_an_output_without_weights_has_zeros_and_its_bias():
    weight = np.array([[1.0, -2.0], [0.0, 0.0]])
    found = rounded(product(weight, np.array([0.5, -3.0])))
    rows, _, steps = by_output(found, 2)
    assert rows.tolist() == [[64, -127], [0, 0]]
    np.testing.assert_allclose(found.bias * steps * 0.01, [0.5, -3.0], rtol=1e-6)
    assert np.isfinite(found.channel_scales).all() and (found.channel_scales > 0).all()
    nothing = rounded(product(np.zeros((2, 2))))
    assert not nothing.integers.any() and (nothing.channel_scales > 0).all()


def test_a_bias_far_above_the_weights_makes_their_steps_coarser():
    found = rounded(product(np.array([[1e-12, 2e-12], [1.0, 1.0]]), np.array([1e6, 0.0])))
    assert abs(found.bias).max() <= LARGEST_FREE_BIAS
    np.testing.assert_allclose(found.bias[0] * found.channel_scales[0] * 0.01, 1e6)
    with pytest.raises(InputError, match="a bias that is not far above"):
        rounded(product(np.full((1, 2), 1e-6), np.array([1e12])), fixed_point=True)


@pytest.mark.parametrize("symmetric", [False, True])
def test_powers_of_two_are_one_for_all_outputs(symmetric):
    weight = np.array([[-1.0, 0.75], [0.01, 0.02]])
    found = rounded(product(weight, np.array([1.0, 2.0])), bits=4, fixed_point=True, symmetric=symmetric)
    assert found.channel_scales is None and found.fraction == 3
    assert found.integers[0].T.tolist() == [[-7 if symmetric else -8, 6], [0, 0]]
    assert found.bias.tolist() == [800, 1600]


def test_the_same_weights_with_another_bias_are_the_same_array():
    weight = np.random.default_rng(0).normal(size=(3, 4))
    one, other = (rounded(product(weight, np.full(3, b))) for b in (0.0, 1.0))
    assert one.same_as(other) and (one.bias != other.bias).all()
    assert not one.same_as(rounded(product(weight * 2))) and not one.same_as(rounded(product(weight + 0.1)))
    assert not one.same_as(rounded(product(weight), fixed_point=True))


def signal_to_noise(bits, scales):
    """The worst channel of a convolution whose channels' gains span two decades, in dB."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
    with torch.no_grad():
        norm.weight.copy_(torch.logspace(-2, 0, 16))
        norm.running_var.copy_(torch.rand(16) + 0.5)
    module = nn.Sequential(conv, norm).eval()
    x = np.random.default_rng(0).normal(size=(40, 3, 8, 8))
    graph = quantize(module, x, weight_bits=bits, activation_bits=16, scales=scales)
    with torch.no_grad():
        wanted = module(torch.tensor(x).float()).double().numpy()
    noise = ((graph.run(x) - wanted) ** 2).mean((0, 2, 3))
    return 10 * np.log10((wanted**2).mean((0, 2, 3)) / noise).min()


def test_channels_whose_gains_span_two_decades_keep_their_signal():
    assert signal_to_noise(8, "channel") >= 45
    assert signal_to_noise(8, "power-of-two") < 15
    assert signal_to_noise(6, "channel") >= 32
