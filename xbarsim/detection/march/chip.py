"""A March test on every array of a chip, and the fault map it diagnoses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.detection.march.diagnosis import diagnose
from xbarsim.detection.march.memory import PlacedFault, run_march
from xbarsim.detection.march.notation import MarchTest
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import FaultKind
from xbarsim.hints import checked
from xbarsim.limits import check_memory


@dataclass(frozen=True, kw_only=True)
class ChipDiagnosis:
    """What a March test found.

    Attributes
    ----------
    fault_map : cells that always read one level: the stuck cells
    other_cells : (n,) flat numbers of cells that mismatched in another way: coupling, transition, ...
    operations : writes and reads in all
    """

    fault_map: FaultMap
    other_cells: NDArray[np.int64]
    operations: int


@checked
def march_chip(
    fault_map: FaultMap,
    test: MarchTest,
    *,
    rng: np.random.Generator,
    placed: Mapping[int, Sequence[PlacedFault]] | None = None,
    on_array: Callable[[int, int], None] | None = None,
) -> ChipDiagnosis:
    """Run a March test on every array of a chip with these stuck cells.

    The contents are random levels and are lost; soft faults vanish with the first write, so they play no
    part. Where the test leaves an order open (⇕), both are run and what finds less counts.

    Parameters
    ----------
    placed : by array, further faults (coupling, transition, ...) in the cells of that array

    Raises
    ------
    InputError : faults in arrays that the chip does not have, or outside an array; a test that a healthy
        memory would fail.
    """
    test.check_consistent()
    geometry, stuck, placed = fault_map.geometry, fault_map.permanent, placed or {}
    for array in placed:
        if not 0 <= array < geometry.arrays:
            raise InputError("injected fault", f"array 0..{geometry.arrays - 1}", array)
    size = geometry.rows * geometry.columns
    check_memory("March test", 500.0 * geometry.arrays + 50.0 * size + 32.0 * len(stuck), str(geometry))
    bounds = np.searchsorted(stuck.cell, size * np.arange(geometry.arrays + 1))
    cells, levels, other, operations = [], [], [], 0
    for array in range(geometry.arrays):
        here = slice(bounds[array], bounds[array + 1])
        contents = rng.integers(0, geometry.levels, size, dtype=np.uint8)
        result = run_march(
            test,
            contents,
            levels=geometry.levels,
            faults=placed.get(array, ()),
            stuck=(stuck.cell[here] - array * size, stuck.value[here].astype(np.uint8)),
        )
        found = diagnose(result)
        cells.append(np.asarray(found.stuck_cells) + array * size)
        levels.append(np.asarray(found.stuck_levels))
        other.append(found.other_cells + array * size)
        operations += result.operations
        if on_array is not None:
            on_array(array + 1, geometry.arrays)
    cell = np.concatenate(cells).astype(np.int64)
    level = np.concatenate(levels).astype(np.int64)
    raw = FaultMap.from_cells(geometry, cell, np.full(len(cell), FaultKind.stuck_at), level)
    return ChipDiagnosis(
        fault_map=raw.as_stuck_levels(), other_cells=np.concatenate(other), operations=operations
    )
