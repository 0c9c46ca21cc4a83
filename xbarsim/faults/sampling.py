"""Drawing fault maps: by rate, by count, along rows and columns, in clusters.

Every sampler takes the geometry, a numpy Generator and a `FaultMix`; the same generator state gives the
same map on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError, check_choice, check_int, check_rate, check_type
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry, FaultKind
from xbarsim.hints import check_fields
from xbarsim.limits import check_memory
from xbarsim.rng import stream

SPARSE = 50

MOST_SHARE = 1e9


@dataclass(frozen=True, kw_only=True)
class FaultMix:
    """In which proportion the kinds of fault occur; the shares need not add up to 1.

    >>> FaultMix(stuck_hrs=1.75, stuck_lrs=9.04).probabilities.round(3).tolist()
    [0.162, 0.838, 0.0, 0.0, 0.0]
    """

    stuck_hrs: float = 0.0
    stuck_lrs: float = 0.0
    stuck_at: float = 0.0
    flip: float = 0.0
    step: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        shares = self._shares
        if not all(0 <= s <= MOST_SHARE for s in shares) or sum(shares) <= 0:
            raise InputError("FaultMix", "finite shares of at least 0, one of them above 0", str(shares))

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(kinds,) in the order of `FaultKind`."""
        shares = np.array(self._shares, float)
        return shares / shares.sum()

    @property
    def kinds(self) -> tuple[FaultKind, ...]:
        """The kinds that occur."""
        return tuple(kind for kind, share in zip(FaultKind, self._shares, strict=True) if share)

    def check_only(self, where: str, allowed: Sequence[FaultKind], remedy: str) -> None:
        """Refuse a mix with other kinds than these."""
        if not set(self.kinds) <= set(allowed):
            names = [kind.name for kind in allowed]
            expected = f"{', '.join(names[:-1])} and {names[-1]} alone"
            raise InputError(where, expected, ", ".join(kind.name for kind in self.kinds), remedy)

    @property
    def _shares(self) -> list[float]:
        return [getattr(self, kind.name) for kind in FaultKind]


def mix_presets() -> dict[str, FaultMix]:
    """The named mixes.

    `even`: stuck_hrs and stuck_lrs alike (RRAMedy gives no ratio). `measured`: 1.75 : 9.04, stuck off to
    stuck on (Wang et al., see "Sources" in docs/architecture.md). `hrs`, `lrs`: one alone. `level`: stuck
    at a uniformly drawn level. `flip`: soft, any other level. `step`: soft, one level up or down.
    """
    return {
        "even": FaultMix(stuck_hrs=1, stuck_lrs=1),
        "measured": FaultMix(stuck_hrs=1.75, stuck_lrs=9.04),
        "hrs": FaultMix(stuck_hrs=1),
        "lrs": FaultMix(stuck_lrs=1),
        "level": FaultMix(stuck_at=1),
        "flip": FaultMix(flip=1),
        "step": FaultMix(step=1),
    }


def mix_of(where: str, mix: str | FaultMix) -> FaultMix:
    """Return a mix, or the preset of a name.

    Raises
    ------
    InputError : an unknown name, what is neither.
    """
    if isinstance(mix, FaultMix):
        return mix
    check_type(where, mix, str, "or a FaultMix")
    presets = mix_presets()
    return presets[check_choice(where, mix, presets)]


def words_of_mix(mix: str | FaultMix) -> str:
    """Return a mix as people read it: its name, or its shares.

    >>> words_of_mix(FaultMix(stuck_hrs=1, flip=0.5))
    'stuck_hrs 1, flip 0.5'
    """
    if isinstance(mix, str):
        return mix
    return ", ".join(f"{kind.name} {getattr(mix, kind.name):g}" for kind in mix.kinds)


def sample_by_rate(
    geometry: CellGeometry, rate: float, *, mix: FaultMix, rng: np.random.Generator
) -> FaultMap:
    """Every cell is faulty with probability `rate`, independently.

    >>> g = CellGeometry(arrays=1)
    >>> len(sample_by_rate(g, 0.01, mix=FaultMix(stuck_hrs=1), rng=np.random.default_rng(0)))
    144
    """
    check_rate("rate", rate)
    return sample_by_count(geometry, int(rng.binomial(geometry.cells, rate)), mix=mix, rng=rng)


