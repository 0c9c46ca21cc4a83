"""Walks the operators of a QONNX file and keeps what its numbers mean.

First they are pixels, then activations (integers times one scale), then a product's accumulators (`Affine` a
channel), which the quantizer behind them turns into activations again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.assembly import LayerChain
from accel_models.finn.layer import IntArray, Mvtu
from accel_models.finn.network import PixelInput
from accel_models.finn.qonnx.affine import Affine, Numbers, Quantizer, exact
from accel_models.finn.qonnx.axes import first_axes
from accel_models.finn.qonnx.bias import last_bias
from accel_models.finn.qonnx.operator import CLEAN, Operator
from accel_models.finn.qonnx.quantizers import QUANTIZERS, quantizer_of
from accel_models.finn.qonnx.weights import check_plain_window, layer_weights
from xbarsim.errors import InputError

LARGEST_SIDE = 1 << 16
ANY_PLACE = ("Mul", "Div", "Add", "Sub", "MatMul")


class Walk:
    """Where the data is, and what its integers mean.

    `affine` is what pixels or accumulators mean, `scale` what an activation's step does; one of them is None.
    """

    def __init__(self, shape: tuple[int, ...], line: tuple[Operator, ...], white: int) -> None:
        if len(shape) not in (2, 4) or not all(1 <= size <= LARGEST_SIDE for size in shape[1:]):
            expected = f"(N, channels, height, width) or (N, features), each in 1..{LARGEST_SIDE}"
            raise InputError("the file's input", expected, str(shape), CLEAN)
        self.axes = first_axes(len(shape), line)
        sizes = dict(zip(self.axes.names, shape, strict=True))
        self.image = sizes.get("H", 1), sizes.get("W", 1), sizes["C"]
        self.pixels = PixelInput()
        self.chain = LayerChain(self.image, self.pixels.stream)
        self.entered = False
        self.scale: Fraction | None = None
        self.affine: Affine | None = Affine.of([Fraction(white, 255)] * sizes["C"])

    def take(self, operator: Operator) -> None:
        """One operator."""
        known: dict[str, Callable[[Operator], None]] = {
            **dict.fromkeys(("Identity", "Dropout"), self._skip),
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
        if operator.data and operator.kind not in ANY_PLACE:
            raise InputError(operator.where, "the data as its first input", f"as number {operator.data + 1}")
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

    def _skip(self, operator: Operator) -> None:
        if operator.kind == "Dropout" and 2 in operator.constants and operator.number(2):
            raise InputError(operator.where, "no dropout", "training mode", "export in eval mode")

    def _elementwise(self, operator: Operator) -> None:
        other = self.axes.per_channel(operator, self.chain.shape)
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
        if operator.integer("training_mode", 0):
            raise InputError(operator.where, "a trained batch norm", "training_mode", "export in eval mode")
        eps = Fraction(operator.real("epsilon", 1e-5))
        self.affine = self._affine(operator).normalized(operator.where, parts, eps)

    def _relu(self, operator: Operator) -> None:
        if self.scale is None:
            self.affine = self._affine(operator).rectified()
        else:
            self.chain.relu(operator.where)

    def _quantize(self, operator: Operator) -> None:
        before = self._affine(operator)
        quantizer = quantizer_of(operator, self.axes.names, len(before.gain))
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
        numbers, steps, bits = layer_weights(operator, self.axes, self.chain.shape)
        stride = operator.integers("strides", (1, 1)) or (1,)
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

    def _pool(self, operator: Operator) -> None:
        check_plain_window(operator)
        sides = {*operator.integers("kernel_shape"), *operator.integers("strides", (1, 1))}
        if self.axes.names != "NCHW" or len(sides) != 1 or operator.integer("ceil_mode", 0):
            expected = "a square max-pool, channels first, whose blocks do not overlap"
            raise InputError(operator.where, expected, "another one", "use kernel_size = stride")
        if self.scale is None or not self.entered:
            raise InputError(operator.where, "a max-pool behind a quantizer", "one before", "swap the two")
        self.chain.pool(operator.where, sides.pop())

    def _flatten(self, operator: Operator) -> None:
        if self.entered and self.scale is None and self.chain.shape[:2] != (1, 1):
            raise InputError(operator.where, "a quantizer before it", "accumulators", "flatten behind it")
        self.axes = self.axes.flattened(operator, self.chain.shape)

    def _transpose(self, operator: Operator) -> None:
        self.axes = self.axes.transposed(operator)

    def _affine(self, operator: Operator) -> Affine:
        if self.affine is None:
            remedy = "move it before the quantizer, or leave it out"
            raise InputError(operator.where, "no such operator behind a quantizer", operator.kind, remedy)
        return self.affine

    def _spread(self, operator: Operator, values: NDArray) -> Numbers:
        return exact(operator.where, values, self.chain.shape[2])
