"""What a campaign's store holds: tasks with their estimates and all trials; as tables, figures and pandas."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from xbarsim.campaigns.exchange import whole_frame
from xbarsim.campaigns.store import Store, TaskStatus
from xbarsim.errors import InputError
from xbarsim.hints import checked
from xbarsim.report.columns import PARTS, check_columns, value_of
from xbarsim.report.curves import curve_figure
from xbarsim.report.pairs import PLAIN, pair_table, paired
from xbarsim.report.result_tables import task_table
from xbarsim.report.tables import Table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """A store as it was when it was read.

    Attributes
    ----------
    path : of the store; None for one that was in memory
    tasks : those with at least one trial
    empty : the others: not begun, failed, or not to be prepared
    trials : the table of `read_frame`: a row a trial, what the task is and what was counted as columns
    runs : number, time (UTC), command and versions (JSON) of every run
    failures : task, trial and error
    """

    path: Path | None
    tasks: tuple[TaskStatus, ...]
    empty: tuple[TaskStatus, ...]
    trials: pd.DataFrame
    runs: tuple[tuple[int, str, str, str], ...]
    failures: tuple[tuple[int, int, str], ...]

    def where(self, **wanted: object) -> Results:
        """Return the part whose columns have these values; 'faults__rate' is the column 'faults.rate'."""
        columns = {name.replace("__", "."): value for name, value in wanted.items()}
        check_columns((*self.tasks, *self.empty), columns)
        chosen = [
            tuple(task for task in tasks if all(value_of(task, c) == v for c, v in columns.items()))
            for tasks in (self.tasks, self.empty)
        ]
        return self.of_keys({task.key for tasks in chosen for task in tasks})

    def of_keys(self, keys: Collection[str]) -> Results:
        """Return the part with these tasks."""
        return replace(
            self,
            tasks=tuple(task for task in self.tasks if task.key in keys),
            empty=tuple(task for task in self.empty if task.key in keys),
            trials=self.trials[self.trials["task"].isin(list(keys))],
        )

    def trials_of(self, task: TaskStatus) -> pd.DataFrame:
        """Return the trials of a task, by trial."""
        return self.trials[self.trials["task"] == task.key]

    def table(self, *, by: Sequence[str] = PARTS) -> Table:
        """Return a row a task: the columns `by` and whatever else tells tasks apart, then estimates."""
        return task_table([*self.tasks, *self.empty], by=by)

    def plot(self, *, x: str, by: str | Sequence[str] = (), metric: str | None = None) -> Figure:
        """Return a figure of the estimates over a column of numbers, a line for every value of `by`.

        Parameters
        ----------
        x : a column with dots, as 'faults.rate'
        by : columns that tell lines apart; what else differs is added to the lines' names
        metric : which of several
        """
        return curve_figure(self.tasks, x=x, by=(by,) if isinstance(by, str) else tuple(by), metric=metric)

    def pairs(self, *, against: str = PLAIN) -> Table:
        """Return how much higher repairs are than one of them, on the same chips."""
        return pair_table(paired(self.tasks, self.trials, against=against), against=against)

    def __str__(self) -> str:
        return str(self.table())


@checked
def read_results(path: str | Path) -> Results:
    """Read a store.

    Raises
    ------
    InputError : no store, one in which nothing has been tried.
    """
    with Store(path) as store:
        return results_of(store)


def results_of(store: Store) -> Results:
    """Read an open store; see `read_results`."""
    with store.snapshot():
        tasks, runs, failures = store.status(), tuple(store.runs()), tuple(store.failures())
        trials = whole_frame(store)
    if not any(task.done for task in tasks) and not failures:
        raise InputError(str(store.path), "at least one trial", "none", "run the campaign first")
    return Results(
        path=store.path if store.kept else None,
        tasks=tuple(task for task in tasks if task.done),
        empty=tuple(task for task in tasks if not task.done),
        trials=trials,
        runs=runs,
        failures=failures,
    )
