"""QONNX files give the classes and scores that QONNX's own executor gives, or are refused by node."""

import numpy as np
import pytest

from accel_models.finn.qonnx.reader import read_qonnx
from tests.helpers.qonnx_files import Line, assert_same, small
from xbarsim.errors import InputError


def test_mlp_with_bipolar_pixels_gemm_and_scales_a_row(tmp_path):
    line = Line((1, 4, 5), 4).op("Flatten", axis=1).times(2.0).plus(-1.0).bipolar()
    scales = np.linspace(0.1, 0.4, 7)
    line.op("Gemm", line.weights((7, 20), 1, scales), line.const(np.linspace(-1, 1, 7)), transB=1)
    line.norm(7).bipolar(0.5).op("Dropout").times(2.0)
    line.op("Gemm", line.weights((7, 3), 4), transB=0)
    network = assert_same(line, tmp_path)
    assert network.pixels.kind == "bipolar" and network.image == (4, 5, 1)
    assert network.layers[0].kernel == (4, 5)


def test_pixels_without_a_quantizer_are_eight_bits(tmp_path):
    line = Line((2, 4, 4), 8, white=255).conv(3, 2, (3, 3), 2, scale=0.002).norm(3).bipolar()
    network = assert_same(line.conv(5, 3, (2, 2), 3), tmp_path)
    assert network.pixels.kind == "unsigned" and network.pixels.bits == 8


def test_term_less_data_and_division(tmp_path):
    line = Line((4,), 10).linear(5, 4, 3)
    term = line.const([0.5, 0.25, 0.1, 0.0, -0.5])
    line.tensor = line.node("Sub", term, line.tensor)
    line.op("Div", line.const([2.0, 0.5, 1.0, 1.0, -1.0])).op("Identity").quant(3, 0.25)
    assert_same(line.linear(3, 5, 3), tmp_path)


def last_scale_a_row(line):
    return line.op("Flatten", axis=1).linear(3, 12, 2, [0.1, 0.2, 0.3])


REFUSED = {
    "operator": (lambda: small().op("Sigmoid"), "sigmoid.*one of Add.*replace it"),
    "average": (lambda: small().op("GlobalAveragePool"), "globalaveragepool"),
    "no quantizer": (lambda: small().conv(3, 3, (2, 2), 2).linear(3, 3, 2), "matmul.*quantized activations"),
    "pool": (lambda: small().pool(strides=[1, 1]), "maxpool.*do not overlap"),
    "pool first": (lambda: small().conv(3, 3, (1, 1), 2).pool(), "maxpool.*behind a quantizer"),
    "pool of pixels": (lambda: Line((2, 4, 4)).pool(), "maxpool.*behind a quantizer"),
    "pool rest": (lambda: small().pool(3), "maxpool.*divides the 2 x 2"),
    "norm": (lambda: small().norm(3), "batchnormalization.*behind a quantizer"),
    "factors": (lambda: small().times(np.ones((3, 1, 1)) * [[[1]], [[2]], [[3]]]), "mul.*one factor above 0"),
    "dropout": (lambda: dropout(small()), "dropout.*eval mode"),
    "bias of the data": (lambda: data_as_bias(Line((3,))), "gemm.*the data as its first"),
    "input": (lambda: Line((2, 4, 4)).times(0.4).quant(8, 2.0**-7), "quant.*check `white`"),
    "offset": (lambda: Line((2, 4, 4)).plus(1.0).conv(3, 2, (3, 3), 2), "conv.*put a Quant"),
    "shape": (lambda: Line((4, 4)).quant(8, 2.0**-7), r"input: expected \(N, channels"),
    "ends": (small, "output: expected a product as the last layer"),
    "positions": (lambda: small().conv(3, 3, (2, 1), 2), "a last layer with one position"),
    "last scales": (lambda: last_scale_a_row(small()), "output.*quantize the last layer per tensor"),
    "last relu": (lambda: small().conv(3, 3, (2, 2), 2).op("Relu"), "output.*no ReLU"),
}


def dropout(line):
    return line.op("Dropout", line.const(0.5), line.const(True, bool))


def data_as_bias(line):
    weights = line.const(np.eye(3))
    line.tensor = line.node("Gemm", weights, weights, line.tensor)
    return line


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_node_and_with_a_remedy(case, tmp_path):
    build, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        read_qonnx(build().save(tmp_path))
