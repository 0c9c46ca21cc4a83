"""Stuck cells as a fault model: what a training draws anew for every batch and what chips are tested with.

Each cell is stuck with probability `rate`, independently, and how, `mix` says. Source: Wang et al. (see
"Sources" in docs/architecture.md), section III-A: P_sa = P_sa0 + P_sa1, stuck off to stuck on as 1.75 : 9.04.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xbarsim.cells.encoding import WeightFormat
from xbarsim.errors import InputError, check_rate
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry, FaultKind
from xbarsim.faults.masks import CellMasks, masks_of_cells
from xbarsim.faults.sampling import FaultMix, draw_kinds, sample_by_rate


@dataclass(frozen=True, kw_only=True)
class StuckCells:
    """Every cell is stuck with probability `rate`.

    Parameters
    ----------
    rate : 0..1
    mix : in which proportion cells are stuck_hrs, stuck_lrs, or stuck_at an even level; 1.75 : 9.04 by
        default

    Raises
    ------
    InputError : a rate outside 0..1, a mix with soft faults, which no training can hold against.
    """

    rate: float
    mix: FaultMix = field(default_factory=lambda: FaultMix(stuck_hrs=1.75, stuck_lrs=9.04))

    def __post_init__(self) -> None:
        check_rate("StuckCells.rate", self.rate)
        if self.mix.flip or self.mix.step:
            expected = "stuck_hrs, stuck_lrs and stuck_at alone"
            raise InputError("StuckCells.mix", expected, str(self.mix), "soft faults are cured by a refresh")

    def sample(self, geometry: CellGeometry, rng: np.random.Generator) -> FaultMap:
        """The stuck cells of a chip, for `chip.inject`."""
        return sample_by_rate(geometry, self.rate, mix=self.mix, rng=rng)

    def draw_masks(self, weights: int, form: WeightFormat, rng: np.random.Generator) -> CellMasks:
        """Masks (weights,) on the stored words of so many weights: the cells of all of them, drawn anew."""
        cells = weights * form.digits
        chosen = rng.choice(cells, int(rng.binomial(cells, self.rate)), replace=False, shuffle=False)
        kind, value = draw_kinds(len(chosen), form.levels, self.mix, rng)
        value = np.where(kind == FaultKind.stuck_hrs, 0, value)
        value = np.where(kind == FaultKind.stuck_lrs, form.levels - 1, value)
        weight, digit = np.divmod(chosen, form.digits)
        return masks_of_cells(
            np.zeros(weights, np.int64),
            weight=weight,
            digit=digit,
            kind=kind.astype(np.uint8),
            value=value.astype(np.int8),
            cell_bits=form.cell_bits,
        )
