"""QONNX files give the classes and scores that QONNX's own executor gives."""

import numpy as np
import pytest

from accel_models.finn.floats import FloatPixels
from accel_models.finn.layer import BIPOLAR, TERNARY
from accel_models.finn.qonnx.reader import read_qonnx
from tests.helpers.qonnx_files import Line, assert_same, cnv, small
from xbarsim.errors import InputError


@pytest.mark.parametrize("seed", range(3))
def test_bipolar_weights_and_activations(seed, tmp_path):
    network = assert_same(cnv(1, Line.bipolar, seed), tmp_path)
    assert [layer.output for layer in network.layers] == [BIPOLAR] * 3 + [None]
    assert [layer.weight_bits for layer in network.layers] == [1] * 4
    assert network.pixels.kind == "fixed-point" and network.layers[1].pool == 2
    assert network.layers[3].bias is None and network.head.floor is None


@pytest.mark.parametrize("seed", range(3))
def test_two_bits_narrow_are_ternary(seed, tmp_path):
    line = cnv(2, lambda made: made.quant(2, 0.5, narrow=1), seed)
    network = assert_same(line, tmp_path)
    assert [layer.output for layer in network.layers] == [TERNARY] * 3 + [None]
    assert [layer.weight_bits for layer in network.layers] == [2] * 4


@pytest.mark.parametrize("white", [0, 256, 1.5])
def test_white_is_checked(white, tmp_path):
    with pytest.raises(InputError, match="white"):
        read_qonnx(small().save(tmp_path), white=white)


def test_floats_are_what_the_file_takes_unless_a_range_is_said(tmp_path):
    line = Line((3,))
    line.op("MatMul", line.const(np.eye(3))).quant(6, 4.0, signed=0, narrow=0)
    path = line.op("MatMul", line.const(np.eye(3))).save(tmp_path)
    flat = read_qonnx(path, white=255)
    assert flat.floats == FloatPixels(low=0, high=255)
    assert flat.input_shape == (3,) and flat.image == (1, 1, 3)
    assert read_qonnx(path, white=255, value_range=(-1, 1)).floats == FloatPixels(low=-1, high=1)
    images = read_qonnx(cnv(1, Line.bipolar, 0).save(tmp_path))
    assert images.floats == FloatPixels(low=0, high=1)
    assert images.input_shape == (2, 8, 9) and images.image == (8, 9, 2)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 2)).astype(np.uint8)
    assert (images.to_pixels(pixels.transpose(0, 3, 1, 2) / 255) == pixels).all()
