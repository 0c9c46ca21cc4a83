"""Builds a FINN network's layers one operator at a time: what the importers of networks share.

Products, thresholds, ReLU and pools come in the order of the data; the first that a FINN dataflow cannot hold
is refused. Accumulators are as wide as their largest sum needs, which changes no result.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.layer import MOST_BITS, IntArray, Mvtu, Stream, weight_range
from xbarsim.errors import InputError, check_int

Shape = tuple[int, int, int]
WIDEST = 48


@dataclass
class LayerChain:
    """The layers so far, and what comes out of the last one.

    Parameters
    ----------
    shape : (height, width, channels) of the data
    stream : its values; None while it is the last layer's accumulators
    """

    shape: Shape
    stream: Stream | None
    layers: list[Mvtu] = field(default_factory=list)

    def multiply(
        self,
        where: str,
        name: str,
        kernels: NDArray,
        *,
        bias: IntArray | None = None,
        stride: tuple[int, int] = (1, 1),
        weight_bits: int | None = None,
    ) -> None:
        """Append a product with (rows, kernel height, kernel width, channels) integer weights.

        Without `weight_bits` the weights get the narrowest memory that holds them; `where` names the
        operator in errors.
        """
        if self.stream is None:
            remedy = "put a quantizer between the two products"
            raise InputError(where, "activations of 1..8 bits as input", "a product's accumulators", remedy)
        rows, *kernel, channels = kernels.shape
        if not rows or channels != self.shape[2]:
            raise InputError(where, f"weights for {self.shape[2]} channels", str(kernels.shape))
        weights = kernels.reshape(rows, -1)
        bits = _weight_bits(where, weights, weight_bits)
        layer = Mvtu(
            name=name,
            weights=weights.astype(np.int8),
            weight_bits=bits,
            thresholds=None,
            input=self.stream,
            output=None,
            shape=self.shape,
            kernel=(kernel[0], kernel[1]),
            stride=stride,
            bias=bias,
        )
        self._append(where, layer)
        self.shape, self.stream = layer.output_shape, None

    def threshold(
        self, where: str, thresholds: IntArray, stream: Stream, *, sign: IntArray | None = None
    ) -> None:
        """Count thresholds (rows, top of `stream`) that the last product with its bias exceeds.

        Rows with a sign of -1 get their weights and bias negated first.
        """
        before = self._product(where)
        if thresholds.shape != (before.rows, stream.top):
            expected = f"thresholds ({before.rows}, {stream.top})"
            raise InputError(where, expected, str(thresholds.shape), "give each channel its own row")
        turned = before if sign is None else _negated(where, before, sign)
        bias = 0 if turned.bias is None else turned.bias[:, None]
        low, high = sum_range(turned)
        own = np.clip(thresholds, low[:, None] - 1, high[:, None]) - bias
        self.layers.pop()
        self._append(where, replace(turned, thresholds=own, output=stream, bias=None))
        self.stream = stream

    def relu(self, where: str) -> None:
        """max(activation, 0): thresholds of activations up to 0 go."""
        stream = self._activations(where, "ReLU")
        if stream.low >= 0:
            return
        last = self.layers[-1]
        assert last.thresholds is not None
        if stream.step != 1 or stream.low + stream.top < 1:
            raise InputError(where, "a ReLU after activations in steps of 1, some above 0", str(stream))
        kept = Stream(low=0, step=1, top=stream.top + stream.low)
        self.layers[-1] = replace(last, thresholds=last.thresholds[:, -stream.low :], output=kept)
        self.stream = kept

    def pool(self, where: str, side: int) -> None:
        """Keep the largest activation of each side x side block."""
        self._activations(where, "max-pool")
        down, across = self.layers[-1].positions
        check_int(f"{where}: side of the pool", side, 1, 1 << 16)
        if self.layers[-1].pool > 1 and side > 1:
            raise InputError(where, "one max-pool a layer", "a second one", "make it one of both sides")
        if down % side or across % side:
            expected = f"a pool that divides the {down} x {across} positions before it"
            raise InputError(where, expected, f"{side} x {side}", "choose another image or kernel size")
        self.layers[-1] = replace(self.layers[-1], pool=side)
        self.shape = self.layers[-1].output_shape

    def finish(self, where: str) -> tuple[Mvtu, ...]:
        """The layers, if the last one hands out its accumulators at one position."""
        if not self.layers or self.stream is not None:
            remedy = "end with a linear layer; the class is its first maximum"
            raise InputError(where, "a product as the last layer", "no product", remedy)
        if self.shape[:2] != (1, 1):
            got = f"{self.shape[0]} x {self.shape[1]}"
            raise InputError(where, "a last layer with one position", got, "add a linear layer")
        return tuple(self.layers)

    def biased(self, where: str, bias: IntArray, shift: int) -> tuple[Mvtu, ...]:
        """The layers, the last one with a bias (rows,) in steps of 2**-shift of its sums."""
        *before, last = self.finish(where)
        self.layers = before
        self._append(where, replace(last, bias=bias, accumulator_shift=shift))
        return tuple(self.layers)

    def _append(self, where: str, layer: Mvtu) -> None:
        low, high = sum_range(layer)
        bits = _signed_bits(int(low.min()) - 1, int(high.max()))
        if bits > WIDEST:
            raise InputError(where, f"accumulators of at most {WIDEST} bits", bits, "use a smaller bias")
        wide = max(bits, 2)
        self.layers.append(replace(layer, accumulator_bits=wide, threshold_bits=wide))

    def _product(self, where: str) -> Mvtu:
        if self.stream is not None:
            remedy = "leave the second quantizer out"
            raise InputError(where, "a product in front of it", "no product", remedy)
        return self.layers[-1]

    def _activations(self, where: str, what: str) -> Stream:
        if self.stream is None or not self.layers:
            remedy = f"put the {what} behind the quantizer of a layer"
            raise InputError(where, f"a {what} after thresholds", "none before it", remedy)
        return self.stream


def sum_range(layer: Mvtu) -> tuple[IntArray, IntArray]:
    """(rows,) smallest and largest accumulator that a layer's inputs can cause, its bias included."""
    values = layer.input.values
    weights = layer.weights.astype(np.int64)
    plus, minus = weights.clip(0).sum(axis=1), weights.clip(None, 0).sum(axis=1)
    least = (plus * values[0] + minus * values[-1]) << layer.accumulator_shift
    most = (plus * values[-1] + minus * values[0]) << layer.accumulator_shift
    bias = 0 if layer.bias is None else layer.bias
    return least + bias, most + bias


