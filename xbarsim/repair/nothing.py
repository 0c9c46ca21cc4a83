"""No repair: what the others are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xbarsim.chip import Repaired
from xbarsim.rng import Trial


@dataclass(frozen=True, kw_only=True)
class AsItIs:
    """Leave a chip as it is."""

    def repair(self, chip: Any, subject: Any, trial: Trial) -> Repaired:
        """Return the chip."""
        return Repaired(chip=chip, counts={})
