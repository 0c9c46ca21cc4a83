"""Write the closest values that the stuck cells can act as: no training, no data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from xbarsim.chip import Repaired
from xbarsim.crossbar.closest import project_graph
from xbarsim.hints import check_fields
from xbarsim.repair.diagnosis import Diagnosis
from xbarsim.repair.writing import check_writable
from xbarsim.rng import Trial


@dataclass(frozen=True, kw_only=True)
class ClosestValues:
    """Every weight becomes the nearest one that its cells, stuck ones among them, can act as.

    Parameters
    ----------
    diagnosis : how the stuck cells become known

    Source: see `xbarsim.crossbar.closest`.
    """

    diagnosis: Diagnosis = field(default_factory=Diagnosis)

    def __post_init__(self) -> None:
        check_fields(self)

    def repair(self, chip: Any, subject: Any, trial: Trial) -> Repaired:
        """Return the chip with these values written; counts `stuck_cells` and `cell_writes`."""
        check_writable("closest-values", chip)
        known, masks = self.diagnosis.masks(chip, subject, trial)
        written = chip.update(project_graph(chip.graph, chip.weight_format, masks))
        counts = {"stuck_cells": len(known), "cell_writes": written.write_cost.cell_writes}
        return Repaired(chip=written, counts=counts)
