"""Networks from the integer graph give its classes and last integers, or are refused by node."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.finn.board import write_board
from accel_models.finn.from_graph import from_graph, image_pixels
from accel_models.finn.layer import BIPOLAR, TERNARY, unsigned
from accel_models.finn.network import PixelInput
from tests.twins.finn import pixel_codes, run_network
from xbarsim.errors import InputError
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Add, AvgPool, Flatten, Input, MatMul, MaxPool, Relu, Requantize
from xbarsim.graph.thresholds import Threshold
from xbarsim.graph.window import Window
from xbarsim.torch_bridge.quantize import quantize


def assert_same(graph, images, **options):
    """The graph's integers and classes are those of the slow twin on the matching pixels."""
    network = from_graph(graph, **options)
    pixels = image_pixels(graph, images)
    found, classes = run_network(network, pixels)
    logits = graph.run(images).reshape(len(images), -1)
    scores = found[-1].reshape(len(images), -1)
    assert (np.ldexp(scores.astype(float), -graph.fractions[graph.nodes[-1].name]) == logits).all()
    assert classes == logits.argmax(axis=1).tolist()
    for layer, sums in zip(network.layers, found, strict=True):
        half = 1 << (layer.accumulator_bits - 1)
        held = [sums] if layer.thresholds is None else [sums, layer.thresholds]
        assert all((-half <= values).all() and (values < half).all() for values in held)
    return network


def linear(name, source, rng, columns, rows, bits=3, bias=False):
    top = 1 << (bits - 1)
    return MatMul(
        name=name,
        sources=(source,),
        weights=rng.integers(-top, top, size=(1, columns, rows)),
        bias=rng.integers(-9, 10, size=rows) if bias else np.zeros(rows, np.int64),
        weight_fraction=1,
        input_bits=8,
        input_signed=False,
    )


def conv(name, source, rng, channels, rows, kernel=(3, 3), bits=3, bias=False, **window):
    made = linear(name, source, rng, channels * kernel[0] * kernel[1], rows, bits, bias)
    return replace(made, window=Window(kernel=kernel, **window))


def pool(name, source, side=2, **window):
    return MaxPool(
        name=name, sources=(source,), window=Window(kernel=(side, side), stride=(side, side), **window)
    )


def small_graph(rng, between, *, signed=False, bits=8, last=()):
    """conv 3x3 -> `between` -> flatten -> fc, on (2, 6, 7) images."""
    nodes = [Input(name="x", bits=bits, signed=signed, fraction=3), conv("c", "x", rng, 2, 4, bias=True)]
    nodes += between
    nodes += [Flatten(name="f", sources=(nodes[-1].name,))]
    draft = IntegerGraph(tuple(nodes), (2, 6, 7))
    nodes += [linear("fc", "f", rng, draft.output_shape[0], 5, bias=True), *last]
    return IntegerGraph(tuple(nodes), (2, 6, 7))


def quantizer(bits=2, signed=False, shift=5, name="q", source="c"):
    return Requantize(name=name, sources=(source,), shift=shift, bits=bits, signed=signed)


@pytest.mark.filterwarnings("ignore::xbarsim.graph.saturation.SaturationWarning")  # values saturate here
@pytest.mark.parametrize("shift", [-2, 0, 1, 4, 8])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_requantize_becomes_thresholds(bits, shift):
    rng = np.random.default_rng(bits)
    images = rng.uniform(-1, 40, size=(3, 2, 6, 7))
    network = assert_same(small_graph(rng, [quantizer(bits, shift=shift)]), images)
    assert network.layers[0].output == unsigned(bits) and network.layers[0].bias is None
    assert network.layers[1].bias.any() and network.head.floor is None


def test_requantize_thresholds_hold_for_every_accumulator():
    for shift in range(-2, 5):
        node = Requantize(name="q", sources=("c",), shift=shift, bits=3, signed=False)
        rng = np.random.default_rng(0)
        layer = from_graph(small_graph(rng, [replace(node)])).layers[0]
        one = replace(conv("c", "x", np.random.default_rng(0), 2, 4, bias=True), bias=np.zeros(4, np.int64))
        assert (layer.weights.sum(axis=1) == one.weights[0].sum(axis=0)).all()
        bias = small_graph(np.random.default_rng(0), [node]).layers[0].bias
        for accumulator in range(-200, 200):
            found = (layer.thresholds < accumulator).sum(axis=1)
            assert (found == node.forward(accumulator + bias)).all()


