"""Weights of products in FINN's order, and what a step of theirs is worth."""

from fractions import Fraction

import numpy as np
import pytest

from accel_models.finn.qonnx.axes import Axes
from accel_models.finn.qonnx.operator import Constant, Operator
from accel_models.finn.qonnx.reader import read_qonnx
from accel_models.finn.qonnx.weights import layer_weights
from tests.helpers.qonnx_files import small
from xbarsim.errors import InputError


def raw_linear(line):
    return line.op("Flatten", axis=1).op("MatMul", line.const(line.rng.normal(size=(12, 3))))


REFUSED = {
    "padding": (lambda: small().conv(3, 3, (3, 3), 2, pads=[1, 1, 1, 1]), "conv.*no padding"),
    "auto_pad": (lambda: small().conv(3, 3, (2, 2), 2, auto_pad="SAME_UPPER"), "conv.*no padding"),
    "groups": (lambda: small().conv(3, 1, (2, 2), 2, group=3), "conv.*groups=1"),
    "dilation": (lambda: small().conv(3, 3, (2, 2), 2, dilations=[2, 2]), "conv.*dilation=1"),
    "raw weights": (lambda: raw_linear(small()), "matmul.*weights from a quantizer, got real numbers"),
    "flat": (lambda: small().linear(3, 12, 2), "matmul.*put a Flatten before it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_node_and_with_a_remedy(case, tmp_path):
    build, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        read_qonnx(build().save(tmp_path))


def product(kind, weights, data=0, **attributes):
    return Operator("p", kind, data, {1 - data if kind == "MatMul" else 1: weights}, attributes)


def quantized(shape, scale):
    numbers = np.arange(np.prod(shape)).reshape(shape)
    return Constant(numbers, np.broadcast_to(np.asarray(scale, float), shape), 8)


def test_convolutions_have_their_channels_last():
    weights = quantized((2, 3, 4, 5), np.array([0.5, 0.25]).reshape(2, 1, 1, 1))
    numbers, steps, bits = layer_weights(product("Conv", weights), Axes("NCHW"), (9, 9, 3))
    assert numbers.shape == (2, 4, 5, 3) and (numbers == weights.numbers.transpose(0, 2, 3, 1)).all()
    assert (steps, bits) == ([Fraction(1, 2), Fraction(1, 4)], 8)


@pytest.mark.parametrize("order", ["chw", "hwc"])
def test_flat_weights_find_the_pixels_of_their_images(order):
    """(height, width, channels) = (2, 3, 4): a row times the flat image is a sum over its pixels."""
    image = np.random.default_rng(0).integers(0, 9, (2, 3, 4))
    flat = (image.transpose(2, 0, 1) if order == "chw" else image).reshape(-1)
    weights = quantized((24, 5), 0.5)
    numbers, _, _ = layer_weights(product("MatMul", weights), Axes("NC", order), image.shape)
    assert numbers.shape == (5, 2, 3, 4)
    assert (numbers * image).sum(axis=(1, 2, 3)).tolist() == (flat @ weights.numbers).tolist()
    turned = Constant(weights.numbers.T, weights.scale.T, 8)
    gemm = layer_weights(product("Gemm", turned, transB=1), Axes("NC", order), image.shape)
    assert (gemm[0] == numbers).all()


def test_stored_integers_are_weights_of_any_width():
    numbers, steps, bits = layer_weights(
        product("MatMul", Constant(np.array([[1.0], [-3.0]]))), Axes("NC"), (1, 1, 2)
    )
    assert numbers.reshape(-1).tolist() == [1, -3] and (steps, bits) == ([1], None)


@pytest.mark.parametrize(
    ("made", "axes", "words"),
    [
        (product("MatMul", quantized((4, 3), 1.0), data=1), "NC", "data times weights"),
        (product("Gemm", quantized((4, 3), 1.0), alpha=2), "NC", "alpha = beta = 1"),
        (product("MatMul", quantized((4,), 1.0)), "NC", "weights of two axes"),
        (product("Conv", quantized((2, 2, 1, 1), 1.0)), "NHWC", "channels first"),
        (product("MatMul", quantized((4, 3), np.arange(1.0, 5)[:, None])), "NC", "a scale of weights a row"),
    ],
)
def test_products_of_another_form_are_refused(made, axes, words):
    with pytest.raises(InputError, match=rf"node 'p'.*{words}"):
        layer_weights(made, Axes(axes), (1, 1, 4))
