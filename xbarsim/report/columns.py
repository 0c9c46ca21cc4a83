"""What tells tasks apart, as columns: the entries of their descriptions, and words for whole parts of them.

A column is an entry with dots ('faults.rate', 'repair.epochs'), 'seed', or a part as people read it:
'network', 'accelerator', 'faults', 'repair', 'measure'. Reports know columns and nothing of what is measured.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from xbarsim.campaigns.exchange import flat
from xbarsim.campaigns.store import TaskStatus
from xbarsim.errors import InputError

PARTS: tuple[str, ...] = ("network", "accelerator", "faults", "repair", "measure")
DIGESTS: tuple[str, ...] = ("weights", "data", "training", "hardware")
NO_FAULTS = "none"


def entries(task: TaskStatus) -> dict[str, Any]:
    """Return all that a task is, by column with dots."""
    return {"seed": task.seed, **flat(task.description)}


def words(part: Any) -> str:
    """Return a part of a description as people read it: its name, then its fields.

    >>> words({"name": "stuck-cells", "rate": 0.01, "mix": "even"})
    'stuck-cells, rate 0.01, mix even'
    """
    if not isinstance(part, Mapping):
        return "" if part is None else str(part)
    fields = [f"{name} {_value(value)}" for name, value in flat(part).items() if name != "name"]
    return ", ".join(([str(part["name"])] if "name" in part else []) + fields)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def part_of(task: TaskStatus, part: str) -> str:
    """Return one of `PARTS` of a task as people read it: in the words that it was planned with, if any."""
    return part_words(task.description, task.facts, part)


def part_words(description: Mapping[str, Any], facts: Mapping[str, Any], part: str) -> str:
    """Return the words of a part; see `part_of`."""
    told = facts.get("words")
    own = told.get(part) if isinstance(told, Mapping) else None
    if part == "measure":
        detector = told.get("detector") if isinstance(told, Mapping) else None
        return str(detector or words(description.get("detector")) or words(description.get("metric")))
    return str(own) if own else words(description.get(part))


def is_fault_free(task: TaskStatus) -> bool:
    """Whether nothing is wrong with a task's chips: no faults, or faults of rate 0."""
    own = entries(task)
    return own.get("faults.name") == NO_FAULTS or own.get("faults.rate") == 0


def value_of(task: TaskStatus, column: str) -> Any:
    """Return what a task has in a column; None if it has none."""
    if column in PARTS:
        return part_of(task, column)
    return entries(task).get(column)


def check_columns(tasks: Iterable[TaskStatus], columns: Iterable[str]) -> None:
    """Refuse a column that no task has."""
    known = dict.fromkeys([*PARTS, *(name for task in tasks for name in entries(task))])
    for column in columns:
        if column not in known:
            raise InputError("column", "one of " + ", ".join(known), repr(column))


def varying(tasks: Sequence[TaskStatus]) -> list[str]:
    """Return the columns in which tasks differ, in the order of their descriptions."""
    rows = [entries(task) for task in tasks]
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if len({repr(row.get(name)) for row in rows}) > 1]


def told_apart(tasks: Sequence[TaskStatus], shown: Sequence[str]) -> list[str]:
    """Return what tells each task from those that look the same in the columns `shown`: 'seed 2'.

    Tasks are different, so no two of them are equal with these words.
    """
    rows: dict[tuple[Any, ...], list[int]] = {}
    for place, task in enumerate(tasks):
        rows.setdefault(tuple(value_of(task, column) for column in shown), []).append(place)
    found = [""] * len(tasks)
    for places in rows.values():
        alike = [tasks[place] for place in places]
        names = _essential(varying(alike), shown)
        for place in places:
            own = entries(tasks[place])
            found[place] = ", ".join(f"{name} {own[name]}" for name in names if name in own)
    return found


def _essential(names: Sequence[str], shown: Collection[str]) -> list[str]:
    """Of columns that differ, those that are not shown, digests last."""
    left = [name for name in names if name not in shown]
    return sorted(left, key=lambda name: name in DIGESTS)


def numeric(tasks: Sequence[TaskStatus]) -> list[str]:
    """Return the columns whose values are numbers and differ, those with most values first."""
    found = {}
    for name in varying(tasks):
        values = [entries(task).get(name) for task in tasks]
        numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(set(numbers)) > 1 and name not in ("seed", "images", "revision"):
            found[name] = len(set(numbers))
    return sorted(found, key=lambda name: -found[name])
