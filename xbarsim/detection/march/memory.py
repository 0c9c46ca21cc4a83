"""A March test on a memory with faults placed in its cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.detection.march.notation import DESCENDING, EITHER, MarchTest
from xbarsim.detection.march.primitives import FaultPrimitive
from xbarsim.errors import InputError, check_choice
from xbarsim.kernels.march import READ_OP, WRITE_OP, run_encoded


@dataclass(frozen=True, kw_only=True)
class PlacedFault:
    """A primitive in a victim cell, with its aggressor if it is a coupling or address fault of two cells."""

    primitive: FaultPrimitive
    victim: int
    aggressor: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class MarchResult:
    """What a test saw.

    Attributes
    ----------
    syndrome : (cells,) uint64, bit i set if the i-th read of the test mismatched at this address
    lowest_read, highest_read : (cells,) int64 levels
    operations : reads and writes in all
    """

    syndrome: NDArray[np.uint64]
    lowest_read: NDArray[np.int64]
    highest_read: NDArray[np.int64]
    operations: int

    @property
    def detected(self) -> bool:
        """True if any read mismatched."""
        return bool(self.syndrome.any())


def run_march(
    test: MarchTest,
    state: ArrayLike,
    *,
    levels: int = 2,
    faults: Iterable[PlacedFault] = (),
    stuck: tuple[ArrayLike, ArrayLike] = ((), ()),
    either: str | Sequence[bool] = "worst",
    coins: ArrayLike = (),
) -> MarchResult:
    """Run a test on a memory.

    Parameters
    ----------
    state : (cells,) initial levels; not changed
    levels : of a cell; a test that names only 0 and 1 uses the lowest and the highest
    stuck : (cells, levels) of stuck cells
    either : what ⇕ does: 'up', 'down', 'worst' (both, the one that finds less counts for each cell), or one
        choice (True descends) for every ⇕ in order
    coins : random bits that reads of an undefined state use, in turn

    Raises
    ------
    InputError : faults outside the memory, levels that the cells do not have.
    """
    if either == "worst":
        up, down = (
            run_march(test, state, levels=levels, faults=faults, stuck=stuck, either=e, coins=coins)
            for e in ("up", "down")
        )
        return _weaker(up, down)
    cells = np.array(state, np.int64)
    if cells.ndim != 1:
        raise InputError("March test", "cells in one row", f"shape {cells.shape}")
    faults = tuple(faults)
    top = levels - 1
    if test.top > top or (len(cells) and not 0 <= cells.min() <= cells.max() <= top):
        raise InputError("March test", f"levels 0..{top}", f"{test.name} up to {test.top}")
    syndrome, lowest, highest = run_encoded(
        cells,
        *encode_test(test, top),
        descending_orders(test, either),
        *encode_faults(faults, len(cells), top),
        _stuck_levels(stuck, len(cells), top),
        top,
        np.asarray(coins, np.int64),
    )
    return MarchResult(
        syndrome=syndrome,
        lowest_read=lowest,
        highest_read=highest,
        operations=len(test.operations) * len(cells),
    )


def encode_test(test: MarchTest, top: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Kinds and levels of all operations, and where each element begins, for the kernel."""
    scale = top if test.top <= 1 else 1
    kinds = np.array([READ_OP if op.kind == "r" else WRITE_OP for op in test.operations])
    levels = np.array([op.level * scale for op in test.operations])
    return kinds, levels, np.cumsum([0] + [len(e.operations) for e in test.elements])


def descending_orders(test: MarchTest, either: str | Sequence[bool]) -> NDArray[np.bool_]:
    """Whether each element descends, with `either` for every ⇕ (see `run_march`)."""
    open_orders = sum(e.order == EITHER for e in test.elements)
    if isinstance(either, str):
        check_choice("either", either, ("up", "down"))
        either = [either == "down"] * open_orders
    if len(either) != open_orders:
        raise InputError("either", f"one choice for each of {open_orders} open orders", len(either))
    choices = iter(either)
    return np.array([next(choices) if e.order == EITHER else e.order == DESCENDING for e in test.elements])


def _weaker(up: MarchResult, down: MarchResult) -> MarchResult:
    worse = np.where(up.syndrome == 0, True, np.bitwise_count(up.syndrome) < np.bitwise_count(down.syndrome))
    worse &= down.syndrome != 0
    take_up = worse | (up.syndrome == down.syndrome) | (up.syndrome == 0)
    return MarchResult(
        syndrome=np.where(take_up, up.syndrome, down.syndrome),
        lowest_read=np.where(take_up, up.lowest_read, down.lowest_read),
        highest_read=np.where(take_up, up.highest_read, down.highest_read),
        operations=up.operations,
    )


def _stuck_levels(stuck: tuple[ArrayLike, ArrayLike], cells: int, top: int) -> NDArray[np.int64]:
    where, level = (np.atleast_1d(np.asarray(part)) for part in stuck)
    whole = all(np.issubdtype(a.dtype, np.integer) or a.size == 0 for a in (where, level))
    if where.shape != level.shape or not whole or len(np.unique(where)) != len(where):
        raise InputError("stuck cells", "different cells with a level each", f"{where.size} and {level.size}")
    where, level = where.astype(np.int64), level.astype(np.int64)
    if len(where) and not (
        where.min() >= 0 and where.max() < cells and level.min() >= 0 and level.max() <= top
    ):
        raise InputError("stuck cells", f"cells 0..{cells - 1} at levels 0..{top}", "others")
    held = np.full(cells, -1, np.int64)
    held[where] = level
    return held


def encode_faults(
    faults: tuple[PlacedFault, ...], cells: int, top: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Faults as rows for the kernel, and which of them name each cell."""
    rows, touches = [], []
    for number, fault in enumerate(faults):
        p = fault.primitive
        aggressor = -1 if fault.aggressor is None else fault.aggressor
        if p.coupled != (aggressor >= 0) or aggressor == fault.victim:
            raise InputError(
                f"fault {p.name}", "an aggressor exactly if it couples two cells", str(aggressor)
            )
        if not (0 <= fault.victim < cells and aggressor < cells):
            raise InputError(f"fault {p.name}", f"cells 0..{cells - 1}", f"{fault.victim}, {aggressor}")
        level = [
            value * top if value > 0 else value for value in (p.a_state, p.a_level, p.v_state, p.v_level)
        ]
        faulty, read = (value * top if value > 0 else value for value in (p.faulty, p.read))
        rows.append(
            [
                p.kind,
                fault.victim,
                aggressor,
                level[0],
                p.a_op,
                level[1],
                level[2],
                p.v_op,
                level[3],
                faulty,
                read,
                p.count,
            ]
        )
        touches += [(c, number) for c in (fault.victim, aggressor) if c >= 0]
    touches.sort()
    named = np.array([c for c, _ in touches], np.int64)
    first = np.searchsorted(named, np.arange(cells + 1)).astype(np.int64)
    return np.array(rows, np.int64).reshape(-1, 12), first, np.array([n for _, n in touches], np.int64)