def _signed_bits(*numbers: int) -> int:
    return 1 + max((~n if n < 0 else n).bit_length() for n in numbers)


def _weight_bits(where: str, weights: NDArray, wanted: int | None) -> int:
    if wanted is None and (np.abs(weights) == 1).all():
        return 1
    least = max(2, _signed_bits(int(weights.min()), int(weights.max())))
    if wanted == 1 and not (np.abs(weights) == 1).all():
        raise InputError(where, "weights of -1 and +1", "others", "choose more weight bits")
    if max(least, wanted or 1) > MOST_BITS:
        raise InputError(where, f"weights of at most {MOST_BITS} bits", least, "quantize to fewer bits")
    if wanted is not None and wanted > 1 and least > wanted:
        low, high = weight_range(wanted)
        raise InputError(where, f"weights in {low}..{high}", f"{least} bits", "choose more weight bits")
    return least if wanted is None else wanted


def _negated(where: str, layer: Mvtu, sign: IntArray) -> Mvtu:
    weights = layer.weights.astype(np.int64) * sign[:, None]
    bits = layer.weight_bits
    if (weights > weight_range(bits)[1]).any():
        bits = _weight_bits(where, weights, None)
    bias = None if layer.bias is None else layer.bias * sign
    return replace(layer, weights=weights.astype(np.int8), weight_bits=bits, bias=bias)
