"""A March test as a detector: a chip is faulty if any of its cells is diagnosed as stuck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from xbarsim.chip import Cost
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.chip import march_chip
from xbarsim.detection.march.latency import ADDRESSING, chip_march_latency_ns
from xbarsim.errors import InputError, check_choice
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.hints import check_fields
from xbarsim.rng import Trial

Addressing = Literal[
    "cell-serial-used", "cell-serial", "row-parallel", "array-parallel", "row-and-array-parallel"
]


@dataclass(frozen=True, kw_only=True)
class MarchDetector:
    """Run a March test on every cell of the chip.

    Parameters
    ----------
    march : its name or its notation
    addressing : what is tested at a time, for the latency
    restore : whether the latency counts the write that brings the contents back

    Raises
    ------
    InputError : an unknown test, one that a healthy memory would fail; an unknown addressing mode; a chip
    that     has no cells.
    """

    march: str = "March C-"
    addressing: Addressing = "row-parallel"
    restore: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        march_test(self.march).check_consistent()
        check_choice("addressing mode", self.addressing, ADDRESSING)

    threshold = 0.0

    @property
    def words(self) -> str:
        """What people read."""
        return f"{self.march}, {self.addressing}"

    def fits(self, subject: Any) -> bool:
        """Return whether a subject's chip has cells."""
        return isinstance(subject.chip.geometry, CellGeometry)

    def prepare(self, subject: Any) -> MarchDetector:
        """Return itself: nothing depends on the network."""
        return self

    def score(self, chip: Any, trial: Trial) -> float:
        """Return how many cells are diagnosed as stuck."""
        if not isinstance(chip.faults, FaultMap):
            raise InputError("detector march", "a chip of ReRAM cells", type(chip).__name__)
        return float(
            len(march_chip(chip.faults, march_test(self.march), rng=trial.stream("march")).fault_map)
        )

    def cost(self, chip: Any) -> Cost:
        """Return its latency by the addressing mode; its energy is not modelled (NaN)."""
        latency = chip_march_latency_ns(chip, march_test(self.march), self.addressing, restore=self.restore)
        return Cost(latency_ns=latency, energy_pJ=float("nan"))
