"""Quantized layers against slow twins, and the integer graph and FINN design against the module."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.finn.network import PixelInput
from tests.twins.crossbar import quantized_value
from xbarsim.errors import InputError
from xbarsim.graph.nodes import Input
from xbarsim.graph.thresholds import Threshold
from xbarsim.torch_bridge.finn_export import finn_graph
from xbarsim.torch_bridge.quantized import (
    PixelSign,
    QuantActivation,
    QuantConv2d,
    QuantInput,
    QuantLinear,
    RoundActivations,
    RoundWeights,
    ScoreNorm,
    integer_weights,
    largest,
)

BITS = range(1, 9)


def numbers(dtype=torch.float64):
    """Ends, zeros, ties and random numbers in and around [-1, 1]."""
    special = torch.tensor([-2, -1.5, -1, -0.5, -0.0, 0, 0.5, 1, 1.5, 2], dtype=dtype)
    drawn = torch.rand(400, generator=torch.Generator().manual_seed(1), dtype=dtype) * 3 - 1.5
    return torch.cat([special, drawn])


@pytest.mark.parametrize("bits", BITS)
def test_weights_round_half_up_and_clip(bits):
    x = numbers()
    expected = [quantized_value(v, bits) for v in x.tolist()]
    assert RoundWeights.apply(x, bits).tolist() == expected
    layer = QuantLinear(len(x), 1, weight_bits=bits).double()
    layer.weight.data = x[None]
    assert integer_weights(layer).tolist() == [expected]
    assert max(expected) == -min(expected) == largest(bits)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", BITS)
def test_activations_round_half_up_and_clip(bits, signed):
    x, layer = numbers(), QuantActivation(bits, signed=signed)
    out = layer(x).tolist()
    assert out == [quantized_value(v, bits, signed) for v in x.tolist()]
    assert sorted(set(out) | set(layer.values)) == sorted(layer.values)
    every = torch.linspace(-1, 1, 2000)
    assert tuple(layer(every).unique().tolist()) == layer.values


def test_one_signed_bit_takes_zero_as_plus_one():
    zeros = torch.tensor([0.0, -0.0, -1e-45])
    assert QuantActivation(1)(zeros).tolist() == RoundWeights.apply(zeros, 1).tolist() == [1, 1, -1]


@pytest.mark.parametrize("bits", BITS)
def test_gradient_of_weights_is_straight_but_not_further_out(bits):
    x = numbers().requires_grad_()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    kept = upstream.clone()
    RoundWeights.apply(x, bits).backward(upstream)
    expected = [
        # a step goes against the gradient: out again where it has the weight's sign
        g * largest(bits) if abs(w) <= 1 or g * w > 0 else 0
        for w, g in zip(x.tolist(), upstream.tolist(), strict=True)
    ]
    assert x.grad.tolist() == expected
    assert torch.equal(upstream, kept)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", BITS)
def test_gradient_of_activations_is_that_of_a_hard_tanh(bits, signed):
    x = numbers().requires_grad_()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    RoundActivations.apply(x, bits, signed).backward(upstream)
    low = -1 if signed else 0
    expected = [
        g * largest(bits, signed) if low <= v <= 1 else 0
        for v, g in zip(x.tolist(), upstream.tolist(), strict=True)
    ]
    assert x.grad.tolist() == expected


def test_layers_multiply_with_the_integers():
    torch.manual_seed(0)
    conv, linear = QuantConv2d(2, 3, 3, weight_bits=3, stride=2).double(), QuantLinear(5, 4, weight_bits=2)
    x, rows = torch.randint(-9, 10, (2, 2, 7, 7)).double(), torch.randint(-9, 10, (3, 5)).float()
    assert conv.bias is None and linear.bias is None
    assert torch.equal(conv(x), nn.functional.conv2d(x, integer_weights(conv).double(), stride=2))
    assert torch.equal(linear(rows), rows @ integer_weights(linear).float().T)
    assert float(conv.weight.detach().abs().max()) <= 1 < 50 * float(conv.weight.detach().abs().max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bits", BITS)
def test_exported_integers_are_those_of_the_layer_next_to_every_tie(bits, dtype):
    """Where the product with L rounds, in the type in which the layer computes it."""
    top = largest(bits)
    ties = (torch.arange(-2 * top - 1, 2 * top + 2, dtype=torch.float64) / (2 * top)).to(dtype)
    ends = torch.full_like(ties, 2)
    near = [ties, torch.nextafter(ties, ends), torch.nextafter(ties, -ends)]
    layer = QuantLinear(3 * len(ties), 1, weight_bits=bits).to(dtype)
    layer.weight.data = torch.cat(near)[None]
    assert torch.equal(integer_weights(layer), RoundWeights.apply(layer.weight, bits).long())


PIXELS = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bits", BITS)
def test_inputs_are_those_of_the_graph_and_of_the_board_on_every_pixel(bits, dtype):
    x = torch.from_numpy(PIXELS).to(dtype) / 255 - 0.5
    module = QuantInput(bits, fraction=bits)(x).numpy()
    pixels = PixelInput(kind="fixed-point", bits=bits)
    assert (module == pixels.stream.values[pixels.codes]).all()
    node = Input(name="x", bits=bits, signed=True, fraction=bits)
    assert (module == node.quantize(x.numpy())).all()


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("signed", [True, False])
def test_inputs_are_those_of_the_graph_on_any_number(bits, signed):
    x = torch.randn(500, generator=torch.Generator().manual_seed(bits), dtype=torch.float64)
    x = torch.cat([x, torch.arange(-40, 40) / 16])  # ties
    node = Input(name="x", bits=bits, signed=signed, fraction=3)
    assert (QuantInput(bits, fraction=3, signed=signed)(x).numpy() == node.quantize(x.numpy())).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pixel_signs_are_those_of_the_graph_and_of_the_board_on_every_pixel(dtype):
    x = torch.from_numpy(PIXELS).to(dtype).reshape(256, 1, 1, 1) / 255
    module = PixelSign()(x).numpy().reshape(-1)
    pixels = PixelInput(kind="bipolar", bits=1)
    assert (module == pixels.stream.values[pixels.codes]).all()
    chain = nn.Sequential(PixelSign(), nn.Flatten(), QuantLinear(1, 2, weight_bits=1))
    source, threshold, *_ = finn_graph(chain, (1, 1, 1)).nodes
    assert isinstance(threshold, Threshold)
    assert (threshold.forward(source.quantize(x.numpy())).reshape(-1) == module).all()


def test_a_norm_of_scores_keeps_their_order_and_learns_what_it_saw():
    norm = ScoreNorm(momentum=0.25).double().requires_grad_(False)
    torch.manual_seed(0)
    seen = [torch.randn(20, 5, dtype=torch.float64) * 30 + 7 for _ in range(3)]
    mean, var = 0.0, 1.0
    for scores in seen:
        out = norm(scores)
        assert abs(float(out.mean())) < 1e-12 and float(out.var(correction=0)) == pytest.approx(1, 1e-6)
        mean, var = 0.75 * mean + 0.25 * scores.mean(), 0.75 * var + 0.25 * scores.var(correction=0)
    assert float(norm.mean) == pytest.approx(float(mean))
    assert float(norm.var) == pytest.approx(float(var))
    norm.eval()
    before = copy.deepcopy(norm.state_dict())
    norm.log_gain.fill_(-2)
    out = norm(seen[0])
    assert torch.equal(out.argsort(1), seen[0].argsort(1))
    expected = (seen[0] - norm.mean) / (norm.var + norm.eps).sqrt() * np.exp(-2)
    assert torch.allclose(out, expected, rtol=1e-12)
    assert all(torch.equal(norm.state_dict()[name], before[name]) for name in ("mean", "var"))


@pytest.mark.parametrize("bits", [0, 9, 1.5, True])
def test_bits_out_of_range_are_refused(bits):
    for build in (
        lambda: QuantActivation(bits),
        lambda: QuantLinear(2, 2, weight_bits=bits),
        lambda: QuantConv2d(2, 2, 3, weight_bits=bits),
        lambda: QuantInput(bits, fraction=0),
    ):
        with pytest.raises(InputError, match="bits: expected an integer"):
            build()
