"""Products in floats are those of integers, whatever the window, the width and who multiplies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbarsim.graph import product
from xbarsim.graph.integer_graph import exact_product
from xbarsim.graph.nodes import MatMul
from xbarsim.graph.product import ExactProduct, Products
from xbarsim.graph.window import Window


def layer_of(weights, *, bits=8, signed=False, zero=0, window=None):
    """A layer with (groups, K, M) weights."""
    return MatMul(
        name="layer",
        sources=("x",),
        weights=weights,
        bias=np.zeros(weights.shape[0] * weights.shape[2], np.int64),
        weight_fraction=0,
        input_bits=bits,
        input_signed=signed,
        input_zero=zero,
        window=window,
    )


def numbers(rng, bits, signed, shape):
    low = -(2 ** (bits - 1)) if signed else 0
    x = rng.integers(low, low + 2**bits, shape)
    return x.astype(rng.choice([np.int64, np.float32, np.float64]))


def random_convolution(seed):
    """A layer of one to three axes, and inputs."""
    rng = np.random.default_rng(seed)
    axes, groups = int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 5]))
    kernel = tuple(int(v) for v in rng.integers(1, 4, axes))
    window = Window(
        kernel=kernel,
        stride=tuple(int(v) for v in rng.integers(1, 3, axes)),
        padding=tuple((int(a), int(b)) for a, b in rng.integers(0, 2, (axes, 2))),
        dilation=tuple(int(v) for v in rng.integers(1, 3, axes)),
        ceil_mode=bool(rng.integers(2)),
    )
    bits, signed = int(rng.choice([4, 8, 16])), bool(rng.integers(2))
    channels, outputs = int(rng.choice([1, 3, 40])), int(rng.choice([1, 1, 4]))
    half = 2 ** (bits - 1)
    weights = rng.integers(-half, half, (groups, channels * int(np.prod(kernel)), outputs))
    zero = 0 if signed else int(rng.integers(0, 5))
    layer = layer_of(weights, bits=bits, signed=signed, zero=zero, window=window)
    return layer, numbers(rng, bits, signed, (3, groups * channels, *rng.integers(6, 9, axes)))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_convolutions(seed):
    layer, x = random_convolution(seed)
    wanted = exact_product(layer, x)
    found = ExactProduct(layer, layer.weights)
    assert (found(x) == wanted).all() and found(x).shape == wanted.shape
    assert (found._of_patches(x, layer.window) == wanted).all()
    if found._is_depthwise and len(layer.window.kernel) == 2:
        assert (found._by_channel(x, layer.window) == wanted).all()


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("inputs", [3, 700, 5000])
def test_linear_layers(bits, inputs):
    rng = np.random.default_rng(bits)
    weights = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (1, inputs, 6))
    layer = layer_of(weights, bits=bits)
    x = numbers(rng, bits, False, (2, 3, inputs))
    assert (ExactProduct(layer, weights)(x) == exact_product(layer, x)).all()


@pytest.mark.parametrize("torch_there", [True, False])
def test_sums_too_large_for_float32_are_taken_in_pieces(torch_there, monkeypatch):
    monkeypatch.setattr(product, "convolves", lambda macs: torch_there)
    rng = np.random.default_rng(0)
    weights = rng.integers(100, 128, (1, 130 * 9, 3))
    layer = layer_of(weights, window=Window(kernel=(3, 3), padding=((1, 1), (1, 1))))
    x = rng.integers(250, 256, (2, 130, 5, 5))
    found = ExactProduct(layer, weights)
    assert len(found.pieces) == 3 and found(x).dtype == np.float64
    assert (found(x) == exact_product(layer, x)).all()
    assert len(ExactProduct(layer, weights[:, :9]).pieces) == 1


def test_sums_beyond_every_float_stay_integers():
    layer = layer_of(np.full((1, 300, 1), 2**40), bits=16)
    x = np.full((1, 300), 2**16 - 1)
    assert ExactProduct(layer, layer.weights)(x)[0, 0] == 300 * 2**40 * (2**16 - 1)


def test_a_layer_that_is_used_again_is_prepared_once():
    layer, asked = layer_of(np.ones((1, 4, 2), np.int64)), []

    def weights_of(layer):
        asked.append(layer.name)
        return layer.weights

    multiply = Products(weights_of)
    for _ in range(2):
        assert (multiply(layer, np.ones((3, 4))) == 4).all()
    assert asked == ["layer"]