def test_eight_bits_of_activations_and_weights():
    rng = np.random.default_rng(5)
    graph = IntegerGraph(
        (
            Input(name="x", bits=8, signed=False, fraction=0),
            linear("a", "x", rng, 9, 4, bits=8, bias=True),
            quantizer(8, source="a", shift=6),
            linear("b", "q", rng, 4, 3, bits=8),
        ),
        (9,),
    )
    network = assert_same(graph, rng.integers(0, 256, size=(6, 9)).astype(float))
    assert network.image == (1, 1, 9) and network.layers[0].weight_bits == 8
    assert network.layers[1].bias is None


@pytest.mark.filterwarnings("ignore::xbarsim.graph.saturation.SaturationWarning")  # values saturate here
def test_signed_requantize_relu_and_pool_merge_into_the_layer():
    rng = np.random.default_rng(6)
    images = rng.uniform(-1, 40, size=(2, 2, 6, 7))
    window = Window(kernel=(2, 5), stride=(1, 1))
    plain = small_graph(rng, [quantizer(3, signed=True)])
    assert assert_same(plain, images).layers[0].output.low == -4
    pooled = [
        replace(conv("c2", "q", rng, 4, 3, (3, 2)), bias=np.arange(3)),
        quantizer(3, signed=True, name="q2", source="c2"),
        pool("p", "q2"),
        Relu(name="r", sources=("p",)),
    ]
    network = assert_same(small_graph(rng, [quantizer(3, signed=True), *pooled]), images)
    assert network.layers[1].pool == 2 and network.layers[1].output == unsigned(3).__class__(
        low=0, step=1, top=3
    )
    overlapping = MaxPool(name="p", sources=("q",), window=window)
    with pytest.raises(InputError, match=r"'p'.*do not overlap"):
        from_graph(small_graph(rng, [quantizer(), overlapping]))


@pytest.mark.filterwarnings("ignore::xbarsim.graph.saturation.SaturationWarning")  # values saturate here
@pytest.mark.parametrize("stream", [BIPOLAR, TERNARY, unsigned(3)])
@pytest.mark.parametrize("seed", range(3))
def test_random_graphs_with_thresholds(stream, seed):
    """Two convolutions with strides and a pool, then two linear layers; binary weights in the middle."""
    rng = np.random.default_rng(seed)

    def threshold(name, source, rows):
        drawn = np.sort(rng.integers(-30, 31, size=(rows, stream.top)), axis=1)
        return Threshold(name=name, sources=(source,), thresholds=drawn, low=stream.low, step=stream.step)

    binary = conv("c2", "t1", rng, 3, 4, (2, 2), stride=(1, 2))
    binary = replace(binary, weights=np.where(binary.weights < 0, -1, 1))
    nodes = (
        Input(name="x", bits=int(rng.integers(1, 9)), signed=False, fraction=0),
        conv("c1", "x", rng, 2, 3, (3, 2), bias=True),
        threshold("t1", "c1", 3),
        binary,
        threshold("t2", "c2", 4),
        pool("p", "t2"),
        Flatten(name="f", sources=("p",)),
        linear("fc1", "f", rng, 8, 6, bias=True),
        threshold("t3", "fc1", 6),
        linear("fc2", "t3", rng, 6, 4, bias=bool(seed % 2)),
    )
    graph = IntegerGraph(nodes, (2, 7, 5))
    network = assert_same(graph, rng.integers(0, 256, size=(3, 2, 7, 5)).astype(float))
    assert network.layers[1].weight_bits == 1 and network.layers[1].pool == 2
    assert network.layers[2].kernel == network.layers[2].shape[:2] == (2, 1)


