"""Trials on a Dask cluster: the same rows, whatever is lost on the way."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers.campaigns import rows, tasks, workers_of
from tests.helpers.workloads import Chips, Late
from xbarsim.campaigns.dask_backend import Dask, _local_cluster
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Task
from xbarsim.errors import InputError


def test_a_worker_killed_in_a_dask_run_does_not_end_it(tmp_path):
    before = set(workers_of(os.getpid()))

    def kill_one():
        while not (path.exists() and (tasks := Store(path).status()) and tasks[0].done > 5):
            time.sleep(0.1)
        os.kill(max(set(workers_of(os.getpid())) - before), signal.SIGKILL)

    path = tmp_path / "a.db"
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_one)
        work = [Task(workload=Chips(seconds=0.05), trials=80)]
        summary = collect(work, path, workers=2, scheduler="local")
        killing.result()
    assert (summary.made, summary.failed) == (80, 0)


def test_quick_trials_travel_together_on_dask_and_long_ones_alone(tmp_path, monkeypatch):
    sizes, submit = {0: [], 1: []}, Dask.submit

    def noted(self, job):
        sizes[job.task].append(len(job.trials))
        submit(self, job)

    monkeypatch.setattr(Dask, "submit", noted)
    work = [Task(workload=Chips(), trials=200), Task(workload=Chips(0.2, seconds=0.2), trials=4)]
    assert collect(work, tmp_path / "a.db", workers=2, scheduler="local").made == 204
    assert (sum(sizes[0]), sizes[1]) == (200, [1] * 4)
    assert len(sizes[0]) < 50


def test_a_limit_of_time_is_that_of_every_trial_on_dask(tmp_path, monkeypatch):
    sizes, submit = [], Dask.submit

    def noted(self, job):
        sizes.append(len(job.trials))
        submit(self, job)

    monkeypatch.setattr(Dask, "submit", noted)
    work = [Task(workload=Late(), trials=60)]
    summary = collect(work, tmp_path / "a.db", workers=2, scheduler="local", time_limit_s=2.0)
    assert (summary.made, summary.failed) == (59, 1)
    assert set(sizes) == {1}  # of many together the limit would be as many times as long


def test_a_port_where_nobody_answers_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("xbarsim.campaigns.dask_backend.ANSWER_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match="a Dask scheduler that answers"):
            collect(tasks(2), tmp_path / "a.db", scheduler=address)
    with Store(tmp_path / "a.db") as store:
        assert store.runs() == []


def test_a_scheduler_is_found_by_its_address(tmp_path):
    with _local_cluster(2) as cluster:
        summary = collect(tasks(), tmp_path / "a.db", scheduler=cluster.scheduler_address)
    assert (summary.made, summary.failed) == (50, 0)
    collect(tasks(), tmp_path / "b.db")
    assert rows(tmp_path / "a.db").equals(rows(tmp_path / "b.db"))
