"""Many faulty copies of one chip on the same images, in threads.

Faults are sparse: a copy differs from its healthy twin in some layers, and only from the first of these on.
Up to there the twin's values serve all copies; in layers that still read them, a few changed outputs are a
small product that is added to the twin's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import check_int
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.table import several
from xbarsim.graph.baseline import Baseline
from xbarsim.graph.inputs import Batch
from xbarsim.graph.nodes import IntArray, MatMul
from xbarsim.graph.product import Products
from xbarsim.kernels.launch import worker_threads

if TYPE_CHECKING:
    from accel_models.reram.chip import ReramChip

CHIPS_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class _Difference:
    """Which outputs of a layer differ, and the product with what their weights differ by."""

    outputs: IntArray
    products: Products

    def add_to(self, sums: NDArray, layer: MatMul, x: NDArray) -> NDArray[np.float64]:
        """The changed layer's sums from the unchanged one's."""
        changed = sums.astype(np.float64)
        place = (Ellipsis, self.outputs) if layer.window is None else (slice(None), self.outputs)
        changed[place] += self.products(layer, x)
        return changed


@dataclass(frozen=True, eq=False)
class _Copy:
    """A faulty chip, its healthy twin, which layers differ, and how, where a small product tells."""

    chip: ReramChip
    twin: ReramChip
    differences: dict[str, _Difference | None]

    def run(self, baseline: Baseline) -> NDArray:
        return baseline.differ(list(self.differences), self._multiply, self._from_base)

    def _multiply(self, layer: MatMul, x: NDArray) -> NDArray:
        """A layer that has not changed has been prepared by the twin."""
        return (self.chip if layer.matrix in self.differences else self.twin).multiply(layer, x)

    def _from_base(self, layer: MatMul, x: NDArray, base: Callable[[], NDArray]) -> NDArray:
        difference = self.differences[layer.matrix]
        return self.chip.multiply(layer, x) if difference is None else difference.add_to(base(), layer, x)


def run_each(
    chip: ReramChip, faults: Iterable[FaultMap], inputs: NDArray, *, batch_size: int = 64
) -> Iterator[NDArray[np.float64]]:
    """Give the scores (N, classes) of `chip` with each of the fault maps on top of its own, one by one.

    Parameters
    ----------
    faults : may be a generator; so many maps at once are in memory as CHIPS_AT_ONCE says
    inputs : (N, ...) floats
    batch_size : inputs at once; bounds the memory, changes no result

    Raises
    ------
    InputError : no iterable of fault maps, bad inputs; later a map of another geometry.
    """
    check_int("batch_size", batch_size, 1, 2**31)
    x, at_once = chip.graph.quantize_input(inputs), chip.graph.batch_of(batch_size)
    return _in_groups(chip, iter(several(faults)), x, at_once)


def _in_groups(
    chip: ReramChip, remaining: Iterator[FaultMap], x: IntArray | Batch, batch_size: int
) -> Iterator[NDArray[np.float64]]:
    while maps := list(islice(remaining, CHIPS_AT_ONCE)):
        yield from _run_group(chip, maps, x, batch_size)


def _run_group(
    chip: ReramChip, maps: list[FaultMap], x: IntArray | Batch, batch_size: int
) -> list[NDArray[np.float64]]:
    with worker_threads() as pool:
        copies = list(pool.map(lambda fault_map: _copy(chip, fault_map), maps))
        batches = []
        for start in range(0, len(x), batch_size):
            baseline = Baseline(chip.graph, x[start : start + batch_size], chip.multiply)
            batches.append(list(pool.map(lambda copy, base=baseline: copy.run(base), copies)))
    return [chip.graph.to_scores(np.concatenate(parts)) for parts in zip(*batches, strict=True)]


def _copy(chip: ReramChip, fault_map: FaultMap) -> _Copy:
    faulty = chip.inject(fault_map)
    changed = {
        layer
        for (layer, group), matrix in faulty.matrices.items()
        if not np.array_equal(matrix.held, chip.matrices[layer, group].held)
    }
    return _Copy(faulty, chip, {layer: _difference(faulty, chip, layer) for layer in changed})


def _difference(faulty: ReramChip, chip: ReramChip, layer: str) -> _Difference | None:
    """How a layer's sums differ; None where they are sooner computed anew."""
    first, *others = chip.placement.of_layer(layer)
    after, before = faulty.matrices[first.key], chip.matrices[first.key]
    if others or first.groups > 1 or after.is_serial or before.is_serial:
        return None
    change = after.effective - before.effective
    outputs = np.flatnonzero(change.any(axis=0))
    if 2 * len(outputs) > change.shape[1]:
        return None
    weights = change[None, :, outputs]
    return _Difference(outputs, Products(lambda _: weights))
