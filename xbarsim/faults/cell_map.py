"""Fault maps: which cell of which array is faulty, and how.

A map is plain data: at most one fault a cell, ordered by array, row and column. It knows the geometry of
the chip it belongs to, so that a fault outside the arrays cannot be stored.

The kinds of fault are those of `xbarsim.faults.kinds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.errors import InputError, check_int, check_type
from xbarsim.faults.drawing import draw_fault_map
from xbarsim.faults.files import read_fault_map, to_bytes
from xbarsim.faults.kinds import CellGeometry, FaultKind, are_permanent, need_values, with_fixed_levels
from xbarsim.faults.table import FaultTable, check_columns, integers, kind_codes, rows_of, spread
from xbarsim.files import write_atomically
from xbarsim.hints import checked


class CellFault(NamedTuple):
    """One faulty cell: where it is, the name of the kind, and its value as in `FaultMap`."""

    array: int
    row: int
    column: int
    kind: str
    value: int


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class FaultMap(FaultTable[CellFault]):
    """Faulty cells of a chip; build it with `FaultMap.of` or a sampler of `xbarsim.faults.sampling`.

    Attributes
    ----------
    geometry : the cells it refers to
    cell : (n,) int64, sorted: (array * rows + row) * columns + column
    kind : (n,) uint8, `FaultKind`
    value : (n,) int8: level of a stuck cell, XOR of a flip, +1 or -1 of a step
    """

    KINDS: ClassVar[type[FaultKind]] = FaultKind

    geometry: CellGeometry
    cell: NDArray[np.int64]
    kind: NDArray[np.uint8]
    value: NDArray[np.int8]

    def __post_init__(self) -> None:
        check_type("FaultMap.geometry", self.geometry, CellGeometry)
        for name, kind in (("cell", np.int64), ("kind", np.uint8), ("value", np.int8)):
            column = getattr(self, name)
            if getattr(column, "dtype", None) != kind or column.shape != self.cell.shape or column.ndim != 1:
                expected = f"(n,) {np.dtype(kind)}, as long as the others"
                got = f"{getattr(column, 'dtype', type(column).__name__)} of shape {np.shape(column)}"
                raise InputError(f"FaultMap.{name}", expected, got, "build it with FaultMap.of")

    @classmethod
    def of(cls, geometry: CellGeometry, faults: Iterable[CellFault] = (), **columns: ArrayLike) -> FaultMap:
        """Build a map from faults, or from columns `array`, `row`, `column`, `kind` and `value`.

        Single numbers spread over the other columns. `kind` takes names or `FaultKind` values. `value` is
        needed for `stuck_at` (level), `flip` (XOR, 1..L-1) and `step` (+1 or -1) and ignored for the other
        two.

        Raises
        ------
        InputError : a fault outside the arrays, a level the cells do not have, two faults in one cell.

        >>> g = CellGeometry(arrays=2)
        >>> print(FaultMap.of(g, array=1, row=[3, 5], column=7, kind="stuck_lrs"))
        2 faults in 2 arrays of 128 x 128 cells with 4 levels: 2 stuck_lrs
        """
        check_type("FaultMap.geometry", geometry, CellGeometry)
        rows = rows_of("FaultMap.faults", faults, CellFault)
        if rows or not columns:
            check_columns("FaultMap", columns, (), ())
            columns = {name: [row[i] for row in rows] for i, name in enumerate(CellFault._fields)}
        check_columns("FaultMap", columns, CellFault._fields[:4], CellFault._fields)
        kind = kind_codes("FaultMap.kind", FaultKind, columns["kind"])
        if "value" not in columns and need_values(kind).any():
            raise InputError("FaultMap.value", "values for stuck_at, flip and step", "none")
        found = {n: integers(f"FaultMap.{n}", columns[n]) for n in ("array", "row", "column")}
        found |= {"kind": kind, "value": integers("FaultMap.value", columns.get("value", 0))}
        return cls._at(geometry, spread("FaultMap", found))

    @classmethod
    def _at(cls, geometry: CellGeometry, columns: dict[str, NDArray[np.int64]]) -> FaultMap:
        limits = {"array": geometry.arrays, "row": geometry.rows, "column": geometry.columns}
        for name, limit in limits.items():
            outside = (columns[name] < 0) | (columns[name] >= limit)
            if outside.any():
                raise InputError(
                    f"FaultMap.{name}",
                    f"0..{limit - 1} ({geometry})",
                    int(columns[name][outside][0]),
                    "remove the fault or name the right geometry",
                )
        cell = (columns["array"] * geometry.rows + columns["row"]) * geometry.columns + columns["column"]
        return cls.from_cells(geometry, cell, columns["kind"], columns["value"])

    @classmethod
    def from_cells(
        cls, geometry: CellGeometry, cell: ArrayLike, kind: ArrayLike, value: ArrayLike
    ) -> FaultMap:
        """Build a map from flat cell numbers, kinds and values, (n,) each; sorted and checked here."""
        check_type("FaultMap.geometry", geometry, CellGeometry)
        cells, kinds = integers("FaultMap.cell", cell), integers("FaultMap.kind", kind)
        values = integers("FaultMap.value", value)
        if not cells.shape == kinds.shape == values.shape:
            raise InputError(
                "FaultMap", "columns of one length", f"{cells.shape}, {kinds.shape}, {values.shape}"
            )
        order = np.argsort(cells, kind="stable")
        cells, kinds, values = cells[order], kinds[order], values[order]
        values = with_fixed_levels(kinds, values, geometry.levels)
        _check_faults(geometry, cells, kinds, values)
        return cls(geometry=geometry, cell=cells, kind=kinds.astype(np.uint8), value=values.astype(np.int8))

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {name}" for name, n in self.counts().items())
        return f"{len(self)} faults in {self.geometry}" + (f": {kinds}" if kinds else "")

    def columns(self) -> dict[str, NDArray]:
        """Return array, row, column, kind and value of every fault, (n,) each."""
        array, row, column = self.coordinates
        return {"array": array, "row": row, "column": column, "kind": self.kind, "value": self.value}

    @property
    def coordinates(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(array, row, column), (n,) each."""
        line, column = np.divmod(self.cell, self.geometry.columns)
        array, row = np.divmod(line, self.geometry.rows)
        return array, row, column

    @property
    def permanent(self) -> FaultMap:
        """The stuck cells alone: what a refresh leaves."""
        return self.take(are_permanent(self.kind))

    @property
    def soft(self) -> FaultMap:
        """The soft faults alone: what a refresh cures."""
        return self.take(~are_permanent(self.kind))

    def rewritten(self, cells: NDArray[np.int64]) -> FaultMap:
        """What remains after these cells were written again: soft faults in them are cured."""
        return self.take(are_permanent(self.kind) | ~np.isin(self.cell, cells))

    def as_stuck_levels(self) -> FaultMap:
        """The stuck cells in canonical kinds: `stuck_at` the end levels become stuck_hrs / stuck_lrs."""
        stuck = self.permanent
        kind = np.full(len(stuck), FaultKind.stuck_at, np.int64)
        for ends in FaultKind:
            if (level := ends.fixed_level(self.geometry.levels)) is not None:
                kind = np.where(stuck.value == level, ends, kind)
        return FaultMap.from_cells(self.geometry, stuck.cell, kind, stuck.value)

    @checked
    def check(self, geometry: CellGeometry) -> None:
        """Refuse the map for another chip than the one it was made for."""
        if geometry != self.geometry:
            remedy = "sample it for this chip's geometry"
            raise InputError("fault map", str(geometry), str(self.geometry), remedy)

    @checked
    def compare(self, other: FaultMap) -> FaultMapDifference:
        """Hold `other` (say, a diagnosed map) against this one (the true map).

        Raises
        ------
        InputError : the maps belong to different geometries.
        """
        check_type("other", other, FaultMap)
        self._check_alike(other)
        both, mine, theirs = np.intersect1d(self.cell, other.cell, assume_unique=True, return_indices=True)
        same = (self.kind[mine] == other.kind[theirs]) & (self.value[mine] == other.value[theirs])
        return FaultMapDifference(
            equal=int(same.sum()),
            different=int(len(both) - same.sum()),
            missing=len(self) - len(both),
            extra=len(other) - len(both),
        )

    def levels_of_idle_array(self, array: int) -> NDArray[np.int64]:
        """(rows, columns): the levels of an array whose every cell was written to level 0."""
        check_int("array", array, 0, self.geometry.arrays - 1)
        size = self.geometry.rows * self.geometry.columns
        low, high = np.searchsorted(self.cell, (array * size, (array + 1) * size))
        kind, value = self.kind[low:high], self.value[low:high].astype(np.int64)
        levels = np.zeros(size, np.int64)
        # flips give 0 XOR value, and a step from 0 can only go up
        levels[self.cell[low:high] - array * size] = np.where(kind == FaultKind.step, 1, value)
        return levels.reshape(self.geometry.rows, self.geometry.columns)

    def save(self, path: str | Path) -> Path:
        """Write the map as a safetensors file; an earlier file survives a failure. See `load`."""
        content = to_bytes(self)
        return write_atomically(path, lambda temporary: temporary.write_bytes(content))

    @staticmethod
    def load(path: str | Path) -> FaultMap:
        """Read a map that `save` wrote.

        Raises
        ------
        InputError : no such file, not a fault map, truncated, or faults outside the geometry.
        """
        return read_fault_map(Path(path), FaultMap)

    def draw(self, path: str | Path, **options: Any) -> Path:
        """Draw the map into a PNG, SVG or PDF file; see `xbarsim.faults.drawing.draw_fault_map`."""
        return draw_fault_map(self, path, **options)

    @property
    def _parts(self) -> tuple[NDArray, ...]:
        return self.cell, self.kind, self.value

    @property
    def _codes(self) -> NDArray:
        return self.kind

    def _with(self, *parts: NDArray) -> FaultMap:
        cell, kind, value = parts
        return FaultMap(geometry=self.geometry, cell=cell, kind=kind, value=value)

    def _fault(self, *fields: int) -> CellFault:
        array, row, column, kind, value = fields
        return CellFault(array, row, column, FaultKind(kind).name, value)

    def _places(self, chosen: Any) -> Any:
        """Masks as they are; numbers in the order of the cells, each once."""
        if chosen.dtype == np.bool_:
            return chosen
        return np.unique(np.arange(len(self))[chosen])

    def _remaining(self, parts: Sequence[NDArray], older: int) -> NDArray:
        cell, kind, _ = parts
        late = np.concatenate([np.zeros(older), np.ones(len(cell) - older)])
        order = np.lexsort((late, are_permanent(kind), cell))
        last = np.append(np.diff(cell[order]) != 0, True)[: len(order)]
        return order[last]

    def _check_alike(self, other: FaultMap) -> None:
        if self.geometry != other.geometry:
            raise InputError("fault map", str(self.geometry), str(other.geometry), "use maps of one chip")


