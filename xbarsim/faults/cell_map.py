"""Fault maps: which cell of which array is faulty, and how.

A map is plain data: at most one fault a cell, ordered by array, row and column. It knows the geometry of
the chip it belongs to, so that a fault outside the arrays cannot be stored.

The kinds of fault are those of `xbarsim.faults.kinds`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.errors import InputError
from xbarsim.faults.kinds import CellGeometry, FaultKind
from xbarsim.files import write_atomically


@dataclass(frozen=True, kw_only=True, eq=False)
class FaultMap:
    """Faulty cells of a chip; build it with `FaultMap.of` or a sampler of `xbarsim.faults.sampling`.

    Attributes
    ----------
    geometry : the cells it refers to
    cell : (n,) int64, sorted: (array * rows + row) * columns + column
    kind : (n,) uint8, `FaultKind`
    value : (n,) int8: level of a stuck cell, XOR of a flip, +1 or -1 of a step
    """

    geometry: CellGeometry
    cell: NDArray[np.int64]
    kind: NDArray[np.uint8]
    value: NDArray[np.int8]

    @classmethod
    def of(
        cls,
        geometry: CellGeometry,
        array: ArrayLike = (),
        row: ArrayLike = (),
        column: ArrayLike = (),
        kind: ArrayLike = (),
        value: ArrayLike | None = None,
    ) -> FaultMap:
        """Build a map from coordinates; scalars spread over the others.

        `kind` takes names or `FaultKind` values. `value` is needed for `stuck_at` (level), `flip` (XOR,
        1..L-1) and `step` (+1 or -1) and ignored for the other two.

        Raises
        ------
        InputError : a fault outside the arrays, a level the cells do not have, two faults in one cell.

        >>> g = CellGeometry(arrays=2)
        >>> print(FaultMap.of(g, array=1, row=[3, 5], column=7, kind="stuck_lrs"))
        2 faults in 2 arrays of 128 x 128 cells with 4 levels: 2 stuck_lrs
        """
        kinds = _kind_codes(kind)
        if value is None and (kinds > FaultKind.stuck_lrs).any():
            raise InputError("FaultMap.value", "values for stuck_at, flip and step", "none")
        given = np.zeros(1, np.int64) if value is None else _integers("value", value)
        coordinates = [_integers(n, v) for n, v in (("array", array), ("row", row), ("column", column))]
        try:
            a, r, c, k, v = np.broadcast_arrays(*coordinates, kinds, given)
        except ValueError as error:
            raise InputError("FaultMap", "columns of one length", str(error)) from error
        limits = (("array", a, geometry.arrays), ("row", r, geometry.rows), ("column", c, geometry.columns))
        for name, where, limit in limits:
            outside = (where < 0) | (where >= limit)
            if outside.any():
                raise InputError(
                    f"FaultMap.{name}",
                    f"0..{limit - 1} ({geometry})",
                    int(where[outside][0]),
                    "remove the fault or name the right geometry",
                )
        cell = (a * geometry.rows + r) * geometry.columns + c
        return cls.from_cells(geometry, cell, k, v)

    @classmethod
    def from_cells(
        cls, geometry: CellGeometry, cell: ArrayLike, kind: ArrayLike, value: ArrayLike
    ) -> FaultMap:
        """Build a map from flat cell numbers, kinds and values, (n,) each; sorted and checked here."""
        cells, kinds = _integers("cell", cell), _integers("kind", kind)
        values = _integers("value", value)
        if not cells.shape == kinds.shape == values.shape:
            raise InputError(
                "FaultMap", "columns of one length", f"{cells.shape}, {kinds.shape}, {values.shape}"
            )
        order = np.argsort(cells, kind="stable")
        cells, kinds, values = cells[order], kinds[order], values[order]
        values = np.where(kinds == FaultKind.stuck_hrs, 0, values)
        values = np.where(kinds == FaultKind.stuck_lrs, geometry.levels - 1, values)
        _check_faults(geometry, cells, kinds, values)
        return cls(geometry=geometry, cell=cells, kind=kinds.astype(np.uint8), value=values.astype(np.int8))

    def __len__(self) -> int:
        return len(self.cell)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FaultMap):
            return NotImplemented
        return self.geometry == other.geometry and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("cell", "kind", "value")
        )

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[tuple[int, int, int, str, int]]:
        """Yield (array, row, column, kind name, value) of every fault."""
        for a, r, c, k, v in zip(*self.coordinates, self.kind, self.value, strict=True):
            yield int(a), int(r), int(c), FaultKind(int(k)).name, int(v)

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {name}" for name, n in self.counts.items() if n)
        return f"{len(self)} faults in {self.geometry}" + (f": {kinds}" if kinds else "")

    @property
    def coordinates(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(array, row, column), (n,) each."""
        line, column = np.divmod(self.cell, self.geometry.columns)
        array, row = np.divmod(line, self.geometry.rows)
        return array, row, column

    @property
    def counts(self) -> dict[str, int]:
        """How many faults of each kind."""
        return {k.name: int(np.count_nonzero(self.kind == k)) for k in FaultKind}

    @property
    def permanent(self) -> FaultMap:
        """The stuck cells alone: what a refresh leaves."""
        return self._take(self.kind <= FaultKind.stuck_at)

    @property
    def soft(self) -> FaultMap:
        """The soft faults alone: what a refresh cures."""
        return self._take(self.kind > FaultKind.stuck_at)

    def rewritten(self, cells: NDArray[np.int64]) -> FaultMap:
        """What remains after these cells were written again: soft faults in them are cured."""
        return self._take((self.kind <= FaultKind.stuck_at) | ~np.isin(self.cell, cells))

    def as_stuck_levels(self) -> FaultMap:
        """The stuck cells in canonical kinds: `stuck_at` the end levels become stuck_hrs / stuck_lrs."""
        stuck = self.permanent
        kind = np.where(stuck.value == 0, FaultKind.stuck_hrs, FaultKind.stuck_at)
        kind = np.where(stuck.value == self.geometry.levels - 1, FaultKind.stuck_lrs, kind)
        return FaultMap.from_cells(self.geometry, stuck.cell, kind, stuck.value)

    def merge(self, other: FaultMap) -> FaultMap:
        """Both maps' faults; where they meet, a stuck cell wins over a soft one, else `other` wins.

        Raises
        ------
        InputError : the maps belong to different geometries.
        """
        self._check_same_geometry(other)
        cell = np.concatenate([self.cell, other.cell])
        kind = np.concatenate([self.kind, other.kind])
        value = np.concatenate([self.value, other.value])
        late = np.concatenate([np.zeros(len(self)), np.ones(len(other))])
        order = np.lexsort((late, kind <= FaultKind.stuck_at, cell))
        last = np.append(np.diff(cell[order]) != 0, True)[: len(order)]
        keep = order[last]
        return FaultMap.from_cells(self.geometry, cell[keep], kind[keep], value[keep])

    def compare(self, other: FaultMap) -> FaultMapDifference:
        """Hold `other` (say, a diagnosed map) against this one (the true map).

        Raises
        ------
        InputError : the maps belong to different geometries.
        """
        self._check_same_geometry(other)
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
        size = self.geometry.rows * self.geometry.columns
        low, high = np.searchsorted(self.cell, (array * size, (array + 1) * size))
        kind, value = self.kind[low:high], self.value[low:high].astype(np.int64)
        levels = np.zeros(size, np.int64)
        # flips give 0 XOR value, and a step from 0 can only go up
        levels[self.cell[low:high] - array * size] = np.where(kind == FaultKind.step, 1, value)
        return levels.reshape(self.geometry.rows, self.geometry.columns)

    def save(self, path: str | Path) -> Path:
        """Write the map as a safetensors file; an earlier file survives a failure. See `load`."""
        from xbarsim.faults.files import to_bytes

        content = to_bytes(self)
        return write_atomically(path, lambda temporary: temporary.write_bytes(content))

    @staticmethod
    def load(path: str | Path) -> FaultMap:
        """Read a map that `save` wrote.

        Raises
        ------
        InputError : no such file, not a fault map, truncated, or faults outside the geometry.
        """
        from xbarsim.faults.files import read_fault_map

        return read_fault_map(Path(path))

    def draw(self, path: str | Path, **options: Any) -> Path:
        """Draw the map into a PNG, SVG or PDF file; see `xbarsim.faults.drawing.draw_fault_map`."""
        from xbarsim.faults.drawing import draw_fault_map

        return draw_fault_map(self, path, **options)

    def _take(self, chosen: NDArray[np.bool_]) -> FaultMap:
        return FaultMap(
            geometry=self.geometry, cell=self.cell[chosen], kind=self.kind[chosen], value=self.value[chosen]
        )

    def _check_same_geometry(self, other: FaultMap) -> None:
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


def _integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    array = np.atleast_1d(np.asarray(values))
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"FaultMap.{name}", "a column of integers", f"{array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def _kind_codes(kind: ArrayLike) -> NDArray[np.int64]:
    names = np.atleast_1d(np.asarray(kind))
    if names.dtype.kind != "U":
        return _integers("kind", names)
    unknown = sorted(set(names.tolist()) - set(FaultKind.__members__))
    if unknown:
        raise InputError("FaultMap.kind", "one of " + ", ".join(FaultKind.__members__), repr(unknown[0]))
    return np.array([FaultKind[str(name)] for name in names], np.int64)


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
