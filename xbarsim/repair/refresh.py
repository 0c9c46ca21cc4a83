"""Write every cell again: soft faults are gone, conductances are fresh, stuck cells stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xbarsim.chip import Repaired
from xbarsim.repair.writing import check_writable
from xbarsim.rng import Trial


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """Write every used cell again with what it held.

    Source: RRAMedy, section III-B (soft faults).
    """

    def repair(self, chip: Any, subject: Any, trial: Trial) -> Repaired:
        """Return the refreshed chip; counts `cell_writes`."""
        check_writable("refresh", chip)
        fresh = chip.refresh(trial.stream("refresh"))
        return Repaired(chip=fresh, counts={"cell_writes": fresh.write_cost.cell_writes})
