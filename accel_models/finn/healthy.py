"""A batch of images without faults, with everything that faulty runs build on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.chain import sums_type
from accel_models.finn.chip import FinnChip
from accel_models.finn.layer import IntArray


@dataclass(frozen=True, eq=False)
class Healthy:
    """A batch without faults.

    Attributes
    ----------
    inputs : of every layer, packed
    words : (n, words) the inputs of layers 1 .. side by side
    sums : (n, sums) their raw sums
    first_sums : (n, P, lanes) of layer 0
    scores : (n, rows) of the last layer
    """

    inputs: list[NDArray]
    words: IntArray
    sums: NDArray
    first_sums: NDArray
    scores: IntArray
    classes: IntArray

    def raw(self, design: FinnChip, layer: int) -> NDArray:
        """(n, P, lanes): a layer's raw sums."""
        if layer == 0:
            return self.first_sums
        sizes = [len(p.corners[0]) * p.lanes for p in design.plans[1:]]
        start = sum(sizes[: layer - 1])
        plan = design.plans[layer]
        return self.sums[:, start : start + sizes[layer - 1]].reshape(len(self.sums), -1, plan.lanes)


def run_healthy(design: FinnChip, images: NDArray[np.uint8]) -> Healthy:
    """Run a batch and keep everything."""
    x, dtype = design.encode(images), sums_type(design)
    inputs, sums = [], []
    for plan in design.plans:
        inputs.append(x)
        x, raw = plan.run(x, sums=True)
        sums.append(raw)
    scores = design.scores_of(x, raw)
    n = len(images)
    return Healthy(
        inputs=inputs,
        words=_side_by_side(inputs[1:], n, np.dtype(np.int64)),
        sums=_side_by_side(sums[1:], n, dtype),
        first_sums=sums[0],
        scores=scores,
        classes=design.network.head.classify(scores),
    )


def _side_by_side(parts: Sequence[NDArray], n: int, dtype: np.dtype) -> NDArray:
    flat = (part.reshape(n, -1).astype(dtype, copy=False) for part in parts)
    return np.concatenate([np.empty((n, 0), dtype), *flat], axis=1)