@pytest.mark.parametrize(("bits", "signed"), [(1, False), (4, False), (8, False), (2, True), (7, True)])
def test_every_input_format_that_a_pixel_gives(bits, signed):
    """Each of the 256 pixels enters the network as the integer that `from_graph` says."""
    rng = np.random.default_rng(0)
    graph = IntegerGraph(
        (Input(name="x", bits=bits, signed=signed, fraction=2), linear("fc", "x", rng, 256, 3)), (256,)
    )
    network = from_graph(graph)
    pixel = np.arange(256)
    half = 1 << (bits - 1)
    stated = (
        np.floor(half * (2 * pixel / 255 - 1) + 0.5).clip(-half, half - 1) if signed else pixel >> (8 - bits)
    )
    codes = pixel_codes(network, pixel.astype(np.uint8).reshape(1, 1, 1, 256)).reshape(-1)
    assert (network.pixels.stream.values[codes] == stated).all()
    assert_same(graph, stated[None] / 4)
    again = image_pixels(graph, stated[None] / 4)
    assert (network.pixels.codes[again].reshape(-1) == codes).all()


def test_signed_eight_bits_have_no_pixel_for_zero():
    rng = np.random.default_rng(0)
    graph = IntegerGraph(
        (Input(name="x", bits=8, signed=True, fraction=7), linear("fc", "x", rng, 4, 3)), (4,)
    )
    assert_same(graph, np.array([[-1.0, 0.5, -1 / 128, 127 / 128]]))
    with pytest.raises(InputError, match="inputs that a pixel gives, got 0"):
        image_pixels(graph, np.zeros((1, 4)))


def test_threshold_of_the_pixels_is_a_bipolar_input():
    rng = np.random.default_rng(1)
    sign = Threshold(name="s", sources=("x",), thresholds=np.full((9, 1), 127), low=-1, step=2)
    nodes = (Input(name="x", bits=8, signed=False, fraction=0), sign, linear("fc", "s", rng, 9, 3))
    graph = IntegerGraph(nodes, (9,))
    network = assert_same(graph, rng.integers(0, 256, size=(5, 9)).astype(float))
    assert network.pixels == PixelInput(kind="bipolar", bits=1)
    other = replace(sign, thresholds=np.full((9, 1), 100))
    with pytest.raises(InputError, match=r"node 's'.*threshold an unsigned input of 8 bits at 127"):
        from_graph(IntegerGraph((nodes[0], other, nodes[2]), (9,)))


