"""Faults that cannot be told apart, simulated once.

A fault is turned into the shortest statement of what it does to its layer, and faults with the same statement
are one class. What is recognised, all of it exact for every image:

- a memory bit stuck at what it holds, a row that no class score is read from: no effect
- a threshold that no accumulator of its row can exceed, or that every one exceeds: the channel is stuck
- thresholds of a row that differ in bits, but not within the range of the accumulator
- an accumulator bit that is the same for all sums of the PE: no effect, or the PE is stuck
- the PE that serves one channel, the pixel of a stream of one pixel behind one PE
- a channel stuck at the only activation it has

Source: fault collapsing as in digital test (Bushnell and Agrawal, Essentials of Electronic Testing, 2000).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.chip import FinnChip
from accel_models.finn.concurrent import FaultResults, simulate_faults
from accel_models.finn.layer import IntArray
from accel_models.finn.plan import LayerPlan
from xbarsim.faults.pe import SHARED_LAYER, PeFaultKind, PeFaults

NO_EFFECT = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class FaultClasses:
    """A fault list in classes.

    Attributes
    ----------
    faults : the list
    representatives : one fault a class
    class_of : (faults,) index of each fault's class, -1 for those without any effect
    """

    faults: PeFaults
    representatives: PeFaults
    class_of: IntArray

    @property
    def saved(self) -> int:
        """Faults that need no simulation of their own."""
        return len(self.faults) - len(self.representatives)

    def expand(self, results: FaultResults) -> FaultResults:
        """The results of the representatives as results of the whole list."""

        def of(values: IntArray, without: int) -> IntArray:
            return np.append(values, without)[self.class_of]

        return replace(
            results,
            faults=self.faults,
            hits=of(results.hits, results.baseline_hits),
            flips=of(results.flips, 0),
            masked=of(results.masked, results.shots),
        )


def collapse(design: FinnChip, faults: PeFaults) -> FaultClasses:
    """Sort single faults into classes."""
    keys = faults.table.copy()
    for layer, plan in enumerate(design.plans):
        here = np.flatnonzero(faults.column("layer") == layer)
        if len(here):
            read = design.network.head.classes if layer == len(design.plans) - 1 else plan.layer.rows
            keys[here] = _Layer(plan, read, *design.folding(layer)).keys(faults.take(here))
    effective = keys[:, 0] != NO_EFFECT
    unique, first, inverse = np.unique(keys[effective], axis=0, return_index=True, return_inverse=True)
    class_of = np.full(len(faults), -1, np.int64)
    class_of[effective] = inverse
    chosen = faults.table[np.flatnonzero(effective)[first]]
    # a stuck channel or PE is the cheapest fault of its class to simulate
    plain = np.isin(unique[:, 0], (PeFaultKind.channel, PeFaultKind.pe)) & (unique[:, 1] != SHARED_LAYER)
    chosen[plain] = unique[plain]
    return FaultClasses(faults=faults, representatives=PeFaults(chosen), class_of=class_of)


def simulate_classes(design: FinnChip, faults: PeFaults, images: NDArray, labels: IntArray) -> FaultResults:
    """Return what `simulate_faults` gives, after one run for each class of faults.

    Parameters
    ----------
    design : without faults of its own
    images : (N, *image) uint8
    labels : (N,)

    Raises
    ------
    InputError : see `simulate_faults`.
    """
    classes = collapse(design, faults)
    return classes.expand(simulate_faults(design, classes.representatives, images, labels))


class _Layer:
    """What is known of a layer without running it: the range of every row's accumulator."""

    def __init__(self, plan: LayerPlan, read: int, pe: int, simd: int) -> None:
        self.plan, self.layer, self.read, self.pe, self.simd = plan, plan.layer, read, pe, simd
        values = plan.layer.input.values if plan.integers else np.arange(plan.layer.input.top + 1)
        weights = plan.layer.weights.astype(np.int64)
        ends = np.stack([weights * values[0], weights * values[-1]])
        self.low, self.high = ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)
        self.constant = np.full(self.layer.rows, -1, np.int64)
        if self.layer.thresholds is not None:
            self.constant = self._constant(self._clipped(self.layer.thresholds))

    def _clipped(self, thresholds: IntArray) -> IntArray:
        """(rows, top) thresholds on raw sums, within each row's range: low - 1 always, high never met."""
        raw = (thresholds - int(self.layer.inclusive) - self.plan.offset[:, None]) // self.plan.gain
        return np.clip(raw, self.low[:, None] - 1, self.high[:, None])

    def _constant(self, clipped: IntArray, rows: IntArray | slice = slice(None)) -> IntArray:
        """(rows,): the only code that a row can have, or -1."""
        always, never = clipped < self.low[rows, None], clipped >= self.high[rows, None]
        return np.where((always | never).all(axis=1), always.sum(axis=1), -1)

    def keys(self, faults: PeFaults) -> IntArray:
        """(faults, 7): rows that are equal where faults are; kind -1 for no effect."""
        keys = faults.table.copy()
        makers = {
            PeFaultKind.channel: self._channel,
            PeFaultKind.pe: self._pe,
            PeFaultKind.weight: self._weight,
            PeFaultKind.threshold: self._threshold,
            PeFaultKind.accumulator: self._accumulator,
            PeFaultKind.pixel: self._pixel,
        }
        for kind, make in makers.items():
            here = faults.column("kind") == kind
            if here.any():
                keys[here] = make(keys[here])
        # what became a stuck PE or channel may have no effect or a shorter name as such
        keys = self._pe(keys)
        keys = self._channel(keys)
        keys[keys[:, 0] == NO_EFFECT] = NO_EFFECT
        return keys

    def _channel(self, keys: IntArray) -> IntArray:
        mine = keys[:, 0] == PeFaultKind.channel
        if self.layer.output is not None and mine.any():
            codes = (keys[:, 5] - self.layer.output.low) // self.layer.output.step
            rows = np.where(mine, keys[:, 2], 0)
            idle = (self.constant[rows] == codes) | (rows >= self.read)
            keys[mine & idle, 0] = NO_EFFECT
        return keys

    def _pe(self, keys: IntArray) -> IntArray:
        mine, rows = keys[:, 0] == PeFaultKind.pe, self.layer.rows
        keys[mine & (keys[:, 2] >= rows), 0] = NO_EFFECT
        keys[mine & (keys[:, 2] < rows) & (keys[:, 2] + self.pe >= rows), 0] = PeFaultKind.channel
        return keys

    def _pixel(self, keys: IntArray) -> IntArray:
        if self.layer.output_shape[:2] == (1, 1) and self.pe == 1:
            keys[:, 0] = PeFaultKind.pe
        return keys

    def _weight(self, keys: IntArray) -> IntArray:
        layer, bits = self.layer, self.layer.weight_bits
        folds = -(-layer.columns // self.simd)
        row = keys[:, 3] // folds * self.pe + keys[:, 2]
        column = keys[:, 3] % folds * self.simd + keys[:, 4] // bits
        unread = (row >= self.read) | (column >= layer.columns)
        held = layer.weights[np.where(unread, 0, row), np.where(unread, 0, column)].astype(np.int64)
        bit = (held > 0) if bits == 1 else (held >> (keys[:, 4] % bits)) & 1
        keys[(bit == keys[:, 5]) | unread, 0] = NO_EFFECT
        return keys

    def _threshold(self, keys: IntArray) -> IntArray:
        layer = self.layer
        assert layer.thresholds is not None and layer.output is not None
        top = layer.output.top
        row, j = keys[:, 3] // top * self.pe + keys[:, 2], keys[:, 3] % top
        unread = row >= self.read
        row = np.where(unread, 0, row)
        held, width = layer.thresholds[row, j], np.int64(1) << layer.threshold_bits
        bit = np.int64(1) << keys[:, 4]
        word = (held & ~bit) | (keys[:, 5] * bit)
        word = ((word & (width - 1)) ^ (width >> 1)) - (width >> 1)
        before = self._clipped(layer.thresholds)[row]
        moved = layer.thresholds[row].copy()
        moved[np.arange(len(row)), j] = word
        raw = (moved - int(layer.inclusive) - self.plan.offset[row, None]) // self.plan.gain
        after = np.clip(raw, self.low[row, None] - 1, self.high[row, None])
        constant = self._constant(after, row)
        place = np.arange(len(row))
        # the row's other thresholds stay: the one that goes and the one that comes say it all
        keys[:, 2], keys[:, 3], keys[:, 4], keys[:, 5] = row, before[place, j], 0, after[place, j]
        same = (before[place, j] == after[place, j]) | unread
        stuck = (constant >= 0) & ~same
        keys[stuck, 0] = PeFaultKind.channel
        keys[stuck, 3:5] = -1
        keys[stuck, 5] = layer.output.values[constant[stuck]]
        keys[same, 0] = NO_EFFECT
        return keys

    def _accumulator(self, keys: IntArray) -> IntArray:
        for place, (_, _, pe, _, bit, value, _) in enumerate(keys.tolist()):
            rows = np.arange(pe, self.layer.rows, self.pe)
            rows = rows[rows < self.read]
            low, high = (self.plan.gain * v[rows] + self.plan.offset[rows] for v in (self.low, self.high))
            fixed = (low >> bit) == (high >> bit)
            if (fixed & ((low >> bit) & 1 == value)).all():
                keys[place, 0] = NO_EFFECT
            elif fixed.all() and self.layer.output is not None:
                code = self._code_of_shifted(rows, low, high, bit, value)
                if code is not None:
                    keys[place, 0], keys[place, 4] = PeFaultKind.pe, -1
                    keys[place, 5] = self.layer.output.values[code]
        return keys

    def _code_of_shifted(
        self, rows: IntArray, low: IntArray, high: IntArray, bit: int, value: int
    ) -> int | None:
        """The only code of all rows when a bit of their sums that never changes is stuck at `value`."""
        assert self.layer.thresholds is not None
        ends = []
        for sums in (low, high):
            width = self.layer.accumulator_bits
            word = (sums & ~(1 << bit)) | (value << bit)
            word = ((word & ((1 << width) - 1)) ^ (1 << (width - 1))) - (1 << (width - 1))
            above = self.layer.thresholds[rows] - int(self.layer.inclusive) < word[:, None]
            ends.append(above.sum(axis=1))
        codes = np.unique(np.concatenate(ends))
        return int(codes[0]) if len(codes) == 1 else None


def saved_by_kind(classes: FaultClasses) -> dict[str, tuple[int, int, int]]:
    """For each kind: faults, those without effect, and classes that its faults fall into."""
    kind = classes.faults.column("kind")
    found = {}
    for k in PeFaultKind:
        own: NDArray = classes.class_of[kind == k]
        if len(own):
            found[k.name] = (len(own), int((own < 0).sum()), len(np.unique(own[own >= 0])))
    return found
