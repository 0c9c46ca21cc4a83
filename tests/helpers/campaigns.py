"""Campaigns of made-up chips: their tasks, the ways to work on them, and the rows they give."""

import psutil

from tests.helpers.workloads import Chips
from xbarsim.campaigns.exchange import read_frame
from xbarsim.campaigns.task import Task

WAYS = {"serial": {}, "processes": {"workers": 2}, "dask": {"workers": 2, "scheduler": "local"}}


def tasks(trials=25, seconds=0.0):
    """Two, of other rates, whose trials take so long."""
    return [Task(workload=Chips(rate, seconds), trials=trials, seed=3) for rate in (0.1, 0.2)]


def rows(path):
    """A store's trials, but for when they were made."""
    return read_frame(path).drop(columns=["seconds", "run"])


def expected(trials=25):
    """Made one by one, without the runner."""
    return {
        (task.key, trial): (
            task.workload.trial(3, trial).hits,
            task.workload.trial(3, trial).counts["margin"],
        )
        for task in tasks()
        for trial in range(trials)
    }


def workers_of(pid):
    """Worker processes below a process, however deep."""
    try:
        below = psutil.Process(pid).children(recursive=True)
        return [process.pid for process in below if "spawn_main" in " ".join(process.cmdline())]
    except psutil.NoSuchProcess:
        return []
