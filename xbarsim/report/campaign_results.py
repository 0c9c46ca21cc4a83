"""What a campaign's store holds, in the shape that figures and tables want."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbarsim.campaigns.exchange import flat, whole_frame
from xbarsim.campaigns.store import Store, TaskStatus
from xbarsim.errors import InputError
from xbarsim.metrics.intervals import Estimate, paired_difference

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """A store as it is now.

    Attributes
    ----------
    tasks : those with at least one trial
    empty : the others: not begun, failed, or not to be prepared
    trials : the table of `read_frame`
    runs : number, time (UTC), command and versions (JSON) of every run
    failures : task, trial and error
    """

    path: Path
    tasks: tuple[TaskStatus, ...]
    empty: tuple[TaskStatus, ...]
    trials: pd.DataFrame
    runs: tuple[tuple[int, str, str, str], ...]
    failures: tuple[tuple[int, int, str], ...]

    def of(self, **wanted: object) -> list[TaskStatus]:
        """Tasks whose descriptions have these entries; 'faults_model' looks into faults."""
        return [task for task in self.tasks if all(entry(task, k) == v for k, v in wanted.items())]

    def trials_of(self, task: TaskStatus) -> pd.DataFrame:
        """The trials of a task, by trial."""
        return self.trials[self.trials["task"] == task.key]


def read_results(path: str | Path) -> Results:
    """Read a store.

    Raises
    ------
    InputError : no store, one in which nothing has been tried.
    """
    with Store(path) as store, store.snapshot():
        tasks, runs, failures = store.status(), tuple(store.runs()), tuple(store.failures())
        trials = whole_frame(store)
    if not any(task.done for task in tasks) and not failures:
        raise InputError(str(path), "at least one trial", "none", "run the campaign first")
    return Results(
        path=Path(path),
        tasks=tuple(task for task in tasks if task.done),
        empty=tuple(task for task in tasks if not task.done),
        trials=trials,
        runs=runs,
        failures=failures,
    )


def entry(task: TaskStatus, name: str) -> Any:
    """An entry of a task's description; 'faults_rate' is the rate of its faults. None if there is none."""
    found: Any = task.description
    for part in name.split("_", 1) if name.startswith("faults_") else (name,):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def distinctions(tasks: Sequence[TaskStatus], known: Collection[str]) -> list[str]:
    """For every task, in words, what tells it from others that have the same entries: 'seed 2'."""
    rows = [{"seed": task.seed, **flat(task.description)} for task in tasks]
    names = sorted({name for row in rows for name in row} - set(known))
    varying = [name for name in names if len({repr(row[name]) for row in rows if name in row}) > 1]
    return [", ".join(f"{name} {row[name]}" for name in varying if name in row) for row in rows]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two methods on the same chips: how much higher `method` is than 'none', over `chips` chips."""

    task: TaskStatus
    chips: int
    gain: Estimate


def pairs(results: Results) -> Iterator[Pair]:
    """Every method against 'none', where network, accelerator, faults and seed are the same."""
    for task in results.of(metric="accuracy", faults_model="cells"):
        if entry(task, "method") == "none":
            continue
        same = ("network", "weights", "data", "images", "hardware", "revision", "faults")
        plain = [
            other
            for other in results.of(metric="accuracy", method="none")
            if other.seed == task.seed and all(entry(other, name) == entry(task, name) for name in same)
        ]
        if not plain:
            continue
        both = results.trials_of(task).merge(results.trials_of(plain[0]), on="trial", suffixes=("", "_none"))
        if len(both):
            after, before = both["hits"] / both["shots"], both["hits_none"] / both["shots_none"]
            yield Pair(task=task, chips=len(both), gain=paired_difference(after.tolist(), before.tolist()))
