"""An array behind resistive wires: its effective matrix, exact, by elimination column by column.

With every row driven or held at 0 V the network is linear in the drivers' voltages: I = V M. Word line r runs
from its driver past columns 0, 1, ... to an open end; bit line c runs from an open end past rows 0, 1, ... to
its sense amplifier at virtual ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import check_number
from xbarsim.hints import check_fields
from xbarsim.kernels.wires import effective_matrix

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Wires:
    """Resistances of an array, in ohms.

    Parameters
    ----------
    word_ohm, bit_ohm : of a wire segment between two neighbouring cells
    source_ohm : between a driver and the first cell of its word line
    sense_ohm : between the last cell of a bit line and virtual ground
    """

    word_ohm: float = 1.0
    bit_ohm: float = 1.0
    source_ohm: float = 0.0
    sense_ohm: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("word_ohm", "bit_ohm", "source_ohm", "sense_ohm"):
            check_number(f"Wires.{name}", getattr(self, name), 0, 1e6, "give ohms")

    @property
    def ideal(self) -> bool:
        """Whether nothing resists."""
        return not (self.word_ohm or self.bit_ohm or self.source_ohm or self.sense_ohm)


def effective_conductances(g_uS: NDArray[np.floating], wires: Wires) -> Floats:
    """(rows, columns) matrix M in uS with I = V M, for cells of (rows, columns) conductances in uS.

    Exact for the linear network; rows that are not driven are held at 0 V (a floating row is another model,
    not built here).
    """
    if wires.ideal:
        return np.asarray(g_uS, np.float64)
    siemens = np.ascontiguousarray(np.asarray(g_uS, np.float64).T * 1e-6)
    ohms = wires.word_ohm, wires.bit_ohm, wires.source_ohm, wires.sense_ohm
    return effective_matrix(siemens, *map(float, ohms)).T * 1e6
