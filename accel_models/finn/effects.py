"""What faults do to one layer: the few rows that they change, and how.

A row is weights, products that are stuck, thresholds, and what happens to its accumulator. Every kind of
fault edits rows, so that any faults together have one meaning; of two that contradict each other the later
one counts:

    accumulator = (weights . activations + stuck products, scaled as the layer's), then its stuck bits
    code = number of thresholds exceeded, or the code that the row is stuck at

A weight bit changes a weight; a lane takes its columns' weights away and adds what it is stuck at for each; a
threshold bit changes a threshold; an accumulator bit is stuck in the sum that the thresholds see, not in the
partial sums of the folds before it (an assumption). A pixel of the output stream is overwritten after
pooling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.layer import IntArray
from accel_models.finn.plan import LayerPlan
from xbarsim.faults.pe import PeFault, PeFaultKind
from xbarsim.kernels.lanes import LANES

NOT_STUCK = -1


@dataclass
class LayerEffect:
    """The rows of a layer that faults change. Make it with `layer_effect`.

    Attributes
    ----------
    rows : (r,) changed rows
    weights : (r, MW); thresholds : (r, top)
    keep, force : (r,) masks on the accumulator's bits
    stuck : (r,) code, or -1
    products : (r, MW) what stuck lanes give in place of weights, which are 0 there
    pixels : {pixel of the output: code}
    """

    plan: LayerPlan
    rows: IntArray
    weights: IntArray = field(init=False)
    thresholds: IntArray = field(init=False)
    keep: IntArray = field(init=False)
    force: IntArray = field(init=False)
    stuck: IntArray = field(init=False)
    products: IntArray = field(init=False)
    pixels: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        layer, r = self.plan.layer, len(self.rows)
        self.weights = layer.weights[self.rows].astype(np.int64)
        own = np.zeros((layer.rows, 0), np.int64) if layer.thresholds is None else layer.thresholds
        self.thresholds = own[self.rows].copy()
        self.keep, self.force = np.full(r, -1, np.int64), np.zeros(r, np.int64)
        self.stuck = np.full(r, NOT_STUCK, np.int64)
        self.products = np.zeros_like(self.weights)

    @property
    def only_stuck(self) -> bool:
        """True if no accumulator matters: all that changes is stuck."""
        return bool((self.stuck != NOT_STUCK).all())

    def apply(self, fault: PeFault, pe: int, simd: int) -> None:
        """Edit the rows; `pe` and `simd` are the folding that the fault lives in."""
        layer, where = self.plan.layer, str(fault)
        folds, word = -(-layer.columns // simd), fault.word
        if fault.kind == PeFaultKind.pixel:
            assert layer.output is not None
            self.pixels[fault.unit] = layer.output.code_of(where, fault.value)
        elif fault.kind in (PeFaultKind.channel, PeFaultKind.pe):
            assert layer.output is not None
            self.stuck[self._served(fault, pe)] = layer.output.code_of(where, fault.value)
        elif fault.kind == PeFaultKind.lane:
            grid = np.ix_(self._served(fault, pe), np.arange(word, layer.columns, simd))
            self.weights[grid], self.products[grid] = 0, fault.value
        elif fault.kind == PeFaultKind.weight:
            place = self.rows == word // folds * pe + fault.unit
            column, bit = word % folds * simd + fault.bit // layer.weight_bits, fault.bit % layer.weight_bits
            if column < layer.columns:  # what a folding adds to fill its last word is never read
                self.weights[place, column] = _with_bit(
                    self.weights[place, column], bit, fault.value, layer.weight_bits
                )
        elif fault.kind == PeFaultKind.threshold:
            top = self.thresholds.shape[1]
            place = self.rows == word // top * pe + fault.unit
            self.thresholds[place, word % top] = _with_bit(
                self.thresholds[place, word % top], fault.bit, fault.value, layer.threshold_bits
            )
        else:
            served = self._served(fault, pe)
            self.keep[served] &= ~(1 << fault.bit)
            self.force[served] = (self.force[served] & ~(1 << fault.bit)) | (fault.value << fault.bit)

    def _served(self, fault: PeFault, pe: int) -> NDArray[np.bool_]:
        if fault.kind == PeFaultKind.channel:
            return self.rows == fault.unit
        return self.rows % pe == fault.unit

    def scores(self, x: NDArray, sums: NDArray) -> IntArray:
        """(N, P, r) accumulators of the changed rows, for packed inputs and fault-free raw sums."""
        plan, layer = self.plan, self.plan.layer
        raw = sums[:, :, self.rows].astype(np.int64)
        moved = self.weights - layer.weights[self.rows]
        for column in np.flatnonzero(moved.any(axis=0)):
            raw += input_codes(plan, x, int(column))[:, :, None] * moved[:, column]
        found = self._scaled(raw)
        held = _signed((found & self.keep) | self.force, layer.accumulator_bits)
        return np.where(self.keep == -1, found, held)

    def _scaled(self, raw: IntArray) -> IntArray:
        layer = self.plan.layer
        low = 0 if self.plan.integers else layer.input.low
        step = 1 if self.plan.integers else layer.input.step
        total = step * raw + (low * self.weights.sum(axis=1) + self.products.sum(axis=1))
        if layer.accumulates == "agreement":
            found = (total + layer.columns) // 2
        else:
            found = total << layer.accumulator_shift
        return found if layer.bias is None else found + layer.bias[self.rows]

    def codes(self, x: NDArray, sums: NDArray) -> NDArray[np.uint8]:
        """(N, outputs, r) codes of the changed rows after pooling."""
        layer, pool = self.plan.layer, self.plan.layer.pool**2
        n, outputs = len(x), len(self.plan.corners[0]) // pool
        if self.only_stuck:
            return np.broadcast_to(self.stuck.astype(np.uint8), (n, outputs, len(self.rows)))
        values = self.scores(x, sums)
        limits = self.thresholds - int(layer.inclusive)
        codes = np.zeros(values.shape, np.uint8)
        for j in range(limits.shape[1]):
            codes += values > limits[:, j]
        codes = np.where(self.stuck != NOT_STUCK, self.stuck, codes).astype(np.uint8)
        return codes.reshape(n, outputs, pool, -1).max(axis=2)

    def patch(self, x: NDArray, sums: NDArray, out: IntArray) -> IntArray:
        """The layer's packed outputs with the faults in them; a copy."""
        if len(self.rows) == 0 and not self.pixels:
            return out
        blocks = self.plan.lanes // LANES
        outputs = out.reshape(len(out), -1, self.plan.planes, blocks).copy()
        if len(self.rows):
            codes = self.codes(x, sums)
            for place, row in enumerate(self.rows):
                word, bit = divmod(int(row), LANES)
                for p in range(self.plan.planes):
                    found = ((codes[:, :, place] >> p) & 1).astype(np.int64) << bit
                    outputs[:, :, p, word] = (outputs[:, :, p, word] & ~(np.int64(1) << bit)) | found
        for pixel, code in self.pixels.items():
            outputs[:, pixel] = self._every_channel(code)
        return outputs.reshape(out.shape)

    def masks(self) -> tuple[IntArray, IntArray]:
        """(words of a pixel,) keep and force masks of the stuck rows, or of a stuck pixel."""
        planes, blocks = self.plan.planes, self.plan.lanes // LANES
        keep, force = np.full((planes, blocks), -1, np.int64), np.zeros((planes, blocks), np.int64)
        for code in self.pixels.values():
            keep[:], force[:] = 0, self._every_channel(code)
        for row, code in zip(self.rows, self.stuck, strict=True):
            word, bit = divmod(int(row), LANES)
            for p in range(planes):
                keep[p, word] &= ~(np.int64(1) << bit)
                force[p, word] |= np.int64((int(code) >> p) & 1) << bit
        return keep.reshape(-1), force.reshape(-1)

    def _every_channel(self, code: int) -> IntArray:
        planes, blocks = self.plan.planes, self.plan.lanes // LANES
        used = np.zeros(blocks * LANES, np.uint8)
        used[: self.plan.layer.rows] = 1
        word = np.packbits(used, bitorder="little").view("<i8").astype(np.int64)
        return np.stack([word * ((code >> p) & 1) for p in range(planes)])


