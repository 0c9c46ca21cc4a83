"""Networks trained elsewhere, from QONNX files as Brevitas exports them.

The importer walks from the input to the output and keeps what a number means: pixels, then activations
(integers times one scale), then a product's accumulators (`Affine` a channel), which the quantizer behind
them turns into activations again. Scales, biases, batch norms and ReLUs end up in the integer thresholds,
decided in fractions: exact for the real-valued graph that the file describes. Programs that compute the
graph in single precision may round a number that lies within their rounding of a decision point to the
other side.

Source: QONNX (Pappalardo et al., 2022); the operators' definitions in fastmachinelearning/qonnx.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.affine import Affine, Numbers, Quantizer, exact
from accel_models.finn.assembly import LayerChain
from accel_models.finn.layer import IntArray, Mvtu
from accel_models.finn.network import FinnNetwork, Head, PixelInput
from accel_models.finn.onnx_file import CLEAN, Constant, Operator, read_line
from accel_models.finn.onnx_quantizers import QUANTIZERS, quantizer_of
from xbarsim.checks import InputError, check_int

BIAS_SHIFTS = (8, 16, 24)


def read_qonnx(
    path: str | Path, *, name: str | None = None, white: int = 1, class_text: str = ""
) -> FinnNetwork:
    """Read a QONNX file: a line of products, batch norms, quantizers and 2 x 2 max-pools.

    Operators: Conv, MatMul, Gemm with weights from Quant or BipolarQuant (or stored integers);
    BatchNormalization, Mul, Div, Add, Sub with constants; Relu; Quant, BipolarQuant, MultiThreshold; MaxPool;
    Flatten, Reshape to (N, features), Transpose between channels first and last; Identity, Dropout.

    Parameters
    ----------
    name : of the network; by default the file's
    white : what the file's input holds for pixel 255, and 0 for pixel 0: 1 after torchvision's ToTensor, 255
        for the pixels themselves
    class_text : the names of the classes, a line each

    Returns
    -------
    The network for (N, height, width, channels) pixels. Its last accumulators give the file's output but for
    a factor above 0 and a term that all classes share. A last bias that is no whole number is kept to a
    fraction of a step, fine enough that every class is that of the exact bias.

    Raises
    ------
    InputError : a file that cannot be read; an operator that a FINN dataflow cannot hold (padding, groups,
        branches, more than 8 bits, scales that differ where they must not), by its name.
    """
    shape, line = read_line(path)
    walk = _Walk(shape, line, check_int("white", white, 1, 255))
    for operator in line:
        walk.take(operator)
    layers = walk.finish()
    return FinnNetwork(
        name=Path(path).stem if name is None else name,
        layers=layers,
        image=walk.image,
        pixels=walk.pixels,
        head=Head(kind="first-maximum", classes=layers[-1].rows),
        class_text=class_text,
    )


class _Walk:
    """Where the data is, and what its integers mean.

    `affine` is what pixels or accumulators mean, `scale` what an activation's step does; one of them is None.
    `axes` names the data's axes: "NCHW", "NHWC", or "NC" with `order` "chw" or "hwc" once it is flat.
    """

    def __init__(self, shape: tuple[int, ...], line: tuple[Operator, ...], white: int) -> None:
        if len(shape) not in (2, 4) or min(shape[1:], default=0) < 1:
            expected = "a shape (N, channels, height, width) or (N, features)"
            raise InputError("the file's input", expected, str(shape), CLEAN)
        self.axes = {2: "NC", 4: _first_axes(line)}[len(shape)]
        sizes = dict(zip(self.axes, shape, strict=True))
        self.image = sizes.get("H", 1), sizes.get("W", 1), sizes["C"]
        self.order = "hwc"
        self.pixels = PixelInput()
        self.chain = LayerChain(self.image, self.pixels.stream)
        self.entered = False
        self.scale: Fraction | None = None
        self.affine: Affine | None = Affine.of([Fraction(white, 255)] * sizes["C"])

    def take(self, operator: Operator) -> None:
        """One operator."""
        known: dict[str, Callable[[Operator], None]] = {
            **dict.fromkeys(("Identity", "Dropout"), lambda _: None),
            **dict.fromkeys(("Mul", "Div", "Add", "Sub"), self._elementwise),
            **dict.fromkeys(("Conv", "MatMul", "Gemm"), self._multiply),
            **dict.fromkeys(QUANTIZERS, self._quantize),
            **dict.fromkeys(("Flatten", "Reshape"), self._flatten),
            "Transpose": self._transpose,
            "BatchNormalization": self._batch_norm,
            "Relu": self._relu,
            "MaxPool": self._pool,
        }
        if operator.kind not in known:
            remedy = f"replace it, or if it computes a constant, {CLEAN}"
            raise InputError(operator.where, "one of " + ", ".join(sorted(known)), operator.kind, remedy)
        known[operator.kind](operator)

    def finish(self) -> tuple[Mvtu, ...]:
        """The layers, with the last one's bias."""
        layers = self.chain.finish("the file's output")
        before = self.affine
        assert before is not None
        if set(before.floor) != {None} or len(set(before.gain)) > 1 or before.gain[0] <= 0:
            expected = "one scale above 0 for all classes, and no ReLU behind it"
            raise InputError(
                "the file's output", expected, "another one", "quantize the last layer per tensor"
            )
        if len(set(before.offset)) == 1:
            return layers
        bias, shift = last_bias([o / g for o, g in zip(before.offset, before.gain, strict=True)])
        return self.chain.biased("the file's output", bias, shift)

    def _elementwise(self, operator: Operator) -> None:
        other = self._per_channel(operator, operator.constant(1 - operator.data))
        swapped = operator.data == 1
        if operator.kind == "Div" and (swapped or 0 in other):
            raise InputError(operator.where, "data divided by numbers other than 0", "another division")
        if operator.kind == "Div":
            other = tuple(1 / k for k in other)
        if operator.kind in ("Mul", "Div"):
            self._scale_by(operator, other)
            return
        before = self._affine(operator)
        if operator.kind == "Sub" and swapped:
            before = before.scaled(operator.where, (Fraction(-1),) * len(other))
        elif operator.kind == "Sub":
            other = tuple(-k for k in other)
        self.affine = before.shifted(other)

    def _scale_by(self, operator: Operator, factor: Numbers) -> None:
        if self.scale is None:
            self.affine = self._affine(operator).scaled(operator.where, factor)
        elif len(set(factor)) > 1 or factor[0] <= 0:
            remedy = "move it before the quantizer, or fold it into the next layer's scale"
            raise InputError(operator.where, "one factor above 0 behind a quantizer", "others", remedy)
        else:
            self.scale *= factor[0]

    def _batch_norm(self, operator: Operator) -> None:
        parts = [self._spread(operator, operator.constant(i).values) for i in range(1, 5)]
        if operator.attributes.get("training_mode", 0):
            raise InputError(operator.where, "a trained batch norm", "training_mode", "export in eval mode")
        eps = Fraction(float(operator.attributes.get("epsilon", 1e-5)))
        self.affine = self._affine(operator).normalized(operator.where, parts, eps)

    def _relu(self, operator: Operator) -> None:
        if self.scale is None:
            self.affine = self._affine(operator).rectified()
        else:
            self.chain.relu(operator.where)

    def _quantize(self, operator: Operator) -> None:
        before = self._affine(operator)
        quantizer = quantizer_of(operator, self.axes, len(before.gain))
        found, sign = quantizer.thresholds(before)
        if self.entered:
            self.chain.threshold(operator.where, found, quantizer.stream, sign=sign)
        else:
            self._enter(operator, quantizer, found, sign)
        self.affine, self.scale = None, quantizer.scale

    def _enter(self, operator: Operator, quantizer: Quantizer, found: IntArray, sign: IntArray) -> None:
        """Find the pixel input that gives the same integers for all 256 pixels."""
        codes = (found[0][:, None] < np.arange(256)).sum(axis=0)
        same = (found == found[0]).all() and (sign == 1).all()
        stream = quantizer.stream
        for kind, bits in (("bipolar", 1), ("fixed-point", stream.bits), ("unsigned", stream.bits)):
            pixels = PixelInput(kind=kind, bits=bits)  # type: ignore[arg-type]
            if same and pixels.stream == stream and (pixels.codes == codes).all():
                self._begin(pixels)
                return
        remedy = (
            "see PixelInput for the known ones; check `white`, and use one mean and scale for all channels"
        )
        raise InputError(operator.where, "a quantizer of pixels that a FINN host has", "another one", remedy)

    def _begin(self, pixels: PixelInput) -> None:
        self.entered, self.pixels = True, pixels
        self.chain = replace(self.chain, stream=pixels.stream)

    def _multiply(self, operator: Operator) -> None:
        scale = self._activation_scale(operator)
        constant = operator.constant(1 - operator.data if operator.kind == "MatMul" else 1)
        kernels = self._kernels(operator, constant)
        numbers, steps = _whole_weights(operator, kernels)
        stride = tuple(operator.attributes.get("strides", (1, 1)))
        bits = None if constant.scale is None else constant.bits
        self.chain.multiply(
            operator.where, operator.name, numbers, stride=(stride[0], stride[-1]), weight_bits=bits
        )
        self.affine, self.scale = Affine.of([scale * step for step in steps]), None
        if 2 in operator.constants:
            self.affine = self.affine.shifted(exact(operator.where, operator.constant(2).values, len(steps)))

    def _activation_scale(self, operator: Operator) -> Fraction:
        """What an activation's step means; pixels that no quantizer has met are taken as they are."""
        if self.scale is not None:
            return self.scale
        before = self.affine
        assert before is not None
        plain = len(set(before.gain)) == 1 and before.gain[0] > 0 and not any(before.offset)
        if self.entered or not plain:
            remedy = "put a Quant, a BipolarQuant or a MultiThreshold in front of it"
            raise InputError(operator.where, "quantized activations as input", "others", remedy)
        self._begin(PixelInput(kind="unsigned", bits=8))
        return before.gain[0]

    def _kernels(self, operator: Operator, constant: Constant) -> Constant:
        """Weights as (rows, kernel height, kernel width, channels)."""
        if operator.kind == "Conv":
            _check_plain_window(operator)
            if self.axes != "NCHW" or constant.numbers.ndim != 4:
                raise InputError(operator.where, "a 2-D convolution, channels first", self.axes, "transpose")
            return constant.transposed([0, 2, 3, 1])
        if operator.kind == "MatMul" and operator.data == 1:
            raise InputError(operator.where, "data times weights", "weights times data", "transpose both")
        rows = constant if operator.attributes.get("transB", 0) else _transposed(operator, constant)
        if any(operator.attributes.get(k, v) != v for k, v in (("alpha", 1), ("beta", 1), ("transA", 0))):
            raise InputError(operator.where, "alpha = beta = 1 and transA = 0", "others", CLEAN)
        height, width, channels = self.chain.shape
        if self.axes != "NC" or rows.numbers.shape[1] != height * width * channels:
            expected = f"weights for {height * width * channels} flat inputs"
            raise InputError(operator.where, expected, str(rows.numbers.shape), "put a Flatten before it")
        if self.order == "hwc":
            return _reshaped(rows, (-1, height, width, channels))
        return _reshaped(rows, (-1, channels, height, width)).transposed([0, 2, 3, 1])

    def _pool(self, operator: Operator) -> None:
        _check_plain_window(operator)
        side, *others = operator.attributes.get("kernel_shape", ())
        strides = operator.attributes.get("strides", (1, 1))
        if self.axes != "NCHW" or {*others, *strides} != {side} or operator.attributes.get("ceil_mode", 0):
            expected = "a square max-pool, channels first, whose blocks do not overlap"
            raise InputError(operator.where, expected, "another one", "use kernel_size = stride")
        if self.scale is None or not self.entered:
            raise InputError(operator.where, "a max-pool behind a quantizer", "one before", "swap the two")
        self.chain.pool(operator.where, int(side))

    def _flatten(self, operator: Operator) -> None:
        if operator.kind == "Flatten":
            whole = operator.attributes.get("axis", 1) == 1
        else:
            shape = operator.constant(1).values.reshape(-1).tolist()
            whole = len(shape) == 2 and shape[1] in (-1, int(np.prod(self.chain.shape))) and shape[0] < 2
        if not whole:
            raise InputError(operator.where, "a reshape to (N, features)", "another one", CLEAN)
        if self.axes == "NC":
            return
        if self.entered and self.scale is None and self.chain.shape[:2] != (1, 1):
            raise InputError(operator.where, "a quantizer before it", "accumulators", "flatten behind it")
        self.order = "chw" if self.axes == "NCHW" else "hwc"
        self.axes = "NC"

    def _transpose(self, operator: Operator) -> None:
        order = list(operator.attributes.get("perm", ()))
        turns = {("NCHW", (0, 2, 3, 1)): "NHWC", ("NHWC", (0, 3, 1, 2)): "NCHW"}
        turned = turns.get((self.axes, tuple(order)))
        if turned is None and order != sorted(order):
            raise InputError(operator.where, "channels moved first or last", str(order), "leave it out")
        self.axes = turned or self.axes

    def _affine(self, operator: Operator) -> Affine:
        if self.affine is None:
            remedy = "move it before the quantizer, or leave it out"
            raise InputError(operator.where, "no such operator behind a quantizer", operator.kind, remedy)
        return self.affine

    def _spread(self, operator: Operator, values: NDArray) -> Numbers:
        return exact(operator.where, values, self.chain.shape[2])

    def _per_channel(self, operator: Operator, constant: Constant) -> Numbers:
        """A constant that broadcasts to the data, as one number a channel."""
        values = constant.values
        if (values == values.reshape(-1)[:1]).all():
            return self._spread(operator, values.reshape(-1)[:1])
        place = self.axes.index("C") - len(self.axes) + values.ndim
        flat_image = self.axes == "NC" and self.chain.shape[:2] != (1, 1)
        if place < 0 or flat_image or values.size != values.shape[place]:
            expected = "one number, or one a channel"
            raise InputError(operator.where, expected, str(values.shape), "use the same for all positions")
        return self._spread(operator, values)


