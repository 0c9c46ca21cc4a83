"""What a chip is to the rest of the program, and what a run costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.masks import CellMasks
from xbarsim.graph.integer_graph import IntegerGraph


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cycle-approximate cost of a run or a write; see docs/architecture.md, "Cost"."""

    latency_ns: float
    energy_pJ: float
    cell_writes: int = 0


class Chip(Protocol):
    """An accelerator with a network programmed into it and a fault map. Changes give a new one.

    `accel_models.reram.chip.program` makes one for ReRAM arrays.
    """

    @property
    def graph(self) -> IntegerGraph:
        """The network it was programmed with."""

    @property
    def geometry(self) -> CellGeometry:
        """Its cells."""

    @property
    def fault_map(self) -> FaultMap:
        """Its faults."""

    def inject(self, fault_map: FaultMap) -> Chip:
        """The chip with these faults on top of the ones it has."""

    def run(self, images: NDArray[np.floating]) -> tuple[NDArray[np.float64], Cost]:
        """Logits of (N, ...) images, and what they cost."""

    def training_masks(self) -> dict[tuple[str, int], CellMasks]:
        """Masks of the permanent faults on the weights' words, by (layer, group)."""