class PoolThenRelu(nn.Module):
    """As many write it: the ReLU behind the pool."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 5, 2, stride=2)
        self.fc1, self.fc2 = nn.Linear(20, 7), nn.Linear(7, 4)

    def forward(self, x):
        x = torch.relu(torch.max_pool2d(self.conv1(x), 2))
        x = torch.relu(self.conv2(x)).flatten(1)
        return self.fc2(torch.relu(self.fc1(x)))


MODULES = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(100, 6), nn.ReLU(), nn.Linear(6, 4)),
    "conv": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 5),
        nn.ReLU(),
        nn.Linear(5, 4),
    ),
    "all convolution": lambda: nn.Sequential(nn.Conv2d(1, 3, 6, stride=2), nn.ReLU(), nn.Conv2d(3, 4, 3)),
    "no relu": lambda: nn.Sequential(nn.Flatten(), nn.Linear(100, 6), nn.Linear(6, 4)),
    "pool then relu": PoolThenRelu,
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_torch_module_through_quantize(name, bits):
    torch.manual_seed(bits)
    module = MODULES[name]().eval()
    if name == "conv":
        module[1].running_mean.uniform_(-1, 1)
        module[1].running_var.uniform_(0.5, 2)
    images = np.random.default_rng(0).random((4, 1, 10, 10))
    graph = quantize(module, images, weight_bits=bits, activation_bits=bits, scales="power-of-two")
    network = assert_same(graph, images, name=name, weight_bits=bits)
    assert {layer.weight_bits for layer in network.layers} == {bits}


def test_network_is_written_as_a_board_unless_its_last_layer_has_a_bias(tmp_path):
    rng = np.random.default_rng(0)
    graph = small_graph(rng, [quantizer()])
    with pytest.raises(InputError, match="no bias"):
        write_board(from_graph(graph), tmp_path)
    graph = graph.with_layers([replace(graph.layers[1], bias=np.zeros(5, np.int64))])
    written = write_board(from_graph(graph), tmp_path)
    assert [p.name for p in written] == ["0-0-weights.bin", "0-0-thres.bin", "1-0-weights.bin"]


def test_last_convolution_may_be_flattened():
    rng = np.random.default_rng(4)
    nodes = (
        Input(name="x", bits=4, signed=False, fraction=0),
        conv("c", "x", rng, 2, 3, (4, 5)),
        Flatten(name="f", sources=("c",)),
    )
    assert_same(IntegerGraph(nodes, (2, 4, 5)), rng.integers(0, 16, size=(4, 2, 4, 5)).astype(float))


RNG = np.random.default_rng(3)
Q = quantizer()
REFUSED = {
    "padding": (
        [replace(conv("d", "q", RNG, 4, 2), window=Window(kernel=(3, 3), padding=((1, 1), (1, 1))))],
        "no padding",
    ),
    "dilation": ([conv("d", "q", RNG, 4, 2, (2, 2), dilation=(2, 2))], "no dilation"),
    "groups": ([replace(conv("d", "q", RNG, 4, 4), weights=np.ones((2, 18, 2), np.int64))], "groups=1"),
    "add": ([Add(name="d", sources=("q", "q"), shifts=(0, 0))], "branches"),
    "average": ([AvgPool(name="d", sources=("q",), window=Window(kernel=(2, 2)))], "replace it"),
    "wide weights": ([replace(conv("d", "q", RNG, 4, 2), weights=np.full((1, 36, 2), 200))], "8 bits"),
    "second quantizer": ([quantizer(2, name="d", source="q")], "leave the second quantizer out"),
    "pool rest": ([pool("d", "q", 3)], "divides the 4 x 5"),
    "pool padding": ([pool("d", "q", padding=((1, 1), (0, 0)))], "no padding"),
    "linear on images": ([linear("d", "q", RNG, 80, 2)], "put a Flatten before"),
    "pool of a flat layer": ([Flatten(name="e", sources=("q",)), pool("d", "e")], "pool before the Flatten"),
    "no quantizer": (
        [conv("e", "q", RNG, 4, 2, (2, 2)), conv("d", "e", RNG, 2, 2)],
        "put a quantizer between",
    ),
    "relu first": (
        [conv("e", "q", RNG, 4, 2, (2, 2)), Relu(name="d", sources=("e",))],
        "behind the quantizer",
    ),
    "pool first": ([conv("e", "q", RNG, 4, 2, (3, 2)), pool("d", "e")], "behind the quantizer"),
    "quantizer last": ([], "end with a linear layer"),
    "many positions": ([conv("d", "q", RNG, 4, 2)], "add a linear layer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_node_and_with_a_remedy(case):
    extra, words = REFUSED[case]
    nodes = [Input(name="x", bits=8, signed=False, fraction=0), conv("c", "x", RNG, 2, 4), Q, *extra]
    with pytest.raises(InputError, match=f"node '{nodes[-1].name}'.*{words}"):
        from_graph(IntegerGraph(tuple(nodes), (2, 6, 7)))


@pytest.mark.parametrize(
    "wide", [quantizer(9), Threshold(name="q", sources=("c",), thresholds=np.zeros((4, 300), np.int64))]
)
def test_wide_activations_are_refused(wide):
    with pytest.raises(InputError, match=r"node 'q'.*quantize activations to 1..8 bits"):
        from_graph(small_graph(np.random.default_rng(0), [wide]))


def test_other_steps_of_activations_are_refused():
    step = Threshold(name="q", sources=("c",), thresholds=np.zeros((4, 2), np.int64), step=3)
    with pytest.raises(InputError, match=r"node 'q'.*in steps of 1 or 2"):
        from_graph(small_graph(np.random.default_rng(0), [step]))


def test_input_of_more_than_eight_bits_is_refused():
    with pytest.raises(InputError, match=r"node 'x': expected an input of 1..8 bits"):
        from_graph(small_graph(np.random.default_rng(0), [Q], bits=9))


def test_weights_beyond_the_wanted_width_are_refused():
    graph = small_graph(np.random.default_rng(0), [Q])
    assert from_graph(graph, weight_bits=6).layers[0].weight_bits == 6
    with pytest.raises(InputError, match=r"node 'c'.*choose more weight bits"):
        from_graph(graph, weight_bits=2)
    with pytest.raises(InputError, match="weights of -1 and"):
        from_graph(graph, weight_bits=1)
