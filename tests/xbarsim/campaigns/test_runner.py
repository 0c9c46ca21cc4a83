"""The same rows whoever works, whatever is lost on the way; failures are noted, limits hold."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from hypothesis import settings

from tests.helpers.campaigns import WAYS, expected, rows, tasks, workers_of
from tests.helpers.workloads import Chips, Detections, Measured, Odd, OddTogether, Together
from xbarsim.campaigns.exchange import read_frame
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.stopping import Precision
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Outcome, Task
from xbarsim.errors import InputError
from xbarsim.metrics.intervals import mean_over_chips


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_the_same_whoever_works(way, tmp_path):
    summary = collect(tasks(), tmp_path / "a.db", **WAYS[way])
    assert (summary.made, summary.failed, summary.unprepared) == (50, 0, {})
    found = rows(tmp_path / "a.db")
    assert expected() == {
        (row.task, row.trial): (row.hits, row["counts.margin"]) for _, row in found.iterrows()
    }


@pytest.mark.parametrize("way", WAYS)
def test_what_is_done_is_not_done_again(way, tmp_path, monkeypatch):
    collect(tasks(10), tmp_path / "a.db")
    assert collect(tasks(15), tmp_path / "a.db", **WAYS[way]).made == 10
    monkeypatch.setattr("xbarsim.campaigns.runner._backend", None)  # nobody is needed
    assert collect(tasks(15), tmp_path / "a.db", **WAYS[way]).made == 0
    with Store(tmp_path / "a.db") as store:
        assert [task.done for task in store.status()] == [15, 15]
        assert len(store.runs()) == 2


def test_equal_tasks_count_once(tmp_path):
    assert collect(tasks(5) + tasks(5), tmp_path / "a.db").made == 10


@pytest.mark.parametrize("way", WAYS)
def test_a_failed_trial_is_noted_and_does_not_stop_the_rest(way, tmp_path):
    work = [Task(workload=Odd(), trials=6), *tasks(4)]
    summary = collect(work, tmp_path / "a.db", **WAYS[way])
    assert (summary.made, summary.failed) == (11, 3)
    with Store(tmp_path / "a.db") as store:
        assert {(trial, error) for _, trial, error in store.failures()} == {
            (t, "IndexError: list index out of range") for t in (1, 3, 5)
        }
        assert store.results(1)[:, 0].tolist() == [0, 2, 4]
    assert collect(work, tmp_path / "a.db", **WAYS[way]).failed == 3  # tried again


def test_fail_fast_stops_at_the_first(tmp_path):
    with pytest.raises(InputError, match=r"trial 1 of task .*IndexError"):
        collect([Task(workload=Odd(), trials=50)], tmp_path / "a.db", fail_fast=True)
    with Store(tmp_path / "a.db") as store:
        assert store.status()[0].done == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_task_that_cannot_be_prepared_is_left_out(way, tmp_path):
    bad = Task(workload=Odd(how="unprepared"), trials=50)
    summary = collect([bad, *tasks(4)], tmp_path / "a.db", **WAYS[way])
    assert summary.made == 8
    assert summary.unprepared == {bad.key: "FileNotFoundError: no weights"}
    with Store(tmp_path / "a.db") as store:
        assert len(store.failures()) == 1


@pytest.mark.parametrize("way", WAYS)
def test_trials_made_together_are_those_made_alone(way, tmp_path):
    work = [Task(workload=Together(rate), trials=25, seed=3) for rate in (0.1, 0.2)]
    collect(tasks(7), tmp_path / "a.db")  # some are there, so that a batch has gaps
    assert collect(work, tmp_path / "a.db", **WAYS[way]).made == 36
    found = rows(tmp_path / "a.db")
    assert expected() == {
        (row.task, row.trial): (row.hits, row["counts.margin"]) for _, row in found.iterrows()
    }


@pytest.mark.parametrize("how", ["raise", "die"])
def test_a_trial_that_fails_among_others_is_the_only_one_to_fail(how, tmp_path):
    work = [Task(workload=OddTogether(how=how), trials=6)]
    summary = collect(work, tmp_path / "a.db", workers=2)
    assert (summary.made, summary.failed) == (3, 3)
    with Store(tmp_path / "a.db") as store:
        assert [trial for _, trial, _ in sorted(store.failures())] == [1, 3, 5]
        assert store.results(1)[:, 0].tolist() == [0, 2, 4]


@pytest.mark.parametrize("way", WAYS)
def test_a_task_ends_when_it_is_precise_at_the_same_trial_everywhere(way, tmp_path):
    work = [Task(workload=Chips(0.1), trials=5000), Task(workload=Detections(0.5), trials=80)]
    until = Precision(metric="accuracy", half_width=0.03)
    collect(work, tmp_path / "a.db", until=until, **WAYS[way])
    with Store(tmp_path / "a.db") as store:
        ends = [task.done for task in store.status()]
        assert ends == [79, 80]
        assert store.results(1)[:, 0].tolist() == list(range(79))
        assert store.status()[0].stop == "accuracy ± 3 % at 95 %"
    assert collect(work, tmp_path / "a.db", until=until).made == 0


def test_a_rule_is_for_its_metric_and_looks_pass_over_failures(tmp_path):
    work = [
        Task(workload=Measured(0.1, metric="accuracy"), trials=500),
        Task(workload=Measured(0.1, metric="detection"), trials=120),
        Task(workload=Odd(), trials=500),
    ]
    summary = collect(work, tmp_path / "a.db", until=Precision(metric="accuracy", half_width=0.03))
    with Store(tmp_path / "a.db") as store:
        found = store.status()
        assert [task.done for task in found] == [79, 120, 79]
        assert [bool(task.stop) for task in found] == [True, False, True]
        assert store.results(3)[:, 0].tolist() == list(range(0, 158, 2))
    assert summary.failed == 78  # of trials 1, 3, ..., 155


def test_progress_tells_what_is_done_and_the_estimate(tmp_path):
    seen = []
    collect(tasks(), tmp_path / "a.db", on_progress=seen.append)
    assert seen[-1].done == seen[-1].planned == seen[-1].made == 50
    shares = [hits / 100 for (key, _), (hits, _) in expected().items() if key == tasks()[1].key]
    assert seen[-1].current == mean_over_chips(shares)


@pytest.mark.parametrize("way", ["serial", "processes"])
def test_ctrl_c_keeps_what_is_done(way, tmp_path):
    def stop(progress):
        if progress.made >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(
            [Task(workload=Chips(seconds=0.1), trials=200)], tmp_path / "a.db", on_progress=stop, **WAYS[way]
        )
    with Store(tmp_path / "a.db", "write") as store:
        assert 5 <= store.status()[0].done < 20


@pytest.mark.parametrize("bad", [{"workers": 0}, {"time_limit_s": 0}, {"memory_limit_MB": 0}])
def test_bad_options_are_refused(bad, tmp_path):
    with pytest.raises(InputError):
        collect(tasks(), tmp_path / "a.db", **bad)
    assert not (tmp_path / "a.db").exists()


def test_no_tasks_and_unreachable_schedulers_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least one task"):
        collect([], tmp_path / "a.db")
    with pytest.raises(InputError, match="scheduler"):
        collect(tasks(), tmp_path / "a.db", scheduler="nonsense://x")


CAMPAIGN = """
import sys
from tests.helpers.workloads import Chips
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.task import Task
if __name__ == "__main__":
    trials = int(sys.argv[2]) // 4
    work = [Task(workload=Chips(rate, seconds=0.02), trials=trials) for rate in (0.1, 0.2, 0.3, 0.4)]
    collect(work, sys.argv[1], workers=2)
