"""What can be wrong with a cell, and the cells of a chip.

`stuck_hrs` holds the lowest conductance (level 0), `stuck_lrs` the highest (level
L - 1), `stuck_at` any level; these are permanent. `flip` and `step` are soft, cured by a refresh: a flip
moves the level to another one (level XOR value, value drawn uniformly from 1..L-1, so every other level is
equally likely; for SLC it is the bit flip), a step moves it one up or down (at either end it takes the
only neighbour there is). Source of the soft models: RRAMedy, section IV-B.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from xbarsim.errors import InputError, check_int


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
        return self <= FaultKind.stuck_at


@dataclass(frozen=True, kw_only=True)
class CellGeometry:
    """The cells of a chip: `arrays` arrays of `rows` x `columns` cells with `levels` levels each."""

    arrays: int
    rows: int = 128
    columns: int = 128
    levels: int = 4

    def __post_init__(self) -> None:
        check_int("CellGeometry.arrays", self.arrays, 1, 10**7)
        check_int("CellGeometry.rows", self.rows, 1, 65536)
        check_int("CellGeometry.columns", self.columns, 1, 65536)
        if self.levels not in (2, 4, 8, 16):
            raise InputError("CellGeometry.levels", "2, 4, 8 or 16", repr(self.levels))

    @property
    def cells(self) -> int:
        """Number of cells, used or not."""
        return self.arrays * self.rows * self.columns

    def __str__(self) -> str:
        return f"{self.arrays} arrays of {self.rows} x {self.columns} cells with {self.levels} levels"
