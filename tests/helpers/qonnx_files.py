"""QONNX files written operator by operator, and QONNX's own executor to compare with."""

import numpy as np
import pytest

from accel_models.finn.qonnx.reader import read_qonnx
from tests.twins.finn import run_network

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


def small():
    """fc -> quantizer, on (2, 4, 4) images."""
    return Line((2, 4, 4)).conv(3, 2, (3, 3), 2).quant(2, 0.5)


def valid():
    return cnv(1, Line.bipolar, 0).model()