"""


def test_nothing_is_lost_or_counted_twice_when_anything_is_killed(tmp_path):
    """3 kills of the runner or of a worker at random moments; 20 in a thorough run."""
    thorough = settings().max_examples >= 1000
    kills, trials = (20, 2000) if thorough else (3, 400)
    script, path = tmp_path / "campaign.py", tmp_path / "a.db"
    script.write_text(CAMPAIGN)
    rng = np.random.default_rng()

    def begin():
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        return subprocess.Popen([sys.executable, script, path, str(trials)], env=environment)

    def done():
        return sum(task.done for task in Store(path).status()) if path.exists() else 0

    runner, orphans = begin(), []
    for kill in range(kills):
        # after so many trials, or, now and then, soon after a start
        aim, soon = trials * (kill + 1) / (kills + 2), time.monotonic() + rng.uniform(0.3, 3.0)
        while done() < aim and not (kill % 3 == 2 and time.monotonic() > soon):
            assert runner.poll() is None
            time.sleep(0.02)
        workers = workers_of(runner.pid)
        victim = int(rng.choice([runner.pid, *workers]))
        orphans += workers
        os.kill(victim, signal.SIGKILL)
        if victim == runner.pid:
            runner.wait()
            runner = begin()
    assert runner.wait() == 0
    assert begin().wait() == 0
    work = [Task(workload=Chips(rate), trials=trials // 4) for rate in (0.1, 0.2, 0.3, 0.4)]
    collect(work, tmp_path / "b.db")
    found, whole = rows(path), rows(tmp_path / "b.db")
    assert len(found) == trials
    assert found.equals(whole)
    time.sleep(1)
    assert not [pid for pid in orphans if psutil.pid_exists(pid)]


def test_an_outcome_has_counts_only_if_there_are_some(tmp_path):
    collect([Task(workload=Detections(), trials=2)], tmp_path / "a.db")
    assert not [name for name in read_frame(tmp_path / "a.db").columns if name.startswith("counts")]
    assert Outcome(1, 1).counts == {}
