"""QONNX files give the classes and scores that QONNX's own executor gives, or are refused by node."""

import sys
from fractions import Fraction

import numpy as np
import pytest

from accel_models.finn.floats import FloatPixels
from accel_models.finn.layer import BIPOLAR, TERNARY, Stream, unsigned
from accel_models.finn.qonnx.bias import last_bias
from accel_models.finn.qonnx.reader import read_qonnx
from tests.twins.finn import run_network
from xbarsim.errors import InputError

onnx = pytest.importorskip("onnx", reason="the extra 'qonnx' is not installed")
pytest.importorskip("qonnx", reason="the extra 'qonnx' is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from qonnx.core.modelwrapper import ModelWrapper  # noqa: E402
from qonnx.core.onnx_exec import execute_onnx  # noqa: E402
from qonnx.transformation.infer_shapes import InferShapes  # noqa: E402

GENERAL = "qonnx.custom_op.general"
CUSTOM = ("Quant", "IntQuant", "BipolarQuant", "MultiThreshold")


class Line:
    """Writes a chain of operators; every method appends one."""

    def __init__(self, shape, seed=0, *, white=1, channels_last=False):
        self.shape, self.rng, self.white, self.channels_last = (
            shape,
            np.random.default_rng(seed),
            white,
            channels_last,
        )
        self.nodes, self.constants, self.tensor = [], [], "in"

    def const(self, values, kind=np.float32):
        name = f"const{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def node(self, kind, *inputs, **attributes):
        """A node beside the data; its output's name."""
        name = f"{kind.lower()}{len(self.nodes)}"
        domain = GENERAL if kind in CUSTOM else ""
        made = helper.make_node(kind, list(inputs), [f"{name}_out"], name=name, domain=domain, **attributes)
        self.nodes.append(made)
        return f"{name}_out"

    def op(self, kind, *others, **attributes):
        """A node on the data."""
        self.tensor = self.node(kind, self.tensor, *others, **attributes)
        return self

    def quant(self, bits, scale, signed=1, narrow=0, zero=0.0, mode="ROUND", kind="Quant"):
        others = [self.const(v) for v in (scale, zero, bits)]
        return self.op(kind, *others, signed=signed, narrow=narrow, rounding_mode=mode)

    def bipolar(self, scale=1.0):
        return self.op("BipolarQuant", self.const(scale))

    def weights(self, shape, bits, scale=0.25, axis=0, **options):
        raw = self.const(self.rng.normal(size=shape) * np.max(scale) * (1 << max(bits - 1, 1)))
        scale = np.asarray(scale, np.float32)
        if scale.ndim:
            scale = scale.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        if bits == 1:
            return self.node("BipolarQuant", raw, self.const(scale))
        settings = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"} | options
        return self.node("Quant", raw, self.const(scale), self.const(0.0), self.const(bits), **settings)

    def conv(self, rows, channels, kernel, bits, scale=0.25, bias=None, **attributes):
        inputs = [self.weights((rows, channels, *kernel), bits, scale)]
        inputs += [] if bias is None else [self.const(bias)]
        return self.op("Conv", *inputs, kernel_shape=list(kernel), **attributes)

    def linear(self, rows, columns, bits, scale=0.25):
        """As Brevitas exports it: the quantized weights, transposed."""
        turned = self.node("Transpose", self.weights((rows, columns), bits, scale), perm=[1, 0])
        return self.op("MatMul", turned)

    def norm(self, channels, eps=1e-5):
        """A batch norm that has seen the data, so that its outputs are spread around 0."""
        seen = self.run(self.pixels(8))
        over = tuple(a for a in range(seen.ndim) if a != 1)
        gamma, beta = self.rng.normal(size=channels), self.rng.normal(size=channels) * 0.3
        others = [self.const(v) for v in (gamma, beta, seen.mean(axis=over), seen.var(axis=over) + 1e-3)]
        return self.op("BatchNormalization", *others, epsilon=eps)

    def times(self, factor):
        return self.op("Mul", self.const(factor))

    def plus(self, term):
        return self.op("Add", self.const(term))

    def pool(self, side=2, **attributes):
        return self.op("MaxPool", kernel_shape=[side, side], **({"strides": [side, side]} | attributes))

    def cnv_input(self):
        """The preprocessing of Brevitas's CNV: 2 x - 1 in 8 bits, of which 7 are a fraction."""
        return self.times(2.0).op("Sub", self.const([1.0])).quant(8, 2.0**-7)

    def model(self, batch=1):
        entry = helper.make_tensor_value_info("in", TensorProto.FLOAT, [batch, *self.shape])
        end = helper.make_tensor_value_info(self.tensor, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "line", [entry], [end], self.constants)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(GENERAL, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def pixels(self, images):
        """(N, height, width, channels): noise, brighter on the right side of some images than of others."""
        c, h, w = self.shape if len(self.shape) == 3 else (*self.shape, 1, 1)
        h, w, c = self.shape if self.channels_last else (h, w, c)
        ramp = self.rng.normal(size=(images, 1, w, c)) * np.linspace(-1, 1, h)[:, None, None]
        return (128 + 60 * ramp + self.rng.normal(size=(images, h, w, c)) * 50).clip(0, 255).astype(np.uint8)

    def run(self, pixels):
        """What QONNX's executor makes of pixels."""
        x = pixels if self.channels_last else pixels.transpose(0, 3, 1, 2)
        x = (x.reshape(len(x), *self.shape) * np.float64(self.white / 255)).astype(np.float32)
        model = ModelWrapper(self.model(len(x))).transform(InferShapes())
        return execute_onnx(model, {"in": x})[self.tensor]

    def save(self, folder):
        path = folder / "line.onnx"
        path.write_bytes(self.model().SerializeToString())
        return path


def assert_same(line, folder, *, images=12, bias_step=0.0):
    """Classes are the executor's; scores are, but for one factor and one term an image."""
    network = read_qonnx(line.save(folder), white=line.white)
    pixels = line.pixels(images)
    assert pixels.shape[1:] == network.image
    found, classes = run_network(network, pixels)
    scores = line.run(pixels).reshape(images, -1)
    assert classes == scores.argmax(axis=1).tolist()
    sums = found[-1].reshape(images, -1) / 2.0 ** network.layers[-1].accumulator_shift
    assert len({tuple(row) for row in sums.tolist()}) > 2, "the images should not all look the same"
    spread = scores - scores.mean(axis=1, keepdims=True)
    sums -= sums.mean(axis=1, keepdims=True)
    gain = (spread * sums).sum() / (sums * sums).sum()
    assert gain > 0 and np.abs(spread - gain * sums).max() <= gain * (bias_step + 1e-3)
    return network


def cnv(weight_bits, quantize, seed, shape=(0, -1)):
    line = Line((2, 8, 9), seed).cnv_input()
    quantize(line.conv(4, 2, (3, 3), weight_bits).norm(4))
    quantize(line.conv(3, 4, (3, 2), weight_bits, strides=[1, 1]).norm(3)).pool()
    line.op("Reshape", line.const(shape, np.int64))
    quantize(line.linear(6, 18, weight_bits).norm(6))
    return line.linear(4, 6, weight_bits, scale=0.125).op("Mul", line.const(0.7)).plus([-0.3])


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


@pytest.mark.parametrize("shape", [(1, -1), (-1, 18), (0, 18)])
def test_reshape_with_a_stored_shape_is_a_flatten(shape, tmp_path):
    line = cnv(1, Line.bipolar, 0)
    first = read_qonnx(line.save(tmp_path))
    place = next(i for i, c in enumerate(line.constants) if c.data_type == TensorProto.INT64)
    line.constants[place] = numpy_helper.from_array(np.array(shape), line.constants[place].name)
    second = read_qonnx(line.save(tmp_path), name="other")
    assert (first.layers[2].weights == second.layers[2].weights).all()
    assert (first.name, second.name) == ("line", "other")


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


def test_floor_of_a_relu_survives_scales_and_terms(tmp_path):
    """2 max(x, 0) + 0.4 passes the cuts 0.125 and 0.375 always."""
    line = Line((6,), 3).cnv_input()
    line.linear(8, 6, 2).norm(8).op("Relu").times([2.0]).plus(0.4).quant(3, 0.25, signed=0)
    assert_same(line.linear(4, 8, 2), tmp_path)


def test_mlp_with_bipolar_pixels_gemm_and_scales_a_row(tmp_path):
    line = Line((1, 4, 5), 4).op("Flatten", axis=1).times(2.0).plus(-1.0).bipolar()
    scales = np.linspace(0.1, 0.4, 7)
    line.op("Gemm", line.weights((7, 20), 1, scales), line.const(np.linspace(-1, 1, 7)), transB=1)
    line.norm(7).bipolar(0.5).op("Dropout").times(2.0)
    line.op("Gemm", line.weights((7, 3), 4), transB=0)
    network = assert_same(line, tmp_path)
    assert network.pixels.kind == "bipolar" and network.image == (4, 5, 1)
    assert network.layers[0].kernel == (4, 5)


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


def test_channels_last_input_and_flatten(tmp_path):
    line = Line((5, 6, 2), 7, channels_last=True).op("Transpose", perm=[0, 3, 1, 2]).cnv_input()
    line.conv(3, 2, (3, 3), 2).norm(3).quant(3, 0.25)
    line.op("Transpose", perm=[0, 2, 3, 1]).op("Flatten", axis=1)
    network = assert_same(line.linear(4, 36, 2), tmp_path)
    assert network.image == (5, 6, 2)


def test_pixels_without_a_quantizer_are_eight_bits(tmp_path):
    line = Line((2, 4, 4), 8, white=255).conv(3, 2, (3, 3), 2, scale=0.002).norm(3).bipolar()
    network = assert_same(line.conv(5, 3, (2, 2), 3), tmp_path)
    assert network.pixels.kind == "unsigned" and network.pixels.bits == 8


def test_negative_gains_turn_the_weights(tmp_path):
    """Also where -4 of three bits has to become 4 of four."""
    line = Line((4,), 9)
    raw = np.array([[-4, 3, 1, 0], [-4, -4, 2, 3]]) * 0.25
    weights = line.node(
        "Quant", line.const(raw), line.const(0.25), line.const(0.0), line.const(3), signed=1, narrow=0
    )
    line.op("Gemm", weights, line.const([0.3, -0.2]), transB=1).times([-1.5, 2.0])
    line.op("Sub", line.const([-1.0, 1.0])).quant(4, 0.25)
    network = assert_same(line.linear(3, 2, 3), tmp_path)
    assert network.layers[0].weights.tolist() == [[4, -3, -1, 0], [-4, -4, 2, 3]]
    assert network.layers[0].weight_bits == 4


def test_term_less_data_and_division(tmp_path):
    line = Line((4,), 10).linear(5, 4, 3)
    term = line.const([0.5, 0.25, 0.1, 0.0, -0.5])
    line.tensor = line.node("Sub", term, line.tensor)
    line.op("Div", line.const([2.0, 0.5, 1.0, 1.0, -1.0])).op("Identity").quant(3, 0.25)
    assert_same(line.linear(3, 5, 3), tmp_path)


@pytest.mark.parametrize("whole", [True, False])
def test_last_bias(whole, tmp_path):
    line = Line((6,), 11).linear(5, 6, 3).quant(3, 0.25).linear(4, 5, 3)
    terms = np.array([3, -2, 0, 5]) / 16 if whole else line.rng.normal(size=4)
    network = assert_same(line.plus(terms), tmp_path, bias_step=0.0 if whole else 2.0**-8)
    assert network.layers[-1].accumulator_shift == (0 if whole else 8)
    assert network.layers[-1].bias.any()


def test_last_bias_keeps_every_comparison():
    rng = np.random.default_rng(0)
    for _ in range(200):
        few = [Fraction(int(n), 7) for n in rng.integers(-50, 50, size=5)]
        near = [f + Fraction(int(n), 10**5) for f, n in zip(few, rng.integers(0, 3, size=5), strict=True)]
        for exact in (few, near):
            bias, shift = last_bias(exact)
            for i in range(5):
                for j in range(5):
                    for sums in range(-3, 4):
                        step = sums + round(float(exact[j] - exact[i]))
                        want = step + exact[i] - exact[j]
                        got = (step << shift) + int(bias[i]) - int(bias[j])
                        assert (want > 0, want == 0) == (got > 0, got == 0)


def test_biases_that_no_width_tells_apart_are_refused():
    with pytest.raises(InputError, match="quantize the last bias"):
        last_bias([Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**12)])


def test_zero_point_shifts_the_stream(tmp_path):
    line = Line((6,), 12).linear(5, 6, 3).quant(3, 0.25, signed=0, zero=3.0)
    network = assert_same(line.linear(4, 5, 3), tmp_path)
    assert network.layers[0].output == Stream(low=-3, step=1, top=7)


def small():
    """fc -> quantizer, on (2, 4, 4) images."""
    return Line((2, 4, 4)).conv(3, 2, (3, 3), 2).quant(2, 0.5)


def raw_linear(line):
    return line.op("Flatten", axis=1).op("MatMul", line.const(line.rng.normal(size=(12, 3))))


def branch(line):
    line.tensor = line.node("Add", line.tensor, line.node("Relu", line.tensor))
    return line


def computed(line):
    return line.op("Mul", line.node("Sqrt", line.const(2.0)))


def last_scale_a_row(line):
    return line.op("Flatten", axis=1).linear(3, 12, 2, [0.1, 0.2, 0.3])


REFUSED = {
    "padding": (lambda: small().conv(3, 3, (3, 3), 2, pads=[1, 1, 1, 1]), "conv.*no padding"),
    "auto_pad": (lambda: small().conv(3, 3, (2, 2), 2, auto_pad="SAME_UPPER"), "conv.*no padding"),
    "groups": (lambda: small().conv(3, 1, (2, 2), 2, group=3), "conv.*groups=1"),
    "dilation": (lambda: small().conv(3, 3, (2, 2), 2, dilations=[2, 2]), "conv.*dilation=1"),
    "branch": (lambda: branch(small()), "add.*one input that is no constant.*take branches out"),
    "computed": (lambda: computed(small()), "sqrt.*one to compute.*qonnx-cleanup"),
    "operator": (lambda: small().op("Sigmoid"), "sigmoid.*one of Add.*replace it"),
    "average": (lambda: small().op("GlobalAveragePool"), "globalaveragepool"),
    "raw weights": (lambda: raw_linear(small()), "matmul.*weights from a quantizer, got real numbers"),
    "wide activations": (lambda: small().conv(3, 3, (2, 2), 2).quant(9, 0.5), "quant.*1..8"),
    "wide weights": (lambda: small().conv(3, 3, (2, 2), 12), "at most 8 bits"),
    "rounding": (lambda: small().conv(3, 3, (2, 2), 2).quant(2, 0.5, mode="UP"), "quant.*rounding by"),
    "scale": (lambda: small().conv(3, 3, (2, 2), 2).quant(2, -0.5), "quant.*a scale above 0"),
    "scales": (
        lambda: small().conv(3, 3, (2, 2), 2).quant(2, np.array([1.0, 2, 3]).reshape(3, 1, 1)),
        "quant.*per tensor",
    ),
    "zero point": (lambda: small().conv(3, 3, (2, 2), 2).quant(2, 0.5, zero=0.5), "whole zero point"),
    "no quantizer": (lambda: small().conv(3, 3, (2, 2), 2).linear(3, 3, 2), "matmul.*quantized activations"),
    "flat": (lambda: small().linear(3, 12, 2), "matmul.*put a Flatten before it"),
    "pool": (lambda: small().pool(strides=[1, 1]), "maxpool.*do not overlap"),
    "pool first": (lambda: small().conv(3, 3, (1, 1), 2).pool(), "maxpool.*behind a quantizer"),
    "pool of pixels": (lambda: Line((2, 4, 4)).pool(), "maxpool.*behind a quantizer"),
    "pool rest": (lambda: small().pool(3), "maxpool.*divides the 2 x 2"),
    "norm": (lambda: small().norm(3), "batchnormalization.*behind a quantizer"),
    "factors": (lambda: small().times(np.ones((3, 1, 1)) * [[[1]], [[2]], [[3]]]), "mul.*one factor above 0"),
    "columns": (lambda: small().conv(3, 3, (1, 1), 2).plus([1.0, 2.0]), "add.*one a channel"),
    "broadcast": (lambda: small().conv(3, 3, (2, 2), 2).plus(np.ones((5, 5))), "add.*fits the data"),
    "axes": (lambda: small().conv(3, 3, (2, 2), 2).plus(np.ones((1,) * 5)), "add.*fits the data"),
    "dropout": (lambda: dropout(small()), "dropout.*eval mode"),
    "bias of the data": (lambda: data_as_bias(Line((3,))), "gemm.*the data as its first"),
    "negative relu": (
        lambda: small().conv(3, 3, (2, 2), 2).op("Relu").times(-1.0).quant(2, 0.5),
        "mul.*behind a ReLU",
    ),
    "reshape": (lambda: (line := small()).op("Reshape", line.const([1, 2, -1], np.int64)), "features"),
    "transpose": (lambda: small().op("Transpose", perm=[0, 1, 3, 2]), "channels moved"),
    "input": (lambda: Line((2, 4, 4)).times(0.4).quant(8, 2.0**-7), "quant.*check `white`"),
    "offset": (lambda: Line((2, 4, 4)).plus(1.0).conv(3, 2, (3, 3), 2), "conv.*put a Quant"),
    "shape": (lambda: Line((4, 4)).quant(8, 2.0**-7), r"input: expected \(N, channels"),
    "ends": (small, "output: expected a product as the last layer"),
    "positions": (lambda: small().conv(3, 3, (2, 1), 2), "a last layer with one position"),
    "last scales": (lambda: last_scale_a_row(small()), "output.*quantize the last layer per tensor"),
    "last relu": (lambda: small().conv(3, 3, (2, 2), 2).op("Relu"), "output.*no ReLU"),
    "nan": (lambda: small().conv(3, 3, (2, 2), 2).plus(np.nan), "add.*finite"),
    "variance": (lambda: norm_without_variance(small().conv(3, 3, (2, 2), 2)), "variances above 0"),
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


def dropout(line):
    return line.op("Dropout", line.const(0.5), line.const(True, bool))


def data_as_bias(line):
    weights = line.const(np.eye(3))
    line.tensor = line.node("Gemm", weights, weights, line.tensor)
    return line


def norm_without_variance(line):
    others = [line.const([v] * 3) for v in (1.0, 0.0, 0.0, -1.0)]
    return line.op("BatchNormalization", *others)


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_node_and_with_a_remedy(case, tmp_path):
    build, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        read_qonnx(build().save(tmp_path))


def valid():
    return cnv(1, Line.bipolar, 0).model()


def test_damaged_files_are_refused_in_one_line(tmp_path):
    content = valid().SerializeToString()
    path = tmp_path / "net.onnx"
    rng = np.random.default_rng(0)
    damaged = [b"", b"\x00", b"no onnx", rng.bytes(5000), content[: len(content) // 2], content[:-7]]
    for _ in range(60):
        copy = bytearray(content)
        for place in rng.integers(len(copy), size=3):
            copy[place] = rng.integers(256)
        damaged.append(bytes(copy))
    for each in damaged:
        path.write_bytes(each)
        try:
            read_qonnx(path)
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"\x00", b"no onnx", b"\xff" * 100])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected"):
        read_qonnx(path)


def test_missing_files_folders_and_large_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_qonnx(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="Is a directory"):
        read_qonnx(tmp_path)
    large = tmp_path / "large.onnx"
    with large.open("wb") as file:
        file.truncate((1 << 28) + 1)
    with pytest.raises(InputError, match="at most 256 MiB"):
        read_qonnx(large)


def test_external_data_is_not_followed(tmp_path):
    model = valid()
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"external data.*one file"):
        read_qonnx(path)


def test_several_inputs_or_outputs_are_refused(tmp_path):
    path = tmp_path / "net.onnx"
    for part in ("input", "output"):
        model = valid()
        getattr(model.graph, part).append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
        path.write_bytes(model.SerializeToString())
        with pytest.raises(InputError, match="one input and one output"):
            read_qonnx(path)


def test_a_loop_ends(tmp_path):
    model = valid()
    model.graph.node[0].output[0] = model.graph.node[0].input[0]
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="a chain"):
        read_qonnx(path)


@pytest.mark.parametrize("white", [0, 256, 1.5])
def test_white_is_checked(white, tmp_path):
    with pytest.raises(InputError, match="white"):
        read_qonnx(small().save(tmp_path), white=white)


def test_without_the_extra_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'xbarsim\[qonnx\]'"):
        read_qonnx(tmp_path / "net.onnx")


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
