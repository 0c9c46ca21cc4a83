"""The layers behind the first as the flat arrays that `kernels.differences` runs on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.chip import FinnChip
from accel_models.finn.plan import LayerPlan, aligned, blocks_of
from xbarsim.kernels.lanes import LANES
from xbarsim.kernels.layout import FIELDS, Chain

BYTE_ROWS = 15  # rows of up to this magnitude add up in bytes
WORTH_A_WORD = 24  # changed bits of a word from which on counting all its bits anew is less work


def sums_type(design: FinnChip) -> np.dtype:
    """The type that holds the raw sums of every layer behind the first, and the rows that add up to them."""
    return np.result_type(np.int16, _rows_type(design), *(plan.dtype for plan in design.plans[1:]))


def _rows_type(design: FinnChip) -> np.dtype:
    worth = max((_row_worth(plan) for plan in design.plans[1:]), default=1)
    return np.dtype(np.int8 if worth <= BYTE_ROWS else np.int32)


def build_chain(design: FinnChip) -> Chain:
    """Lay the layers out."""
    return _Builder(design).chain()


class _Builder:
    def __init__(self, design: FinnChip) -> None:
        self.design, self.dtype = design, sums_type(design)
        self.row_type = _rows_type(design)
        self.parts: dict[str, list[NDArray]] = {
            name: [] for name in ("corners", "columns", "thresholds", "rows", "weights", "offsets", "initial")
        }
        self.sizes = dict.fromkeys([*self.parts, "input", "sums"], 0)

    def chain(self) -> Chain:
        """All layers but the first, one behind the other."""
        plans = self.design.plans
        table = np.zeros((len(plans), len(FIELDS)), np.int64)
        for m, plan in list(enumerate(plans))[1:]:
            fields = self._layer(plan)
            table[m] = [fields[name] for name in FIELDS]
        flat = {name: np.concatenate([np.zeros(0, np.int64), *p]) for name, p in self.parts.items()}
        return Chain(
            layers=table,
            corners=flat["corners"],
            columns=flat["columns"],
            thresholds=flat["thresholds"].astype(self.dtype),
            rows=aligned(flat["rows"].astype(self.row_type)),
            weights=aligned(flat["weights"].astype(np.uint8)),
            offsets=flat["offsets"],
            initial=flat["initial"].astype(self.dtype),
            head=self._head(),
            classes=self.design.network.head.classes,
        )

    def _head(self) -> NDArray[np.int64]:
        head, last = self.design.network.head, self.design.plans[-1]
        if head.kind == "highest-bit":
            return np.zeros(0, np.int64)
        floor = -(2**61) if head.floor is None else head.floor
        return np.concatenate([[floor, last.gain], last.offset[: head.classes]]).astype(np.int64)

    def _layer(self, plan: LayerPlan) -> dict[str, int]:
        layer, arrays = plan.layer, plan.arrays
        height, width, channels = layer.shape
        row, column = plan.corners
        rows = _bit_rows(plan)
        limit = (127 if self.row_type == np.int8 else 2**30) // max(1, _row_worth(plan))
        found = {
            "input_at": self.sizes["input"],
            "pixels": height * width,
            "width": width,
            "planes": layer.input.bits,
            "blocks": blocks_of(channels),
            "kernel_rows": layer.kernel[0],
            "kernel_columns": layer.kernel[1],
            "lanes": plan.lanes,
            "outputs": len(row) // arrays.pool,
            "pool": arrays.pool,
            "windows_at": self._add("corners", row * width + column),
            "sums_at": self.sizes["sums"],
            "thresholds_at": self._add("thresholds", arrays.thresholds),
            "thresholds": len(arrays.thresholds),
            "output_planes": plan.planes,
            "rows_at": self._add("rows", rows),
            "variant": rows[0].size,
            "limit": min(limit, 2**20),
            "dense": WORTH_A_WORD * len(arrays.offsets) * layer.input.bits,
            "weights_at": self._add("weights", arrays.weights),
            "weight_planes": 0 if layer.weight_bits == 1 else layer.weight_bits,
            "offsets_at": self._add("offsets", arrays.offsets),
            "words": len(arrays.offsets),
            "initial_at": self._add("initial", plan.initial),
        }
        self._add("columns", column)
        self.sizes["input"] += plan.input_words
        self.sizes["sums"] += len(row) * plan.lanes
        return found

    def _add(self, name: str, values: NDArray) -> int:
        start = self.sizes[name]
        self.parts[name].append(values.reshape(-1))
        self.sizes[name] += values.size
        return start


def _row_worth(plan: LayerPlan) -> int:
    """Largest magnitude of a weight row times what a bit is worth."""
    return int(np.abs(plan.layer.weights.astype(np.int64)).max()) << (plan.layer.input.bits - 1)


def _bit_rows(plan: LayerPlan) -> NDArray[np.int32]:
    """(2 * planes, kernel pixels, channels in whole words, lanes): rows of rising, then of falling bits."""
    layer = plan.layer
    *_, channels = layer.shape
    whole = blocks_of(channels) * LANES
    weights = layer.weights.reshape(layer.rows, -1, channels)
    rows = np.zeros((2 * layer.input.bits, weights.shape[1], whole, plan.lanes), np.int32)
    for p in range(layer.input.bits):
        rows[2 * p, :, :channels, : layer.rows] = weights.transpose(1, 2, 0).astype(np.int32) << p
        rows[2 * p + 1] = -rows[2 * p]
    return rows
