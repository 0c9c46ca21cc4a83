"""Where trials are made: workers that die or take too long are replaced."""

import os

import pytest

from tests.helpers.campaigns import WAYS, tasks, workers_of
from tests.helpers.workloads import Chips, Odd
from xbarsim.campaigns.backends import Processes, Serial
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Task
from xbarsim.campaigns.worker import Job, Limits
from xbarsim.errors import InputError


@pytest.mark.parametrize("way", ["processes", "dask"])
def test_a_worker_that_dies_is_replaced_and_its_trial_made_again(way, tmp_path):
    work = [Task(workload=Odd(how="die once", folder=str(tmp_path)), trials=6)]
    assert collect(work, tmp_path / "a.db", **WAYS[way]).made == 6


def test_a_trial_that_kills_its_workers_fails(tmp_path):
    work = [Task(workload=Odd(how="die"), trials=3), *tasks(4)]
    summary = collect(work, tmp_path / "a.db", workers=2)
    assert (summary.made, summary.failed) == (10, 1)
    with Store(tmp_path / "a.db") as store:
        assert [(trial, error) for _, trial, error in store.failures()] == [
            (1, "its worker died: killed, or out of memory")
        ]


def test_a_trial_that_takes_too_long_fails(tmp_path):
    work = [Task(workload=Odd(how="sleep"), trials=3), *tasks(4)]
    summary = collect(work, tmp_path / "a.db", time_limit_s=1.0)
    assert (summary.made, summary.failed) == (10, 1)
    with Store(tmp_path / "a.db") as store:
        assert store.failures()[0][2] == "longer than the time limit of 1 s"


def test_a_workload_that_cannot_travel_is_refused(tmp_path):
    class Local(Chips):
        pass

    with pytest.raises(InputError, match="that other processes can receive"):
        collect([Task(workload=Local(), trials=2)], tmp_path / "a.db", workers=2)


def test_serial_makes_its_jobs_in_order():
    serial = Serial(tasks())
    assert serial.wait() == []
    for job in (Job(1, (4,)), Job(0, (2, 0))):
        serial.submit(job)
    done = [*serial.wait(), *serial.wait()]
    assert [finished.job for finished in done] == [Job(1, (4,)), Job(0, (2, 0))]
    hits = [outcome.hits for finished in done for outcome, _ in finished.outcomes]
    own = tasks()
    assert hits == [own[n].workload.trial(3, t).hits for n, t in ((1, 4), (0, 2), (0, 0))]
    assert serial.wait() == [] and serial.capacity == 1


def test_processes_answer_as_serial_does_and_leave_nobody():
    before, processes = set(workers_of(os.getpid())), Processes(tasks(), 1, Limits())
    try:
        processes.submit(Job(0, (0, 1)))
        (found,) = processes.wait()
        assert processes.wait() == []
    finally:
        processes.close()
    expected_hits = [tasks()[0].workload.trial(3, t).hits for t in (0, 1)]
    assert [outcome.hits for outcome, _ in found.outcomes] == expected_hits
    assert set(workers_of(os.getpid())) <= before
