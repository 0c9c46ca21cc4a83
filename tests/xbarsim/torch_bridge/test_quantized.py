"""Quantized layers against slow twins, and the integer graph and FINN design against the module."""

import copy
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.finn.config import FinnConfig
from accel_models.finn.from_graph import from_graph, image_pixels
from accel_models.finn.network import PixelInput
from networks.cnv import Cnv
from networks.datasets import load_dataset, pixels_of
from networks.lfc import Lfc
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
from xbarsim.training.loop import fit, initialise, scores_of
from xbarsim.training.recipe import Recipe

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


def randomise(module, images, rng):
    """Batch norms whose cuts lie among the accumulators; gains of both signs, and one of zero each."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
    module.train()(images)
    with torch.no_grad():
        for norm in norms:
            gamma, beta = rng.normal(0, 0.7, norm.num_features), rng.uniform(-0.5, 0.5, norm.num_features)
            gamma[:2] = 0, -0.8
            norm.weight.copy_(torch.from_numpy(gamma))
            norm.bias.copy_(torch.from_numpy(beta))
            norm.running_mean.add_(torch.from_numpy(rng.normal(0, 0.2, norm.num_features)))
    return module.eval()


def chain(weight_bits, activation_bits, *, signed=True):
    """Two convolutions with a pool between, two linear layers, for 3 x 8 x 8 images."""

    def act():
        return QuantActivation(activation_bits, signed=signed)

    return nn.Sequential(
        QuantInput(8, fraction=8),
        QuantConv2d(3, 6, 3, weight_bits=weight_bits), nn.BatchNorm2d(6), act(), nn.MaxPool2d(2),
        QuantConv2d(6, 8, 2, weight_bits=weight_bits), nn.BatchNorm2d(8), act(),
        nn.Flatten(),
        QuantLinear(32, 12, weight_bits=weight_bits), nn.BatchNorm1d(12), act(), nn.Dropout(0.2),
        QuantLinear(12, 5, weight_bits=weight_bits), ScoreNorm(),
    )  # fmt: skip


@torch.no_grad()
def assert_same_scores(module, pixels, images):
    """Every score of the graph is the module's before the norm; the classes are those behind it too."""
    graph = finn_graph(module, images.shape[1:])
    scores = np.ldexp(graph.run(images.numpy()), graph.fractions[graph.nodes[-1].name])
    assert (scores == module[:-1](images).numpy()).all()
    out = module(images).numpy()
    assert (np.argsort(out, axis=1, kind="stable") == np.argsort(scores, axis=1, kind="stable")).all()
    design = FinnConfig().program(from_graph(graph))
    assert (design.classify(pixels.transpose(0, 2, 3, 1)) == out.argmax(axis=1)).all()
    assert (design.scores(pixels.transpose(0, 2, 3, 1)) == scores).all()
    assert (np.ptp(scores, axis=0) > 0).all()
    return graph


def drawn_pixels(rng, count=150, side=8):
    """Flat, bright and noisy images, so that classes differ."""
    base, spread = rng.uniform(0, 255, (count, 3, 1, 1)), rng.uniform(5, 90, (count, 1, 1, 1))
    return (base + spread * rng.normal(size=(count, 3, side, side))).clip(0, 255).astype(np.uint8)


def check_chain(weight_bits, activation_bits, dtype, *, signed=True):
    rng = np.random.default_rng((weight_bits, activation_bits, signed, 5))
    torch.manual_seed(int(rng.integers(2**31)))
    pixels = drawn_pixels(rng)
    images = torch.from_numpy(pixels).to(dtype) / 255 - 0.5
    module = randomise(chain(weight_bits, activation_bits, signed=signed).to(dtype), images, rng)
    return assert_same_scores(module, pixels, images)


@pytest.mark.parametrize(("weight_bits", "activation_bits"), list(product((1, 2, 3, 4, 8), repeat=2)))
def test_every_score_of_the_graph_is_that_of_the_module(weight_bits, activation_bits):
    check_chain(weight_bits, activation_bits, torch.float64)


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(1, 1), (2, 2), (1, 3), (4, 4)])
def test_unsigned_activations_likewise(weight_bits, activation_bits):
    graph = check_chain(weight_bits, activation_bits, torch.float64, signed=False)
    inner = graph.layers[1]
    assert (inner.input_bits, inner.input_signed) == (activation_bits, False)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(1, 1), (1, 2), (2, 2)])
def test_few_bits_likewise_in_single_precision(weight_bits, activation_bits, signed):
    check_chain(weight_bits, activation_bits, torch.float32, signed=signed)


def test_activations_need_no_batch_norm():
    torch.manual_seed(3)
    module = nn.Sequential(
        QuantInput(4, fraction=3, signed=False), nn.Flatten(), QuantLinear(48, 20, weight_bits=2),
        QuantActivation(2), QuantLinear(20, 4, weight_bits=3), ScoreNorm(),
    ).double().eval()  # fmt: skip
    images = torch.rand(100, 3, 4, 4, dtype=torch.float64) * 2
    graph = finn_graph(module, (3, 4, 4))
    pixels = image_pixels(graph, images.numpy()).transpose(0, 3, 1, 2)
    assert_same_scores(module, pixels, images)


def test_pixel_signs_enter_the_design():
    rng = np.random.default_rng(4)
    torch.manual_seed(4)
    module = Lfc(1, 2, width=24).double()
    pixels = rng.integers(0, 256, (200, 1, 28, 28), dtype=np.uint8)
    pixels[::2, :, 7:21] //= 3
    images = torch.from_numpy(pixels).double() / 255
    assert_same_scores(randomise(module, images, rng).layers, pixels, images)


