"""What can be wrong with a cell, and the cells of a chip.

`stuck_hrs` holds the lowest conductance (level 0), `stuck_lrs` the highest (level
L - 1), `stuck_at` any level; these are permanent. `flip` and `step` are soft, cured by a refresh: a flip
moves the level to another one (level XOR value, value drawn uniformly from 1..L-1, so every other level is
equally likely; for SLC it is the bit flip), a step moves it one up or down (at either end it takes the
only neighbour there is). Source of the soft models: RRAMedy, section IV-B.

The kinds' numbers are codes in files and say nothing: what a kind is like stands in `CELL_KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError, check_int
from xbarsim.hints import check_fields


class FaultKind(IntEnum):
    """What is wrong with a cell."""

    stuck_hrs = 0
    stuck_lrs = 1
    stuck_at = 2
    flip = 3
    step = 4

    @property
    def permanent(self) -> bool:
        """True for stuck cells, False for soft faults that a refresh cures."""
        return CELL_KINDS[self].permanent

    @property
    def needs_value(self) -> bool:
        """True if a fault of this kind is not described without a value."""
        return CELL_KINDS[self].stuck_to is None

    @property
    def colour(self) -> str:
        """What it is drawn in."""
        return CELL_KINDS[self].colour

    def fixed_level(self, levels: int) -> int | None:
        """Return the level that all such cells have, of cells with so many; None if the value says it.

        >>> FaultKind.stuck_lrs.fixed_level(4)
        3
        """
        return {None: None, "lowest": 0, "highest": levels - 1}[CELL_KINDS[self].stuck_to]


@dataclass(frozen=True, kw_only=True)
class CellKind:
    """What a kind of fault is like.

    Attributes
    ----------
    permanent : whether a refresh leaves it
    colour : of drawings
    stuck_to : the level that all such cells have; None where a value belongs to the fault
    """

    permanent: bool
    colour: str
    stuck_to: Literal["lowest", "highest"] | None = None


CELL_KINDS: Mapping[FaultKind, CellKind] = MappingProxyType(
    {
        FaultKind.stuck_hrs: CellKind(permanent=True, colour="#3b6fb6", stuck_to="lowest"),
        FaultKind.stuck_lrs: CellKind(permanent=True, colour="#c8452f", stuck_to="highest"),
        FaultKind.stuck_at: CellKind(permanent=True, colour="#7a4fa3"),
        FaultKind.flip: CellKind(permanent=False, colour="#d99a1c"),
        FaultKind.step: CellKind(permanent=False, colour="#4f9a63"),
    }
)


def are_permanent(kind: NDArray) -> NDArray[np.bool_]:
    """Return where kinds (n,) are permanent: a mask (n,)."""
    return _any_of(kind, [k for k in FaultKind if k.permanent])


def need_values(kind: NDArray) -> NDArray[np.bool_]:
    """Return where kinds (n,) need a value: a mask (n,)."""
    return _any_of(kind, [k for k in FaultKind if k.needs_value])


def with_fixed_levels(kind: NDArray, value: NDArray, levels: int) -> NDArray:
    """Return values (n,) with the levels of the kinds (n,) that have a fixed one filled in."""
    for one in FaultKind:
        level = one.fixed_level(levels)
        if level is not None:
            value = np.where(kind == one, level, value)
    return value


def _any_of(kind: NDArray, wanted: list[FaultKind]) -> NDArray[np.bool_]:
    found = kind == wanted[0]
    for other in wanted[1:]:
        found |= kind == other
    return found


@dataclass(frozen=True, kw_only=True)
class CellGeometry:
    """The cells of a chip: `arrays` arrays of `rows` x `columns` cells with `levels` levels each."""

    arrays: int
    rows: int = 128
    columns: int = 128
    levels: int = 4

    def __post_init__(self) -> None:
        check_fields(self)
        check_int("CellGeometry.arrays", self.arrays, 1, 10**7)
        check_int("CellGeometry.rows", self.rows, 1, 65536)
        check_int("CellGeometry.columns", self.columns, 1, 65536)
        if check_int("CellGeometry.levels", self.levels, 2, 16) not in (2, 4, 8, 16):
            raise InputError("CellGeometry.levels", "2, 4, 8 or 16", repr(self.levels))

    @property
    def cells(self) -> int:
        """Number of cells, used or not."""
        return self.arrays * self.rows * self.columns

    def __str__(self) -> str:
        return f"{self.arrays} arrays of {self.rows} x {self.columns} cells with {self.levels} levels"
