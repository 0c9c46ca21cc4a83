"""Which weight bit lives in which cell: tiling of layers onto arrays, and fault maps onto layers.

A layer's (K, M) matrix is cut into row blocks of `rows` and column blocks of `columns // digits` weights;
each pair of blocks is one array. The digits of a weight sit side by side on one word line, least
significant first. Groups of a convolution are matrices of their own, in arrays of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.crossbar.matrix import ProgrammedMatrix
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.masks import CellMasks, masks_of_cells
from xbarsim.graph.integer_graph import IntegerGraph

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class MatrixPlace:
    """Where one matrix lies: arrays `first` .. `first + arrays - 1`, row block by row block."""

    layer: str
    group: int
    inputs: int
    outputs: int
    first: int
    row_blocks: int
    column_blocks: int

    @property
    def arrays(self) -> int:
        """Arrays it takes."""
        return self.row_blocks * self.column_blocks


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The arrays of a whole network, in the order of its layers. Make it with `place`."""

    config: ArrayConfig
    matrices: tuple[MatrixPlace, ...]

    @property
    def arrays(self) -> int:
        """Arrays in all."""
        return sum(m.arrays for m in self.matrices)

    @cached_property
    def geometry(self) -> CellGeometry:
        """The cells that a fault map of this placement refers to."""
        c = self.config
        return CellGeometry(arrays=self.arrays, rows=c.rows, columns=c.columns, levels=c.format.levels)

    @property
    def used_cells(self) -> int:
        """Cells that hold a digit of a weight."""
        return self.config.format.digits * sum(m.inputs * m.outputs for m in self.matrices)

    @property
    def occupancy(self) -> float:
        """Share of the allocated cells that hold a digit."""
        return self.used_cells / self.geometry.cells

    def place_of(self, layer: str, group: int) -> MatrixPlace:
        """Where a matrix lies."""
        return next(m for m in self.matrices if (m.layer, m.group) == (layer, group))

    def arrays_of(self, layer: str) -> int:
        """Arrays of one layer, all groups."""
        return sum(m.arrays for m in self.matrices if m.layer == layer)

    def masks(
        self, fault_map: FaultMap, matrices: dict[tuple[str, int], ProgrammedMatrix]
    ) -> dict[tuple[str, int], CellMasks]:
        """Turn a fault map into masks, for the matrices that have faults in used cells.

        `matrices` holds what each (layer, group) has stored: soft steps depend on it.
        """
        array, row, column = fault_map.coordinates
        bounds = np.searchsorted(array, [m.first for m in self.matrices] + [self.arrays])
        found = {}
        for place, low, high in zip(self.matrices, bounds, bounds[1:], strict=False):
            if low == high:
                continue
            here = slice(low, high)
            weight, digit, used = self._locate(place, array[here], row[here], column[here])
            if not used.any():
                continue
            found[place.layer, place.group] = masks_of_cells(
                matrices[place.layer, place.group].stored,
                weight=weight[used],
                digit=digit[used],
                kind=fault_map.kind[here][used],
                value=fault_map.value[here][used],
                cell_bits=self.config.format.cell_bits,
            )
        return found

    def used_faults(self, fault_map: FaultMap) -> int:
        """How many faults of a map hit a cell that holds a digit."""
        array, row, column = fault_map.coordinates
        hits = 0
        for place in self.matrices:
            here = (array >= place.first) & (array < place.first + place.arrays)
            hits += int(self._locate(place, array[here], row[here], column[here])[2].sum())
        return hits

    def array_levels(self, matrices: dict[tuple[str, int], ProgrammedMatrix]) -> NDArray[np.uint8]:
        """(arrays, rows, columns): level of every cell, faults in used cells included, 0 elsewhere."""
        c = self.config
        levels = np.zeros((self.arrays, c.rows, c.columns), np.uint8)
        for place in self.matrices:
            held = matrices[place.layer, place.group].held
            k, m = np.indices(held.shape)
            array = place.first + (k // c.rows) * place.column_blocks + m // c.weights_per_row
            column = (m % c.weights_per_row) * c.format.digits
            for d in range(c.format.digits):
                levels[array, k % c.rows, column + d] = c.format.level(held, d)
        return levels

    def _locate(
        self, place: MatrixPlace, array: IntArray, row: IntArray, column: IntArray
    ) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
        row_block, column_block = np.divmod(array - place.first, place.column_blocks)
        slot, digit = np.divmod(column, self.config.format.digits)
        k = row_block * self.config.rows + row
        m = column_block * self.config.weights_per_row + slot
        used = (k < place.inputs) & (m < place.outputs) & (slot < self.config.weights_per_row)
        return k * place.outputs + m, digit, used


def place(graph: IntegerGraph, config: ArrayConfig) -> Placement:
    """Lay the layers of a network out over arrays, one after the other."""
    places: list[MatrixPlace] = []
    first = 0
    for layer in graph.layers:
        groups, k, m = layer.weights.shape
        for group in range(groups):
            matrix = MatrixPlace(
                layer=layer.name,
                group=group,
                inputs=k,
                outputs=m,
                first=first,
                row_blocks=-(-k // config.rows),
                column_blocks=-(-m // config.weights_per_row),
            )
            places.append(matrix)
            first += matrix.arrays
    return Placement(config=config, matrices=tuple(places))
