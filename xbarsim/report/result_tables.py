"""The tables of a campaign."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

from xbarsim.campaigns.store import TaskStatus
from xbarsim.metrics.intervals import Estimate
from xbarsim.report.columns import PARTS, check_columns, told_apart, value_of
from xbarsim.report.tables import Table


def interval(found: Estimate) -> tuple[str, str, str]:
    """Value and ends in %; no ends of a single chip."""
    ends = [f"{100 * end:.2f}" if math.isfinite(end) else "" for end in (found.low, found.high)]
    return f"{100 * found.value:.2f}", ends[0], ends[1]


class Described(NamedTuple):
    """Tasks as rows of words: headings, a row a task, and what all of them have in common."""

    headings: list[str]
    rows: list[list[str]]
    common: str


def described(tasks: Sequence[TaskStatus], by: Sequence[str] = PARTS) -> Described:
    """Return the columns `by` of every task, and what else tells tasks apart.

    Columns that are empty everywhere are left out; of the usual ones, those in which all tasks are the same
    are said once instead.
    """
    check_columns(tasks, by)
    cells = [[_cell(value_of(task, column)) for column in by] for task in tasks]
    same = [len({row[place] for row in cells}) == 1 for place in range(len(by))]
    said = [s and len(tasks) > 1 and column in PARTS[:3] for s, column in zip(same, by, strict=True)]
    kept = [place for place in range(len(by)) if not said[place] and any(row[place] for row in cells)]
    apart = told_apart(tasks, by)
    more = any(apart)
    headings = [by[place] for place in kept] + (["with"] if more else [])
    rows = [
        [row[place] for place in kept] + ([words] if more else [])
        for row, words in zip(cells, apart, strict=True)
    ]
    common = [cells[0][place] for place in range(len(by)) if said[place] and cells[0][place]]
    return Described(headings, rows, ", ".join(common))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


def task_table(tasks: Sequence[TaskStatus], *, by: Sequence[str] = PARTS) -> Table:
    """Every task with its estimate."""
    headings, rows, common = described(tasks, by)
    cells = [
        (
            task.key[:8],
            *row,
            *(interval(task.moments.estimate()) if task.done else ("", "", "")),
            f"{task.done:,}",
            _of(task),
        )
        for task, row in zip(tasks, rows, strict=True)
    ]
    return Table(
        title=f"Tasks: {common}" if common else "Tasks",
        columns=("task", *headings, "mean [%]", "from", "to", "trials", "planned"),
        rows=tuple(cells),
        note="Accuracies are means over chips (Student's t), detections are rates (Wilson); intervals at "
        f"95 %.{unsound_rows(tasks)}",
    )


def unsound_rows(tasks: Sequence[TaskStatus]) -> str:
    """Return a sentence about stored rows that cannot be and are left out; nothing where there are none."""
    found = [f"task {task.key[:8]} has {task.unsound}" for task in tasks if task.unsound]
    return f" Rows that cannot be are left out: {'; '.join(found)}." if found else ""


def _of(task: TaskStatus) -> str:
    return f"{task.planned:,}" + (f", until {task.stop}" if task.stop else "")


def failure_table(tasks: Sequence[TaskStatus], failures: Sequence[tuple[int, int, str]]) -> Table:
    """What went wrong, by error."""
    keys = {task.id: task.key[:8] for task in tasks}
    rows = [(keys.get(task, str(task)), f"{trial}", error) for task, trial, error in failures[-200:]]
    return Table(
        title="Failed trials",
        columns=("task", "trial", "error"),
        rows=tuple(rows),
        note=f"{len(failures):,} attempts failed; the latest {len(rows)}. The next run tries again.",
    )


def run_table(runs: Sequence[tuple[int, str, str, str]]) -> Table:
    """Who wrote the store."""
    rows = [
        (str(number), started[:19], command or "from Python", _versions(versions))
        for number, started, command, versions in runs
    ]
    return Table(
        title="Runs",
        columns=("run", "began (UTC)", "command", "versions"),
        rows=tuple(rows),
        note="The same command again makes what is missing, and nothing else.",
    )


def _versions(text: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(text).items())
