"""Estimates over a column of numbers, a line for everything that else tells tasks apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from xbarsim.campaigns.store import TaskStatus
from xbarsim.errors import InputError, check_choice
from xbarsim.report import plots
from xbarsim.report.columns import DIGESTS, PARTS, check_columns, entries, value_of, varying
from xbarsim.report.result_tables import described

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xbarsim.report.plots import Curve

WIDE = 4.0  # ends of a logarithmic axis, as a ratio


def curve_figure(
    tasks: Sequence[TaskStatus], *, x: str, by: Sequence[str] = (), metric: str | None = None, title: str = ""
) -> Figure:
    """See `Results.plot`.

    Raises
    ------
    InputError : a column that no task has, one without two numbers, several metrics and none chosen.
    """
    check_columns(tasks, (x, *by))
    metrics = {str(task.description.get("metric", "share")) for task in tasks}
    if metric is None and len(metrics) > 1:
        raise InputError("metric", f"one of {', '.join(sorted(metrics))}", "none", "choose one")
    if metric is not None:
        check_choice("metric", metric, metrics)
    chosen = next(iter(metrics)) if metric is None else metric
    measured = [task for task in tasks if str(task.description.get("metric", "share")) == chosen]
    lines = lines_over(measured, x, by)
    if not lines:
        raise InputError(
            f"column {x!r}", "numbers that differ between tasks", "none", "choose another column"
        )
    return drawn(lines, x, ylabel=chosen, title=title or described(measured).common)


def lines_over(tasks: Sequence[TaskStatus], x: str, by: Sequence[str] = ()) -> dict[str, list[TaskStatus]]:
    """Return tasks by line, each in the order of x; a line's name says what tells it from the others."""
    numbers = [task for task in tasks if _number(task, x) is not None]
    lines: dict[str, list[TaskStatus]] = {}
    for task, name in zip(numbers, _names(numbers, x, by), strict=True):
        lines.setdefault(name, []).append(task)
    for line in lines.values():
        line.sort(key=lambda task: _number(task, x) or 0.0)
    return lines if len({_number(task, x) for task in numbers}) > 1 else {}


def _names(tasks: Sequence[TaskStatus], x: str, by: Sequence[str]) -> list[str]:
    """What tells lines apart: the columns `by`, then whatever else differs, parts of tasks in their words."""
    left = [name for name in varying(tasks) if name != x and not any(_within(name, column) for column in by)]
    columns = [*by, *dict.fromkeys(_column(name, x) for name in left if name not in DIGESTS)]
    found = [", ".join(filter(None, [_said(task, column) for column in columns])) for task in tasks]
    alike: dict[str, list[TaskStatus]] = {}
    for words, task in zip(found, tasks, strict=True):
        alike.setdefault(words, []).append(task)
    apart = {words: _apart(group, x) for words, group in alike.items()}
    return [
        ", ".join(filter(None, [words, *(_entry(task, name) for name in apart[words])]))
        for words, task in zip(found, tasks, strict=True)
    ]


def _apart(tasks: Sequence[TaskStatus], x: str) -> list[str]:
    """The entries that tell lines apart whose words are the same; none if they are one line."""
    if len({_but(task, x) for task in tasks}) == 1:
        return []
    return [name for name in varying(tasks) if name != x]


def _entry(task: TaskStatus, name: str) -> str:
    own = entries(task)
    return f"{name} {own[name]}" if name in own else ""


def _within(name: str, column: str) -> bool:
    return (
        name == column
        or name.startswith(f"{column}.")
        or (column == "measure" and name.startswith("detector"))
    )


def _column(name: str, x: str) -> str:
    """The part that an entry belongs to, unless x is in it too: then the entry itself."""
    part = name.split(".")[0].replace("detector", "measure")
    return part if part in PARTS and not _within(x, part) else name


def _said(task: TaskStatus, column: str) -> str:
    value = value_of(task, column)
    if value is None:
        return ""
    return str(value) if column in PARTS or column.endswith(".name") else f"{column} {value}"


def _but(task: TaskStatus, x: str) -> str:
    """All that a task is but x, to see whether two are points of one line."""
    return repr(sorted((name, repr(value)) for name, value in entries(task).items() if name != x))


def _number(task: TaskStatus, x: str) -> float | None:
    value = entries(task).get(x)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def drawn(lines: Mapping[str, Sequence[TaskStatus]], x: str, *, ylabel: str, title: str) -> Figure:
    """Draw lines; a column of shares is shown in %, and wide columns without a 0 on a logarithmic axis."""
    values = [_number(task, x) or 0.0 for line in lines.values() for task in line]
    share = x.rsplit(".", 1)[-1] in ("rate", "ratio", "share") or x.endswith("_rate")
    scale: Literal["log", "linear"] = (
        "log" if min(values) > 0 and max(values) >= WIDE * min(values) else "linear"
    )
    factor = 100 if share else 1
    curves: dict[str, Curve] = {}
    for name, line in lines.items():
        found = [task.moments.estimate() for task in line]
        curves[name] = (
            np.array([factor * (_number(task, x) or 0.0) for task in line]),
            np.array([100 * e.value for e in found]),
            np.array([100 * e.low for e in found]),
            np.array([100 * e.high for e in found]),
        )
    return plots.accuracy_curves(
        curves, xlabel=f"{x} [%]" if share else x, ylabel=f"{ylabel} [%]", title=title, scale=scale
    )