def layer_effect(plan: LayerPlan, faults: Sequence[PeFault], pe: int, simd: int) -> LayerEffect:
    """What faults that are present together do to a layer folded over `pe` PEs of `simd` lanes."""
    rows = {r for f in faults for r in _rows_of(plan, f, pe, simd) if r < plan.layer.rows}
    effect = LayerEffect(plan, np.array(sorted(rows), np.int64))
    # bits of memories first, lanes that ignore their weights later
    for fault in sorted(faults, key=lambda f: f.kind != PeFaultKind.weight):
        effect.apply(fault, pe, simd)
    return effect


def input_codes(plan: LayerPlan, x: NDArray, column: int) -> IntArray:
    """(N, P) codes (values, where the inputs are integers) that one column of a layer's windows reads."""
    layer, (row, across) = plan.layer, plan.corners
    _, width, channels = layer.shape
    pixel, channel = divmod(column, channels)
    ky, kx = divmod(pixel, layer.kernel[1])
    places = (row + ky) * width + across + kx
    if plan.integers:
        return x[:, places * channels + channel].astype(np.int64)
    blocks, planes = -(-channels // LANES), layer.input.bits
    word, bit = divmod(channel, LANES)
    first = places * planes * blocks + word
    return sum((((x[:, first + p * blocks] >> bit) & 1) << p for p in range(planes)), np.zeros((), np.int64))


def _rows_of(plan: LayerPlan, fault: PeFault, pe: int, simd: int) -> list[int]:
    layer, folds = plan.layer, -(-plan.layer.columns // simd)
    if fault.kind == PeFaultKind.pixel:
        return []
    if fault.kind == PeFaultKind.channel:
        return [fault.unit]
    if fault.kind == PeFaultKind.weight:
        return [fault.word // folds * pe + fault.unit]
    if fault.kind == PeFaultKind.threshold:
        assert layer.output is not None
        return [fault.word // layer.output.top * pe + fault.unit]
    return list(range(fault.unit, layer.rows, pe))


def _with_bit(word: IntArray, bit: int, value: int, bits: int) -> IntArray:
    """Words with one bit set to a value; a word of one bit means -1 or +1."""
    if bits == 1:
        return np.full_like(word, 2 * value - 1)
    return _signed((word & ~(1 << bit)) | (value << bit), bits)


def _signed(value: IntArray, bits: int) -> IntArray:
    """The low bits of integers as two's complement."""
    top = 1 << (bits - 1)
    return ((value & ((1 << bits) - 1)) ^ top) - top
