"""Many faulty copies of one chip on the same images, in threads.

Faults are sparse: a copy differs from its healthy twin in some layers, and only from the first of these on.
Up to there the twin's values serve all copies; in layers that still read them, a few changed weights are a
small product that is added to the twin's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.matrix import MatrixDifference
from xbarsim.errors import check_int
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.table import several
from xbarsim.graph.baseline import Baseline, Products
from xbarsim.graph.inputs import Batch
from xbarsim.graph.nodes import FloatArray, IntArray, MatMul
from xbarsim.kernels.launch import worker_threads

if TYPE_CHECKING:
    from accel_models.reram.chip import ReramChip

CHIPS_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class _Copy:
    """A faulty chip, which matrices differ from the healthy twin's, and how, where that is cheap."""

    chip: ReramChip
    differences: dict[tuple[str, int], MatrixDifference | None]

    def run(self, baseline: Baseline) -> IntArray:
        changed = {layer for layer, _ in self.differences}
        return baseline.differ(changed, self.chip.multiply, self._from_base)

    def _from_base(self, layer: MatMul, rows: FloatArray, base: Callable[[], Products]) -> Products:
        products = []
        for i, place in enumerate(self.chip.placement.of_layer(layer.matrix)):
            if place.key not in self.differences:
                products.append(base()[i])
            elif (difference := self.differences[place.key]) is not None:
                products.append(difference.add_to(base()[i], place.rows(rows)))
            else:
                matrix = self.chip.matrices[place.key]
                products.append(matrix.multiply(place.rows(rows), layer.input_signed))
        return products


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
    differences = {
        key: matrix.difference_from(chip.matrices[key])
        for key, matrix in faulty.matrices.items()
        if not np.array_equal(matrix.held, chip.matrices[key].held)
    }
    return _Copy(faulty, differences)