def last_bias(exact_bias: list[Fraction]) -> tuple[IntArray, int]:
    """The last layer's bias in steps of 2**-shift of the accumulator.

    Sums of integers and biases compare as they do exactly, since the rounded biases' fractional parts keep
    their order.
    """
    near = [round(b) for b in exact_bias]
    if all(abs(b - n) * (1 << 21) <= abs(b) for b, n in zip(exact_bias, near, strict=True)):
        return np.array(near, np.int64), 0  # whole numbers, but for the rounding of single precision
    for shift in BIAS_SHIFTS:
        rounded = [floor(b * (1 << shift) + Fraction(1, 2)) for b in exact_bias]
        if max(map(abs, rounded)) < 1 << 47 and _same_order(exact_bias, rounded, shift):
            return np.array(rounded, np.int64), shift
    remedy = "quantize the last bias, to the scale of the product"
    raise InputError(
        "the file's output", f"biases that {BIAS_SHIFTS[-1]} places tell apart", "closer ones", remedy
    )


def _same_order(exact_bias: list[Fraction], rounded: list[int], shift: int) -> bool:
    parts = [
        (b % 1, r % (1 << shift), floor(b) - (r >> shift)) for b, r in zip(exact_bias, rounded, strict=True)
    ]
    parts.sort()
    steps = pairwise(parts)
    ordered = all((a[0] == b[0]) == (a[1] == b[1]) and a[1] <= b[1] for a, b in steps)
    return ordered and not any(carry for _, _, carry in parts)


