"""Which weight bit lives in which cell: tiling of layers onto arrays, and fault maps onto layers.

A layer's (K, M) matrix is cut into row blocks of `rows` and column blocks of `columns // digits` weights;
each pair of blocks is one array. The digits of a weight sit side by side on one word line, least
significant first. Groups of a convolution share arrays as diagonal blocks, as many as rows and columns allow
(see `xbarsim.crossbar.diagonal`); groups of which no two fit are matrices of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.crossbar.diagonal import groups_an_array, side_by_side
from xbarsim.crossbar.matrix import ProgrammedMatrix
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.masks import CellMasks, masks_of_cells
from xbarsim.graph.integer_graph import IntegerGraph

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class MatrixPlace:
    """Where one matrix lies: arrays `first` .. `first + arrays - 1`, row block by row block.

    Attributes
    ----------
    layer, group, groups : it holds `groups` groups of a layer, from `group` on
    inputs, outputs : rows and columns of weights, of all its groups together
    first, row_blocks, column_blocks : its arrays
    """

    layer: str
    group: int
    inputs: int
    outputs: int
    first: int
    row_blocks: int
    column_blocks: int
    groups: int = 1

    @property
    def key(self) -> tuple[str, int]:
        """(layer, first group): its name among the matrices of a chip."""
        return self.layer, self.group

    @property
    def of_groups(self) -> slice:
        """The groups that it holds, among those of the layer."""
        return slice(self.group, self.group + self.groups)

    def rows(self, rows: NDArray) -> NDArray:
        """(n, inputs): what it multiplies, of the layer's (groups, n, K) rows."""
        return side_by_side(rows[self.of_groups])

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
        return self.config.format.digits * sum(m.inputs * m.outputs // m.groups for m in self.matrices)

    @property
    def written_cells(self) -> int:
        """Cells that a write of the whole network writes: used ones, and to level 0 those off a diagonal."""
        return self.config.format.digits * sum(m.inputs * m.outputs for m in self.matrices)

    @property
    def occupancy(self) -> float:
        """Share of the allocated cells that hold a digit."""
        return self.used_cells / self.geometry.cells

    def of_layer(self, layer: str) -> tuple[MatrixPlace, ...]:
        """Where the matrices of a layer lie, in the order of its groups."""
        return self._by_layer[layer]

    def with_outputs(self, layer: str) -> list[tuple[MatrixPlace, int]]:
        """Where the matrices of a layer lie, and the first of its outputs that each gives."""
        places = self.of_layer(layer)
        return [(place, sum(p.outputs for p in places[:i])) for i, place in enumerate(places)]

    def place_of(self, layer: str, group: int) -> MatrixPlace:
        """Where the matrix lies that holds a group."""
        return next(m for m in self.of_layer(layer) if m.group <= group < m.group + m.groups)

    def arrays_of(self, layer: str) -> int:
        """Arrays of one layer, all groups."""
        return sum(m.arrays for m in self.of_layer(layer))

    @cached_property
    def _by_layer(self) -> dict[str, tuple[MatrixPlace, ...]]:
        found: dict[str, list[MatrixPlace]] = {}
        for matrix in self.matrices:
            found.setdefault(matrix.layer, []).append(matrix)
        return {layer: tuple(matrices) for layer, matrices in found.items()}

    def masks(
        self, fault_map: FaultMap, matrices: dict[tuple[str, int], ProgrammedMatrix]
    ) -> dict[tuple[str, int], CellMasks]:
        """Turn a fault map into masks, for the matrices that have faults in cells that matter.

        `matrices` holds what each has stored, by `MatrixPlace.key`: soft steps depend on it.
        """
        array, row, column = fault_map.coordinates
        bounds = np.searchsorted(array, [m.first for m in self.matrices] + [self.arrays])
        found = {}
        for place, low, high in zip(self.matrices, bounds, bounds[1:], strict=False):
            if low == high:
                continue
            here = slice(low, high)
            weight, digit, matters = self._locate(place, array[here], row[here], column[here])
            if not matters.any():
                continue
            found[place.key] = masks_of_cells(
                matrices[place.key].stored,
                weight=weight[matters],
                digit=digit[matters],
                kind=fault_map.kind[here][matters],
                value=fault_map.value[here][matters],
                cell_bits=self.config.format.cell_bits,
            )
        return found

    def used_faults(self, fault_map: FaultMap) -> int:
        """How many faults of a map hit a cell that matters: one that holds a digit, or one off a diagonal."""
        array, row, column = fault_map.coordinates
        hits = 0
        for place in self.matrices:
            here = (array >= place.first) & (array < place.first + place.arrays)
            hits += int(self._locate(place, array[here], row[here], column[here])[2].sum())
        return hits

    def array_levels(self, matrices: dict[tuple[str, int], ProgrammedMatrix]) -> NDArray[np.uint8]:
        """(arrays, rows, columns): level of every cell, faults in cells that matter included, 0 elsewhere."""
        c = self.config
        levels = np.zeros((self.arrays, c.rows, c.columns), np.uint8)
        for place in self.matrices:
            held = matrices[place.key].held
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
        matters = (k < place.inputs) & (m < place.outputs) & (slot < self.config.weights_per_row)
        return k * place.outputs + m, digit, matters


def place(graph: IntegerGraph, config: ArrayConfig) -> Placement:
    """Lay the layers of a network out over arrays, one after the other."""
    places: list[MatrixPlace] = []
    first = 0
    for layer in graph.layers:
        groups, k, m = layer.weights.shape
        together = groups_an_array(config, k, m)
        for group in range(0, groups, together):
            count = min(together, groups - group)
            matrix = MatrixPlace(
                layer=layer.name,
                group=group,
                groups=count,
                inputs=count * k,
                outputs=count * m,
                first=first,
                row_blocks=-(-k // config.rows),
                column_blocks=-(-m // config.weights_per_row),
            )
            places.append(matrix)
            first += matrix.arrays
    return Placement(config=config, matrices=tuple(places))