def test_the_module_stays_as_it_is():
    module = chain(2, 2).train()
    before = copy.deepcopy(module.state_dict())
    first = finn_graph(module, (3, 8, 8)).layers[0]
    assert first.weights.shape == (1, 27, 6) and not first.bias.any()
    assert all(part.training for part in module.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def linear(inputs=4, outputs=4):
    return QuantLinear(inputs, outputs, weight_bits=2)


def spoiled(value):
    layer = linear()
    with torch.no_grad():
        layer.weight[1, 2] = value
    return layer


def spoiled_norm(name):
    norm = nn.BatchNorm1d(4)
    getattr(norm, name).data[2] = float("nan")
    return norm


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.start, self.layer, self.act = QuantInput(8, fraction=8), linear(), QuantActivation(2)

    def forward(self, x):
        x = self.act(self.layer(self.start(x)))
        return self.layer(x) + x


START = QuantInput(8, fraction=8)
REFUSED = {
    "no input": ([linear()], r"layer '0': expected a QuantInput or PixelSign first"),
    "second input": ([START, linear(), QuantActivation(2), QuantInput(8, fraction=8), linear()], "'3'"),
    "two products": ([START, linear(), linear()], "'2': expected a QuantActivation between two products"),
    "norm between": ([START, linear(), nn.BatchNorm1d(4), linear()], "'3': expected a QuantActivation"),
    "norm first": ([START, nn.BatchNorm1d(4), linear()], r"'1' \(BatchNorm1d\).*directly behind a product"),
    "norm behind": (
        [START, linear(), QuantActivation(2), nn.BatchNorm1d(4), linear()],
        r"'3' \(BatchNorm1d\).*directly behind a product",
    ),
    "two norms": ([START, linear(), nn.BatchNorm1d(4), nn.BatchNorm1d(4), QuantActivation(2)], "'3'"),
    "no statistics": (
        [START, linear(), nn.BatchNorm1d(4, track_running_stats=False), QuantActivation(2), linear()],
        "'2'.*running statistics",
    ),
    "norm of scores": ([START, linear(), nn.BatchNorm1d(4)], "scores"),
    "norm of scores before layers": (
        [START, linear(), ScoreNorm(), QuantActivation(2), linear()],
        "'3': expected nothing behind a ScoreNorm",
    ),
    "two activations": ([START, linear(), QuantActivation(2), QuantActivation(2), linear()], "'3'"),
    "unknown": ([START, linear(), nn.ReLU(), linear()], r"'2' \(ReLU\).*build the network from"),
    "float layer": ([START, nn.Linear(4, 4)], r"'1' \(Linear\)"),
    "pool of sums": ([START, linear(), nn.MaxPool2d(2), QuantActivation(2), linear()], "'2'"),
    "no scores": ([START, nn.Flatten()], "nothing that gives scores"),
    "nan": ([START, spoiled(float("nan"))], "finite weights, got NaN or infinity"),
    "infinite": ([START, spoiled(float("inf"))], "finite weights, got NaN or infinity"),
    **{
        f"nan in {name}": ([START, linear(), spoiled_norm(name), QuantActivation(2), linear()], "batch norm")
        for name in ("weight", "bias", "running_mean", "running_var")
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_layer(case):
    layers, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        finn_graph(nn.Sequential(*layers), (4,))


def test_branches_are_refused():
    with pytest.raises(InputError, match="'act': expected one reader, got 2; take branches out"):
        finn_graph(Branch(), (4,))


@pytest.mark.parametrize("bits", [0, 9, 1.5, True])
def test_bits_out_of_range_are_refused(bits):
    for build in (
        lambda: QuantActivation(bits),
        lambda: QuantLinear(2, 2, weight_bits=bits),
        lambda: QuantConv2d(2, 2, 3, weight_bits=bits),
        lambda: QuantInput(bits, fraction=0),
    ):
        with pytest.raises(InputError, match=r"bits: expected an integer in 1\.\.8"):
            build()


def assert_same_classes_of_a_test_set(module, data):
    """On every image, the module in single precision and the design on the image's pixels."""
    graph = finn_graph(module, data.images.shape[1:])
    found = FinnConfig().program(from_graph(graph)).classify(pixels_of(data))
    assert len(set(found.tolist())) == 10
    expected = scores_of(module, data.images).argmax(dim=1).numpy()
    assert np.flatnonzero(found != expected).tolist() == []
    return float((found == data.labels).mean())


def test_classes_of_the_whole_cifar_10_test_set(data_folder):
    module = initialise(lambda: Cnv(1, 1, width=8), 0)
    test = load_dataset("cifar10", "test")
    assert len(test.images) == 10_000
    recipe = Recipe(epochs=1, batch_size=50, learning_rate=0.01)
    fit(module, test.images[:500], test.labels[:500], recipe, seed=0)
    assert assert_same_classes_of_a_test_set(module, test) > 0.12


def test_classes_of_the_whole_mnist_test_set(data_folder):
    module = initialise(lambda: Lfc(1, 1, width=64), 0)
    test = load_dataset("mnist", "test")
    assert len(test.images) == 10_000
    recipe = Recipe(epochs=2, batch_size=50, learning_rate=0.01)
    fit(module, test.images[:2000], test.labels[:2000], recipe, seed=0)
    assert assert_same_classes_of_a_test_set(module, test) > 0.5