def _first_axes(line: tuple[Operator, ...]) -> str:
    """Images are channels last if the first thing that happens to their axes is that channels go first."""
    moves = (op for op in line if op.kind in ("Transpose", "Conv", "MaxPool", "Flatten", "Reshape"))
    first = next(moves, None)
    last = first is not None and list(first.attributes.get("perm", ())) == [0, 3, 1, 2]
    return "NHWC" if last else "NCHW"


def _check_plain_window(operator: Operator) -> None:
    given = operator.attributes
    if any(given.get("pads", ())) or given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise InputError(
            operator.where, "no padding", "some", "a FINN window stays inside its input: use padding=0"
        )
    if given.get("group", 1) != 1 or set(given.get("dilations", ())) - {1}:
        raise InputError(operator.where, "one group, no dilation", "others", "use groups=1 and dilation=1")


def _whole_weights(operator: Operator, kernels: Constant) -> tuple[NDArray, list[Fraction]]:
    """Integer weights, and what a step of each row's is worth."""
    numbers, rows = kernels.numbers, len(kernels.numbers)
    if kernels.scale is None:
        if (numbers != np.rint(numbers)).any() or not np.isfinite(numbers).all():
            remedy = "train with quantized weights, and export with QONNX's Quant or BipolarQuant"
            raise InputError(operator.where, "weights from a quantizer", "real numbers", remedy)
        return numbers.astype(np.int64), [Fraction(1)] * rows
    steps = kernels.scale.reshape(rows, -1)
    if (steps != steps[:, :1]).any():
        raise InputError(
            operator.where, "a scale of weights a row", "several in a row", "quantize per channel"
        )
    return numbers, [Fraction(step) for step in steps[:, 0].tolist()]


def _transposed(operator: Operator, constant: Constant) -> Constant:
    if constant.numbers.ndim != 2:
        raise InputError(operator.where, "weights of two axes", str(constant.numbers.shape), CLEAN)
    return constant.transposed([1, 0])


def _reshaped(constant: Constant, shape: tuple[int, ...]) -> Constant:
    scale = None if constant.scale is None else constant.scale.reshape(shape)
    return Constant(constant.numbers.reshape(shape), scale, constant.bits)