@dataclass(frozen=True, kw_only=True)
class FaultMapDifference:
    """How a map differs from the true one: cells equal, of another kind or level, missing, extra."""

    equal: int
    different: int
    missing: int
    extra: int

    @property
    def exact(self) -> bool:
        """True if the maps are the same."""
        return not (self.different or self.missing or self.extra)


def _check_faults(
    geometry: CellGeometry, cell: NDArray[np.int64], kind: NDArray[np.int64], value: NDArray[np.int64]
) -> None:
    if not len(cell):
        return
    top = geometry.levels - 1
    if cell[0] < 0 or cell[-1] >= geometry.cells:
        bad = int(cell[0] if cell[0] < 0 else cell[-1])
        raise InputError("FaultMap.cell", f"0..{geometry.cells - 1} ({geometry})", bad)
    if (np.diff(cell) == 0).any():
        twice = int(cell[1:][np.diff(cell) == 0][0])
        raise InputError(
            "FaultMap.cell", "at most one fault a cell", f"two in cell {twice}", "merge the maps"
        )
    if kind.min() < 0 or kind.max() > max(FaultKind):
        raise InputError("FaultMap.kind", f"0..{max(FaultKind)}", f"{kind.min()}..{kind.max()}")
    step = kind == FaultKind.step
    low = np.where(kind == FaultKind.flip, 1, 0)
    wrong = np.where(step, np.abs(value) != 1, (value < low) | (value > top))
    if wrong.any():
        raise InputError(
            "FaultMap.value",
            f"a level 0..{top} for stuck cells, 1..{top} for flips, +1 or -1 for steps",
            f"{int(value[wrong][0])} for {FaultKind(int(kind[wrong][0])).name}",
        )
