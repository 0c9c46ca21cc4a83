"""The integer graph and the FINN design of a quantized module give its scores."""

import copy
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.finn.config import FinnConfig
from accel_models.finn.from_graph import from_graph, image_pixels
from networks.cnv import Cnv
from networks.datasets import load_dataset, pixels_of
from networks.lfc import Lfc
from xbarsim.errors import InputError
from xbarsim.torch_bridge.finn_export import finn_graph
from xbarsim.torch_bridge.quantized import (
    QuantActivation,
    QuantConv2d,
    QuantInput,
    QuantLinear,
    ScoreNorm,
)
from xbarsim.training.loop import fit, initialise, scores_of
from xbarsim.training.recipe import Recipe


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
