"""Quantizers as decision points."""

import numpy as np
import pytest

from accel_models.finn.layer import BIPOLAR, Stream, unsigned
from accel_models.finn.qonnx.reader import read_qonnx
from tests.helpers.qonnx_files import Line, assert_same, small
from tests.twins.finn import run_network
from xbarsim.errors import InputError


@pytest.mark.parametrize("mode", ["ROUND", "FLOOR", "CEIL"])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_relu_and_unsigned_activations_with_every_rounding(bits, mode, tmp_path):
    """Products in powers of two: ties with the decision points occur, and are decided alike."""
    line = Line((1, 5, 5), bits, white=255)
    line.conv(4, 1, (2, 2), 3, scale=2.0**-8, bias=np.arange(4) / 4).op("Relu")
    line.quant(bits, 2.0 ** -(bits - 2), signed=0, mode=mode)
    line.conv(6, 4, (4, 4), 4, scale=0.5).op("Relu").quant(bits, 0.5, signed=0, mode=mode, kind="IntQuant")
    line.op("Flatten", axis=1).linear(3, 6, 8)
    network = assert_same(line, tmp_path)
    assert network.layers[0].output == unsigned(bits) and network.pixels.kind == "unsigned"


def test_ties_are_decided_as_rounding_to_even_does(tmp_path):
    line = Line((3,))
    line.op("MatMul", line.const(np.eye(3)))
    line.quant(6, 4.0, signed=0, narrow=0).op("MatMul", line.const(np.eye(3)))
    network = read_qonnx(line.save(tmp_path), white=255)
    pixels = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(3, axis=3)
    found, _ = run_network(network, pixels)
    assert (found[-1][:, 0, 0, 0] == np.round(np.arange(256) / 4).clip(0, 63)).all()


@pytest.mark.parametrize(
    ("scale", "bias", "stream"), [(2.0, -1.0, BIPOLAR), (0.5, -0.5, Stream(low=-1, step=1, top=1))]
)
def test_multi_threshold(scale, bias, stream, tmp_path):
    line = Line((6,), 5)
    line.linear(5, 6, 3).norm(5)
    cuts = np.sort(line.rng.normal(size=(5, 1)), axis=1)
    line.op("MultiThreshold", line.const(cuts), out_dtype="BIPOLAR", out_scale=scale, out_bias=bias)
    network = assert_same(line.linear(4, 5, 2), tmp_path)
    assert network.layers[0].output == stream


def test_multi_threshold_of_images_with_one_row_for_all(tmp_path):
    line = Line((2, 4, 4), 6).conv(3, 2, (3, 3), 3).norm(3)
    cuts = np.array([[-0.5, 0.1, 0.7]])
    line.op("MultiThreshold", line.const(cuts), out_dtype="UINT2", data_layout="NCHW").pool()
    assert_same(line.op("Flatten", axis=1).linear(4, 3, 3), tmp_path)


def test_zero_point_shifts_the_stream(tmp_path):
    line = Line((6,), 12).linear(5, 6, 3).quant(3, 0.25, signed=0, zero=3.0)
    network = assert_same(line.linear(4, 5, 3), tmp_path)
    assert network.layers[0].output == Stream(low=-3, step=1, top=7)


REFUSED = {
    "wide activations": (lambda: small().conv(3, 3, (2, 2), 2).quant(9, 0.5), "quant.*1..8"),
    "rounding": (lambda: small().conv(3, 3, (2, 2), 2).quant(2, 0.5, mode="UP"), "quant.*rounding by"),
    "scale": (lambda: small().conv(3, 3, (2, 2), 2).quant(2, -0.5), "quant.*a scale above 0"),
    "scales": (
        lambda: small().conv(3, 3, (2, 2), 2).quant(2, np.array([1.0, 2, 3]).reshape(3, 1, 1)),
        "quant.*per tensor",
    ),
    "zero point": (lambda: small().conv(3, 3, (2, 2), 2).quant(2, 0.5, zero=0.5), "whole zero point"),
    "thresholds": (
        lambda: (line := small().conv(3, 3, (2, 2), 2)).op(
            "MultiThreshold", line.const([[1.0, 0.0]]), out_dtype="UINT2"
        ),
        "multithreshold.*ascending",
    ),
    "out_bias": (
        lambda: (line := small().conv(3, 3, (2, 2), 2)).op(
            "MultiThreshold", line.const([[1.0]]), out_dtype="UINT2", out_bias=0.3
        ),
        "multithreshold.*out_bias",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_node_and_with_a_remedy(case, tmp_path):
    build, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        read_qonnx(build().save(tmp_path))
