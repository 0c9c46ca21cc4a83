"""A layer as the arrays that the engine runs on, and activations as packed words.

The engine works with raw sums, weights times codes: the accumulator is gain * raw + offset, so a threshold T
is exceeded exactly if raw > floor((T - offset) / gain). A first layer of integers multiplies the values
themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.layer import IntArray, Mvtu
from xbarsim.kernels.lanes import LANES
from xbarsim.kernels.mvtu import BINARY, INTEGERS, PLANES, TERNARY, LayerArrays, run_layer

Codes = NDArray[np.uint8]


def blocks_of(channels: int) -> int:
    """Words that hold one bit of every channel."""
    return -(-channels // LANES)


def pack(codes: Codes, bits: int) -> IntArray:
    """(N, pixels, channels) codes as (N, pixels * bits * blocks) words of bit planes."""
    n, pixels, channels = codes.shape
    octets = np.zeros((n, pixels, bits, blocks_of(channels) * 8), np.uint8)
    for p in range(bits):
        plane = np.packbits(codes if bits == 1 else codes & (1 << p), axis=-1, bitorder="little")
        octets[:, :, p, : plane.shape[-1]] = plane
    return octets.view("<i8").astype(np.int64, copy=False).reshape(n, -1)


def unpack(words: IntArray, bits: int, channels: int) -> Codes:
    """(N, pixels * bits * blocks) words as (N, pixels, channels) codes: the inverse of `pack`."""
    planes = words.reshape(len(words), -1, bits, blocks_of(channels))
    loose = np.unpackbits(planes.astype("<i8").view(np.uint8), axis=-1, bitorder="little")
    worth = (1 << np.arange(bits)).astype(np.uint8)
    return (loose[..., :channels] * worth[:, None]).sum(axis=2, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer for the engine.

    Parameters
    ----------
    integers : the inputs are the values themselves, not packed codes (a first layer of several bits)
    """

    layer: Mvtu
    integers: bool = False

    @cached_property
    def gain(self) -> int:
        """The accumulator is gain * raw + offset."""
        return (1 << self.layer.accumulator_shift) if self.integers else self.layer.gain

    @cached_property
    def offset(self) -> IntArray:
        """(MH,): see `gain`."""
        if not self.integers:
            return self.layer.offset
        return np.zeros(self.layer.rows, np.int64) if self.layer.bias is None else self.layer.bias

    @property
    def lanes(self) -> int:
        """Output channels, filled up to whole words."""
        return blocks_of(self.layer.rows) * LANES

    @property
    def input_words(self) -> int:
        """Words (or integers) of an image at the input."""
        height, width, channels = self.layer.shape
        return height * width * (channels if self.integers else self.layer.input.bits * blocks_of(channels))

    @property
    def output_words(self) -> int:
        """Words of an image at the output; 0 without thresholds."""
        height, width, channels = self.layer.output_shape
        return height * width * self.planes * blocks_of(channels)

    @property
    def planes(self) -> int:
        """Bit planes of the output."""
        return 0 if self.layer.output is None else self.layer.output.bits

    @cached_property
    def bound(self) -> int:
        """No raw sum is larger in magnitude."""
        values = np.abs(self.layer.input.values).max() if self.integers else self.layer.input.top
        return int(np.abs(self.layer.weights.astype(np.int64)).sum(axis=1).max() * values)

    @cached_property
    def dtype(self) -> np.dtype:
        """Of the sums. Partial sums of bit planes reach twice the bound."""
        return np.dtype(np.int16 if 4 * self.bound < 2**15 else np.int32)

    @cached_property
    def corners(self) -> tuple[IntArray, IntArray]:
        """(P,) row and column of each window's first pixel, windows that are pooled together in a row."""
        (down, across), p, (sy, sx) = self.layer.positions, self.layer.pool, self.layer.stride
        y, x = np.indices((down, across))
        grouped = [v.reshape(down // p, p, across // p, p).transpose(0, 2, 1, 3).reshape(-1) for v in (y, x)]
        return grouped[0] * sy, grouped[1] * sx

    @cached_property
    def raw_thresholds(self) -> IntArray:
        """(top, MH): what raw sums must exceed."""
        assert self.layer.thresholds is not None
        return self.to_raw(self.layer.thresholds - int(self.layer.inclusive), self.offset)

    def to_raw(self, thresholds: IntArray, offset: IntArray) -> IntArray:
        """(rows, n) thresholds on accumulators as (n, rows) thresholds on raw sums, within their range."""
        raw = (thresholds - offset[:, None]) // self.gain
        return np.clip(raw, -self.bound - 1, self.bound).T

    @cached_property
    def arrays(self) -> LayerArrays:
        """What the kernel takes."""
        layer, (row, column) = self.layer, self.corners
        height, width, channels = layer.shape
        pixel_words = self.input_words // (height * width)
        parts = channels if self.integers else blocks_of(channels)
        ky, kx, part = np.indices((*layer.kernel, parts)).reshape(3, -1)
        thresholds = np.empty((0, self.lanes), self.dtype)
        if layer.thresholds is not None:
            # lanes that no row uses never exceed the bound
            thresholds = np.full((layer.thresholds.shape[1], self.lanes), self.bound, self.dtype)
            thresholds[:, : layer.rows] = self.raw_thresholds
        factors, weights, initial = self._products()
        return LayerArrays(
            starts=(row * width + column) * pixel_words,
            offsets=(ky * width + kx) * pixel_words + part,
            plane_words=0 if self.integers else parts,
            factors=factors,
            weights=aligned(weights),
            initial=initial,
            thresholds=thresholds,
            planes=self.planes,
            pool=layer.pool**2,
        )

    @property
    def kind(self) -> int:
        """Of the product, for the kernel."""
        if self.integers:
            return INTEGERS
        if self.layer.weight_bits > 1:
            return PLANES
        return TERNARY if self.layer.input.top == 2 else BINARY

    @property
    def initial(self) -> NDArray:
        """(lanes,) raw sum before the popcounts of every pair of planes.

        For weights of -1 and +1 the sum of +-c is the number of +1 less the number of bits that differ from
        the weight's, for each plane.
        """
        found = np.zeros(self.lanes, self.dtype)
        if self.layer.weight_bits == 1 and not self.integers:
            worth = (1 << self.layer.input.bits) - 1
            found[: self.layer.rows] = (self.layer.weights > 0).sum(axis=1) * worth
        return found

    def _products(self) -> tuple[IntArray, NDArray, NDArray]:
        """Factors, weights and initial sums of the kernel's product."""
        layer = self.layer
        weights = np.zeros((self.lanes, layer.columns), np.int64)
        weights[: layer.rows] = layer.weights
        nothing = np.zeros((0, 0), np.int64)
        if self.integers:
            blocked = weights.reshape(-1, LANES, layer.columns).transpose(0, 2, 1)
            return nothing, np.ascontiguousarray(blocked, self.dtype), self.initial
        worth = 1 << np.arange(layer.input.bits, dtype=np.int64)
        if layer.weight_bits == 1:
            plane = self._plane(weights > 0)[None]
            if self.kind == BINARY:
                return -worth[:, None], plane, self.initial
            # w . (a + 1) = w . 1 + inputs - zeros - 2 signs that differ
            return nothing, plane, (weights.sum(axis=1) + layer.columns).astype(self.dtype)
        bits = np.arange(layer.weight_bits)
        value = np.where(bits == layer.weight_bits - 1, -(1 << bits), 1 << bits)
        planes = np.stack([self._plane((weights >> b) & 1) for b in bits])
        return worth[:, None] * value, planes, self.initial

    def _plane(self, bits: NDArray) -> NDArray[np.uint8]:
        """(lanes, MW) bits as (lanes / 64, K, 8, 64) bytes in the order of the offsets."""
        *_, channels = self.layer.shape
        words = pack(bits.reshape(self.lanes, -1, channels).astype(np.uint8), 1)
        octets = words.astype("<i8").view(np.uint8).reshape(-1, LANES, words.shape[1], 8)
        return octets.transpose(0, 2, 3, 1)

    def run(self, x: NDArray, *, sums: bool = False) -> tuple[IntArray, NDArray]:
        """Run a batch: (N, input_words) to packed outputs (N, output_words) and raw sums.

        The sums are (N, P, lanes), in the order of `corners`, or (0, P, lanes) unless they are asked for or
        the layer has no thresholds.
        """
        n, wanted = len(x), sums or self.layer.output is None
        found = np.empty((n if wanted else 0, len(self.corners[0]), self.lanes), self.dtype)
        out = np.empty((n, self.output_words), np.int64)
        run_layer(np.ascontiguousarray(x), self.arrays, self.kind, found, out)
        return out, found

    def accumulators(self, raw: NDArray) -> IntArray:
        """(N, P, lanes) raw sums as (N, down, across, MH) accumulators, in the board's units."""
        values = self.gain * raw[:, :, : self.layer.rows].astype(np.int64) + self.offset
        (down, across), p = self.layer.positions, self.layer.pool
        shape = (len(raw), down // p, across // p, p, p, self.layer.rows)
        return values.reshape(shape).transpose(0, 1, 3, 2, 4, 5).reshape(len(raw), down, across, -1)


def aligned(values: NDArray) -> NDArray:
    """A copy that begins at a cache line."""
    raw = np.empty(values.nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    found = raw[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    found[...] = values
    return found
