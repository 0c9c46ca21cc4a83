"""What a repair knows of a chip's stuck cells: all of them, what a March test finds, or less than that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.chip import march_chip
from xbarsim.errors import check_rate
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.diagnosis import imperfect
from xbarsim.faults.masks import CellMasks
from xbarsim.hints import check_fields
from xbarsim.rng import Trial


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """How the stuck cells become known.

    Parameters
    ----------
    march : a March test, by name or in its notation, that is run on the chip; None for the true stuck cells,
        which is what March C- finds
    misses, false_positives : shares by which the map is worse than that, see `xbarsim.faults.diagnosis`

    Raises
    ------
    InputError : an unknown test, a share out of range.
    """

    march: str | None = None
    misses: float = 0.0
    false_positives: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_rate("misses", self.misses)
        check_rate("false_positives", self.false_positives)
        if self.march is not None:
            march_test(self.march).check_consistent()

    def stuck_cells(self, chip: Any, trial: Trial) -> FaultMap:
        """Return the stuck cells of a chip that are known, and those that are thought to be stuck."""
        if self.march is None:
            found = chip.faults.permanent.as_stuck_levels()
        else:
            found = march_chip(chip.faults, march_test(self.march), rng=trial.stream("march")).fault_map
        return imperfect(
            found,
            misses=self.misses,
            false_positives=self.false_positives,
            rng=trial.stream("diagnosis"),
        )

    def masks(
        self, chip: Any, subject: Any, trial: Trial
    ) -> tuple[FaultMap, dict[tuple[str, int], CellMasks]]:
        """Return the known map, and its masks on the words of the subject's weights."""
        known = self.stuck_cells(chip, trial)
        return known, subject.chip.inject(known).training_masks()
