"""Fault models of cells beside stuck cells: soft faults by rate; any by number, in lines, in clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarsim.errors import check_int, check_rate
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry, FaultKind
from xbarsim.faults.places import check_draw
from xbarsim.faults.sampling import (
    FaultMix,
    mix_of,
    sample_by_count,
    sample_by_rate,
    sample_clusters,
    sample_columns,
    sample_rows,
    words_of_mix,
)
from xbarsim.hints import check_fields

MOST = 2**40


@dataclass(frozen=True, kw_only=True)
class SoftCells:
    """Every cell has a soft fault with probability `rate`, until it is written again.

    Parameters
    ----------
    rate : 0..1
    mix : name of a preset, or in which proportion cells flip or step

    Raises
    ------
    InputError : a rate outside 0..1, an unknown mix, one with stuck cells.
    """

    rate: float
    mix: str | FaultMix = "flip"

    def __post_init__(self) -> None:
        check_fields(self)
        check_rate("SoftCells.rate", self.rate)
        soft = [kind for kind in FaultKind if not kind.permanent]
        self.fault_mix.check_only("SoftCells.mix", soft, "use StuckCells")

    @property
    def fault_mix(self) -> FaultMix:
        """The mix that a name means."""
        return mix_of("SoftCells.mix", self.mix)

    @property
    def words(self) -> str:
        """What people read."""
        return f"{100 * self.rate:g} % soft, {words_of_mix(self.mix)}"

    def draw(self, geometry: CellGeometry, rng: np.random.Generator) -> FaultMap:
        """Draw the soft faults of a chip."""
        check_draw(self, geometry, CellGeometry, rng)
        return sample_by_rate(geometry, self.rate, mix=self.fault_mix, rng=rng)


@dataclass(frozen=True, kw_only=True)
class FaultyCount:
    """Exactly `count` faulty cells, every set of cells as likely.

    Raises
    ------
    InputError : a negative number, an unknown mix.
    """

    count: int
    mix: str | FaultMix = "measured"

    def __post_init__(self) -> None:
        check_fields(self)
        check_int("FaultyCount.count", self.count, 0, MOST)
        mix_of("FaultyCount.mix", self.mix)

    @property
    def words(self) -> str:
        """What people read."""
        return f"{_number(self.count, 'faulty cell')}, {words_of_mix(self.mix)}"

    def draw(self, geometry: CellGeometry, rng: np.random.Generator) -> FaultMap:
        """Draw the faults of a chip; refuses more than it has cells."""
        check_draw(self, geometry, CellGeometry, rng)
        return sample_by_count(geometry, self.count, mix=mix_of("FaultyCount.mix", self.mix), rng=rng)


@dataclass(frozen=True, kw_only=True)
class FaultyRows:
    """All cells of `rows` whole rows (word lines), drawn over all arrays.

    Raises
    ------
    InputError : a negative number, an unknown mix.
    """

    rows: int
    mix: str | FaultMix = "measured"

    def __post_init__(self) -> None:
        check_fields(self)
        check_int("FaultyRows.rows", self.rows, 0, MOST)
        mix_of("FaultyRows.mix", self.mix)

    @property
    def words(self) -> str:
        """What people read."""
        return f"{_number(self.rows, 'faulty row')}, {words_of_mix(self.mix)}"

    def draw(self, geometry: CellGeometry, rng: np.random.Generator) -> FaultMap:
        """Draw the faults of a chip; refuses more than it has rows."""
        check_draw(self, geometry, CellGeometry, rng)
        return sample_rows(geometry, self.rows, mix=mix_of("FaultyRows.mix", self.mix), rng=rng)


@dataclass(frozen=True, kw_only=True)
class FaultyColumns:
    """All cells of `columns` whole columns (bit lines), drawn over all arrays.

    Raises
    ------
    InputError : a negative number, an unknown mix.
    """

    columns: int
    mix: str | FaultMix = "measured"

    def __post_init__(self) -> None:
        check_fields(self)
        check_int("FaultyColumns.columns", self.columns, 0, MOST)
        mix_of("FaultyColumns.mix", self.mix)

    @property
    def words(self) -> str:
        """What people read."""
        return f"{_number(self.columns, 'faulty column')}, {words_of_mix(self.mix)}"

    def draw(self, geometry: CellGeometry, rng: np.random.Generator) -> FaultMap:
        """Draw the faults of a chip; refuses more than it has columns."""
        check_draw(self, geometry, CellGeometry, rng)
        return sample_columns(geometry, self.columns, mix=mix_of("FaultyColumns.mix", self.mix), rng=rng)


@dataclass(frozen=True, kw_only=True)
class FaultyClusters:
    """All cells within `radius` cells of `clusters` centres, in the centre's array.

    Raises
    ------
    InputError : a negative number, an unknown mix.
    """

    clusters: int
    radius: int = 2
    mix: str | FaultMix = "measured"

    def __post_init__(self) -> None:
        check_fields(self)
        check_int("FaultyClusters.clusters", self.clusters, 0, MOST)
        check_int("FaultyClusters.radius", self.radius, 0, MOST)
        mix_of("FaultyClusters.mix", self.mix)

    @property
    def words(self) -> str:
        """What people read."""
        return f"{_number(self.clusters, 'cluster')} of radius {self.radius}, {words_of_mix(self.mix)}"

    def draw(self, geometry: CellGeometry, rng: np.random.Generator) -> FaultMap:
        """Draw the faults of a chip; refuses more centres than it has cells."""
        check_draw(self, geometry, CellGeometry, rng)
        mix = mix_of("FaultyClusters.mix", self.mix)
        return sample_clusters(geometry, self.clusters, radius=self.radius, mix=mix, rng=rng)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
