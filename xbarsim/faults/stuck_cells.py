"""Stuck cells as a fault model: what a training draws anew for every batch and what chips are tested with.

Each cell is stuck with probability `rate`, independently, and how, `mix` says. Source: Wang et al. (see
"Sources" in docs/architecture.md), section III-A: P_sa = P_sa0 + P_sa1, stuck off to stuck on as 1.75 : 9.04.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarsim.cells.encoding import WeightFormat
from xbarsim.errors import check_rate
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry, FaultKind, with_fixed_levels
from xbarsim.faults.masks import CellMasks, masks_of_cells
from xbarsim.faults.places import check_draw
from xbarsim.faults.sampling import FaultMix, draw_kinds, mix_of, sample_by_rate, words_of_mix
from xbarsim.hints import check_fields


@dataclass(frozen=True, kw_only=True)
class StuckCells:
    """Every cell is stuck with probability `rate`.

    Parameters
    ----------
    rate : 0..1
    mix : name of a preset, or in which proportion cells are stuck_hrs, stuck_lrs, or stuck_at an even level;
        'measured' is 1.75 : 9.04

    Raises
    ------
    InputError : a rate outside 0..1, an unknown mix, one with soft faults, which no training can hold
        against.
    """

    rate: float
    mix: str | FaultMix = "measured"

    def __post_init__(self) -> None:
        check_fields(self)
        check_rate("StuckCells.rate", self.rate)
        permanent = [kind for kind in FaultKind if kind.permanent]
        remedy = "use SoftCells: soft faults are cured by a refresh"
        self.fault_mix.check_only("StuckCells.mix", permanent, remedy)

    @property
    def fault_mix(self) -> FaultMix:
        """The mix that a name means."""
        return mix_of("StuckCells.mix", self.mix)

    @property
    def words(self) -> str:
        """What people read."""
        return f"{100 * self.rate:g} % stuck, {words_of_mix(self.mix)}"

    def draw(self, geometry: CellGeometry, rng: np.random.Generator) -> FaultMap:
        """Draw the stuck cells of a chip."""
        check_draw(self, geometry, CellGeometry, rng)
        return sample_by_rate(geometry, self.rate, mix=self.fault_mix, rng=rng)

    def draw_masks(self, weights: int, form: WeightFormat, rng: np.random.Generator) -> CellMasks:
        """Masks (weights,) on the stored words of so many weights: the cells of all of them, drawn anew."""
        cells = weights * form.digits
        chosen = rng.choice(cells, int(rng.binomial(cells, self.rate)), replace=False, shuffle=False)
        kind, value = draw_kinds(len(chosen), form.levels, self.fault_mix, rng)
        value = with_fixed_levels(kind, value, form.levels)
        weight, digit = np.divmod(chosen, form.digits)
        return masks_of_cells(
            np.zeros(weights, np.int64),
            weight=weight,
            digit=digit,
            kind=kind.astype(np.uint8),
            value=value.astype(np.int8),
            cell_bits=form.cell_bits,
        )
