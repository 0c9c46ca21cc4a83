"""From what a March test read to what is wrong with the cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.detection.march.memory import MarchResult


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Mismatching cells: stuck ones with their level, and the others (coupling, transition, ...)."""

    stuck_cells: NDArray[np.int64]
    stuck_levels: NDArray[np.int64]
    other_cells: NDArray[np.int64]


def diagnose(result: MarchResult) -> Diagnosis:
    """A mismatching cell that read the same level every time is stuck at it; what else mismatched is not.

    A cell that cannot make a transition reads the same as a stuck one and is called stuck.
    """
    wrong = result.syndrome != 0
    constant = result.lowest_read == result.highest_read
    stuck = np.flatnonzero(wrong & constant)
    return Diagnosis(stuck, result.lowest_read[stuck], np.flatnonzero(wrong & ~constant))
