"""Trials on a Dask cluster: the same rows, whatever is lost on the way."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.helpers.campaigns import rows, tasks, workers_of
from tests.helpers.dask_clusters import scheduler, worker
from tests.helpers.proxies import proxy_of
from tests.helpers.workloads import Chips, Late
from xbarsim.campaigns.dask_backend import Dask
from xbarsim.campaigns.dask_scheduler import DaskScheduler
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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with a worker, processes of their own."""
    with scheduler(tmp_path_factory.mktemp("cluster")) as (address, _), worker(address):
        yield address


def after(trials, act):
    """A function for `on_progress` that acts once, when so many trials are done."""
    acts = [act]
    return lambda progress: acts.pop()() if acts and progress.done >= trials else None


def check_rows(path, folder):
    """The rows of a run on Dask are those of a serial one."""
    collect(tasks(), folder / "serial.db")
    assert rows(path).equals(rows(folder / "serial.db"))


def test_a_scheduler_is_found_by_its_address(cluster, tmp_path):
    summary = collect(tasks(seconds=0.01), tmp_path / "a.db", scheduler=cluster)
    assert (summary.made, summary.failed) == (50, 0)
    check_rows(tmp_path / "a.db", tmp_path)


def test_a_slow_way_changes_no_row(cluster, tmp_path):
    with proxy_of(cluster) as proxy:
        proxy.delay_s = 0.03
        assert collect(tasks(seconds=0.01), tmp_path / "a.db", scheduler=proxy.address).made == 50
    check_rows(tmp_path / "a.db", tmp_path)


def test_a_way_that_stands_still_for_a_moment_changes_no_row(cluster, tmp_path):
    def stall():
        proxy.stalled = True
        threading.Timer(2.0, setattr, (proxy, "stalled", False)).start()

    with proxy_of(cluster) as proxy:
        summary = collect(
            tasks(seconds=0.01), tmp_path / "a.db", scheduler=proxy.address, on_progress=after(10, stall)
        )
    assert (summary.made, summary.failed) == (50, 0)
    check_rows(tmp_path / "a.db", tmp_path)


@pytest.mark.parametrize("how", ["cut", "stalled"])
def test_a_lost_way_is_said_and_the_next_run_goes_on(cluster, tmp_path, monkeypatch, how):
    monkeypatch.setattr("xbarsim.campaigns.dask_backend.LOST_S", 1.0)
    path = tmp_path / "a.db"

    def lose():
        proxy.stalled = how == "stalled"
        if how == "cut":
            proxy.cut()

    with proxy_of(cluster) as proxy, pytest.raises(InputError, match="a lost one to tcp://127") as lost:
        collect(tasks(seconds=0.01), path, scheduler=proxy.address, on_progress=after(10, lose))
    assert "give the same command again" in str(lost.value)
    assert 10 <= len(rows(path)) < 50
    assert collect(tasks(seconds=0.01), path, scheduler=cluster).failed == 0
    check_rows(path, tmp_path)


def test_a_way_that_tears_now_and_then_is_taken_up_by_the_next_runs(cluster, tmp_path):
    path, torn = tmp_path / "a.db", 0
    with proxy_of(cluster) as proxy:
        proxy.tear = 0.04
        while True:
            try:
                assert collect(tasks(seconds=0.01), path, scheduler=proxy.address).failed == 0
                break
            except InputError as error:
                assert error.where == "scheduler"
                torn += 1
    assert torn
    check_rows(path, tmp_path)


def test_waiting_for_workers_is_said_and_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("xbarsim.campaigns.dask_backend.SILENT_S", 0.1)
    lines = []
    with scheduler(tmp_path) as (address, _):
        empty = DaskScheduler(address=address, wait_for_workers_s=2.5)
        with pytest.raises(InputError) as refused:
            collect(tasks(2), tmp_path / "a.db", scheduler=empty, on_wait=lines.append)
        assert str(refused.value) == (
            "DaskScheduler.wait_for_workers_s: expected at least one worker within 2.5 s, "
            f"got none at {address}; start some with 'dask worker {address}', then give the same command "
            "again to go on"
        )
        assert lines == [f"waiting for workers of {address}, for 2.5 s at most"]
        with ExitStack() as late:
            summary = collect(
                tasks(2),
                tmp_path / "a.db",
                scheduler=address,
                on_wait=lambda _: late.enter_context(worker(address)),
            )
    assert (summary.made, summary.failed) == (4, 0)


def test_a_cluster_that_loses_its_workers_is_waited_for_and_its_trials_go_on(tmp_path):
    path = tmp_path / "a.db"
    with scheduler(tmp_path) as (address, _):
        empty = DaskScheduler(address=address, wait_for_workers_s=2.5)
        with worker(address) as only, pytest.raises(InputError, match="expected at least one worker"):
            collect(tasks(seconds=0.01), path, scheduler=empty, on_progress=after(10, only.kill))
        assert 10 <= len(rows(path)) < 50
        with worker(address):
            assert collect(tasks(seconds=0.01), path, scheduler=address).failed == 0
    check_rows(path, tmp_path)


def test_a_scheduler_that_is_killed_is_said_and_another_goes_on(cluster, tmp_path):
    path = tmp_path / "a.db"
    with (
        scheduler(tmp_path) as (address, process),
        worker(address),
        pytest.raises(InputError, match="a lost one"),
    ):
        collect(tasks(seconds=0.01), path, scheduler=address, on_progress=after(10, process.kill))
    assert collect(tasks(seconds=0.01), path, scheduler=cluster).failed == 0
    check_rows(path, tmp_path)
