"""Estimates over a column of numbers, a line for everything that else tells tasks apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from xbarsim.campaigns.store import TaskStatus
from xbarsim.errors import InputError, check_choice
from xbarsim.report import plots
from xbarsim.report.columns import check_columns, entries, value_of, varying

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
    return drawn(lines, x, ylabel=chosen, title=title)


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
    """What tells lines apart: the columns `by`, then whatever differs at the same x."""
    left = [name for name in varying(tasks) if name != x and not any(_within(name, part) for part in by)]
    shown = [", ".join(str(value_of(task, part)) for part in by) for task in tasks]
    more = _words(tasks, left)
    return [", ".join(filter(None, pair)) for pair in zip(shown, more, strict=True)]


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _words(tasks: Sequence[TaskStatus], names: Sequence[str]) -> list[str]:
    """Short words for the columns that differ: a part's name alone where that is enough."""
    found = []
    dull = {"weights", "hardware", "data", "training"} if {"network", "accelerator"} & set(names) else set()
    for task in tasks:
        own = entries(task)
        told = [
            f"{own[name]}"
            if name in ("network", "accelerator") or name.endswith(".name")
            else f"{name} {own[name]}"
            for name in names
            if own.get(name) is not None and name not in dull
        ]
        found.append(", ".join(told))
    lines: dict[str, set[str]] = {}
    for words, task in zip(found, tasks, strict=True):
        lines.setdefault(words, set()).add(repr([entries(task).get(name) for name in names]))
    if all(len(different) == 1 for different in lines.values()):
        return found
    return [
        f"{words}, {task.key[:8]}" if len(lines[words]) > 1 else words
        for words, task in zip(found, tasks, strict=True)
    ]


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
