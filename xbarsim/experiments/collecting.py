"""Make the trials of tasks and read what came out, in memory or in a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xbarsim.campaigns import runner
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Task
from xbarsim.hints import checked
from xbarsim.report.results import Results, results_of


@checked
def collect(tasks: Sequence[Task], store: str | Path | None = None, **options: Any) -> Results:
    """Make the trials that a store lacks, and return all that it holds of these tasks.

    Parameters
    ----------
    store : file, made if it is missing, so that the same call goes on after anything; None keeps trials in
        memory, and stops at the first trial that fails
    options : `workers`, `scheduler`, `until`, `on_progress`, ..., see `xbarsim.campaigns.runner.collect`

    Raises
    ------
    InputError : a store that cannot be used, a bad option, a failed trial where one ends the run.

    Examples
    --------
    >>> from xbarsim.campaigns.task import Outcome
    >>> class Coin:
    ...     def describe(self):
    ...         return {"metric": "heads"}
    ...     def prepare(self):
    ...         return lambda seed, numbers: [Outcome(1, number % 2) for number in numbers]
    >>> results = collect([Task(workload=Coin(), trials=10)])
    >>> int(results.trials.hits.sum())
    5
    """
    if store is None:
        options.setdefault("fail_fast", True)
    with Store(store, "write") as file:
        runner.collect(tasks, file, **options)
        keys = {task.key for task in tasks}
        return results_of(file).of_keys(keys)
