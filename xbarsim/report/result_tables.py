"""The tables of a campaign."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from xbarsim.campaigns.store import TaskStatus
from xbarsim.metrics.intervals import Estimate
from xbarsim.report.columns import PARTS, check_columns, told_apart, value_of
from xbarsim.report.tables import Table


def interval(found: Estimate) -> tuple[str, str, str]:
    """Value and ends in %; no ends of a single chip."""
    ends = [f"{100 * end:.2f}" if math.isfinite(end) else "" for end in (found.low, found.high)]
    return f"{100 * found.value:.2f}", ends[0], ends[1]


def described(tasks: Sequence[TaskStatus], by: Sequence[str] = PARTS) -> tuple[list[str], list[list[str]]]:
    """Return headings and a row a task: the columns `by`, and what else tells tasks apart.

    Columns that are empty everywhere are left out.
    """
    check_columns(tasks, by)
    rows = [[_cell(value_of(task, column)) for column in by] for task in tasks]
    kept = [place for place in range(len(by)) if any(row[place] for row in rows)]
    apart = told_apart(tasks, by)
    more = any(apart)
    headings = [by[place] for place in kept] + (["with"] if more else [])
    cells = [
        [row[place] for place in kept] + ([w] if more else []) for row, w in zip(rows, apart, strict=True)
    ]
    return headings, cells


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


def task_table(tasks: Sequence[TaskStatus], *, by: Sequence[str] = PARTS) -> Table:
    """Every task with its estimate."""
    headings, rows = described(tasks, by)
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
        title="Tasks",
        columns=("task", *headings, "mean [%]", "from", "to", "trials", "planned"),
        rows=tuple(cells),
        note="Accuracies are means over chips (Student's t), detections are rates (Wilson); intervals at 95 %.",
    )


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
        (str(number), started, command or "from Python", _versions(versions))
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
