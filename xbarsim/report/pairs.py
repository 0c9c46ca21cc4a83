"""Repairs held against one of them, chip by chip: what chips have in common cancels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xbarsim.campaigns.store import TaskStatus
from xbarsim.errors import InputError, check_choice
from xbarsim.metrics.intervals import Estimate, paired_difference
from xbarsim.report.columns import entries
from xbarsim.report.result_tables import described
from xbarsim.report.tables import Table

if TYPE_CHECKING:
    import pandas as pd

PLAIN = "as-it-is"  # the repair that others are held against


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A repair on the same chips as another: how much higher it is, over `chips` chips."""

    task: TaskStatus
    chips: int
    gain: Estimate


def paired(tasks: Sequence[TaskStatus], trials: pd.DataFrame, *, against: str = PLAIN) -> list[Pair]:
    """Return every repair against one of them, where all but the repair is the same.

    Parameters
    ----------
    trials : the table of `read_frame`

    Raises
    ------
    InputError : a repair to compare with that no task has, or several that differ in their fields.
    """
    if against != PLAIN:
        check_choice("repair to compare with", against, {repair_name(task) for task in tasks} - {""})
    named: dict[str, list[TaskStatus]] = {}
    for task in tasks:
        named.setdefault(_but_repair(task), []).append(task)
    found = []
    for task in tasks:
        others = [o for o in named[_but_repair(task)] if repair_name(o) == against and o.key != task.key]
        if repair_name(task) == against or not others:
            continue
        if len(others) > 1:
            expected = "one repair of that name"
            raise InputError(
                "repair to compare with", expected, f"{len(others)} of {against!r}", "choose tasks"
            )
        mine, theirs = (trials[trials["task"] == key] for key in (task.key, others[0].key))
        both = mine.merge(theirs, on="trial", suffixes=("", "_b"))
        if len(both):
            after, before = both["hits"] / both["shots"], both["hits_b"] / both["shots_b"]
            gain = paired_difference(after.tolist(), before.tolist())
            found.append(Pair(task=task, chips=len(both), gain=gain))
    return found


def repair_name(task: TaskStatus) -> str:
    """Return the name of a task's repair; empty if it has none."""
    repair = task.description.get("repair")
    return str(repair.get("name", "")) if isinstance(repair, Mapping) else str(repair or "")


def _but_repair(task: TaskStatus) -> str:
    own = entries(task)
    return repr(sorted((name, repr(value)) for name, value in own.items() if not name.startswith("repair")))


def pair_table(pairs: Sequence[Pair], *, against: str = PLAIN) -> Table:
    """Return the gains of repairs over one of them, on the same chips."""
    headings, rows, common = described([pair.task for pair in pairs])
    cells = []
    for pair, row in zip(pairs, rows, strict=True):
        gain = [f"{100 * value:+.2f}" for value in (pair.gain.value, pair.gain.low, pair.gain.high)]
        cells.append((*row, *gain, f"{pair.chips:,}"))
    return Table(
        title=f"Repairs against {against}, on the same chips" + (f": {common}" if common else ""),
        columns=(*headings, "gain [points]", "from", "to", "chips"),
        rows=tuple(cells),
        note="Accuracy with the repair less accuracy with the other, chip by chip. Intervals at 95 % "
        "(Student's t).",
    )