def sample_trial(geometry: CellGeometry, rate: float, *, mix: FaultMix, seed: int, trial: int) -> FaultMap:
    """The faulty cells of a trial's chip: the same in every study and campaign, whatever else is drawn."""
    return sample_by_rate(geometry, rate, mix=mix, rng=stream(seed, "faults", trial))


def sample_by_count(
    geometry: CellGeometry, count: int, *, mix: FaultMix, rng: np.random.Generator
) -> FaultMap:
    """Exactly `count` faulty cells, every set of cells equally likely."""
    check_int("count", count, 0, geometry.cells)
    _check_memory(count)
    if SPARSE * count > geometry.cells:  # then numpy draws from a list of all cells
        check_memory("faults", 8.0 * geometry.cells, f"{count:,} of {geometry.cells:,} cells")
    cells = rng.choice(geometry.cells, count, replace=False, shuffle=False)
    return _with_kinds(geometry, cells, mix, rng)


def sample_rows(geometry: CellGeometry, count: int, *, mix: FaultMix, rng: np.random.Generator) -> FaultMap:
    """All cells of `count` whole rows (word lines), drawn over all arrays."""
    lines = check_int("rows", count, 0, geometry.arrays * geometry.rows)
    _check_memory(lines * geometry.columns)
    chosen = rng.choice(geometry.arrays * geometry.rows, lines, replace=False, shuffle=False)
    cells = chosen[:, None] * geometry.columns + np.arange(geometry.columns)
    return _with_kinds(geometry, cells.reshape(-1), mix, rng)


def sample_columns(
    geometry: CellGeometry, count: int, *, mix: FaultMix, rng: np.random.Generator
) -> FaultMap:
    """All cells of `count` whole columns (bit lines), drawn over all arrays."""
    lines = check_int("columns", count, 0, geometry.arrays * geometry.columns)
    _check_memory(lines * geometry.rows)
    chosen = rng.choice(geometry.arrays * geometry.columns, lines, replace=False, shuffle=False)
    array, column = np.divmod(chosen, geometry.columns)
    rows = array[:, None] * geometry.rows + np.arange(geometry.rows)
    return _with_kinds(geometry, (rows * geometry.columns + column[:, None]).reshape(-1), mix, rng)


def sample_clusters(
    geometry: CellGeometry,
    count: int,
    *,
    radius: int,
    mix: FaultMix,
    rng: np.random.Generator,
) -> FaultMap:
    """All cells within `radius` cells (Euclidean) of `count` centres; discs end at the array's edge."""
    check_int("clusters", count, 0, geometry.cells)
    check_int("radius", radius, 0, max(geometry.rows, geometry.columns))
    _check_memory(count * (2 * radius + 1) ** 2)
    offset = np.arange(-radius, radius + 1)
    dr, dc = (d.reshape(-1) for d in np.meshgrid(offset, offset, indexing="ij"))
    inside = dr**2 + dc**2 <= radius**2
    line, column = np.divmod(
        rng.choice(geometry.cells, count, replace=False, shuffle=False), geometry.columns
    )
    array, row = np.divmod(line, geometry.rows)
    rows, columns = row[:, None] + dr[inside], column[:, None] + dc[inside]
    valid = (rows >= 0) & (rows < geometry.rows) & (columns >= 0) & (columns < geometry.columns)
    cells = (array[:, None] * geometry.rows + rows) * geometry.columns + columns
    return _with_kinds(geometry, np.unique(cells[valid]), mix, rng)


def _check_memory(count: int) -> None:
    """Refuse more faulty cells than fit: places, kinds and values, some of them several times."""
    check_memory("faults", 64.0 * count, f"{count:,} faulty cells")


def _with_kinds(
    geometry: CellGeometry, cells: NDArray[np.int64], mix: FaultMix, rng: np.random.Generator
) -> FaultMap:
    kind, value = draw_kinds(len(cells), geometry.levels, mix, rng)
    return FaultMap.from_cells(geometry, cells, kind, value)


def draw_kinds(
    count: int, levels: int, mix: FaultMix, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Kinds and values, (count,) each, as in `FaultMap`; those of stuck_hrs and stuck_lrs are not set."""
    kind = rng.choice(len(FaultKind), count, p=mix.probabilities)
    level = rng.integers(0, levels, count)
    flip = rng.integers(1, levels, count)
    step = rng.choice([-1, 1], count)
    return kind, np.select([kind == FaultKind.step, kind == FaultKind.flip], [step, flip], level)
