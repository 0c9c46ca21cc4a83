"""What a worker does: it prepares tasks, makes trials within limits, and answers whatever goes wrong."""

import os

import numpy as np
import pytest

from tests.helpers.campaigns import WAYS, tasks
from tests.helpers.workloads import Big, Chips, Odd, Threads, Wrong
from xbarsim.campaigns.exchange import read_frame
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Outcome, Task
from xbarsim.campaigns.worker import (
    THREAD_VARIABLES,
    Bench,
    Job,
    Limits,
    check_room,
    checked,
    environment_of_threads,
    threads_each,
    worded,
)
from xbarsim.errors import InputError

WRONG = [
    (), None, (1, 2), (10, 11, {}), (0, 0, {}), (10, -1, {}), (10, 1.5, {}),
    (10, 1, {"x": float("nan")}), (10, 1, {"x": "text"}), (10, 1, {"x": 2**63}), (2**63, 1, {}),
    (10, 1, {'a"b': 1}), (10, 1, {"": 1}), (10, 1, {"\udcff": 1}), (10, 1, {3: 1}),
]  # fmt: skip


@pytest.mark.parametrize("answer", WRONG)
def test_what_is_no_outcome_fails(answer, tmp_path):
    assert collect([Task(workload=Wrong(answer=answer), trials=2)], tmp_path / "a.db").failed == 2


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", ["exit", "odd letters", "no words"])
def test_whatever_a_trial_raises_is_its_failure(how, workers, tmp_path):
    work = [Task(workload=Odd(how=how), trials=4)]
    summary = collect(work, tmp_path / "a.db", workers=workers)
    assert (summary.made, summary.failed) == (2, 2)
    with Store(tmp_path / "a.db") as store:
        assert all(
            error.split(":")[0] in ("SystemExit", "ValueError", "Mute") for *_, error in store.failures()
        )


def test_a_trial_that_asks_for_too_much_memory_fails(tmp_path):
    work = [Task(workload=Odd(how="eat"), trials=3), *tasks(4)]
    summary = collect(work, tmp_path / "a.db", memory_limit_MB=3000)
    assert (summary.made, summary.failed) == (10, 1)
    with Store(tmp_path / "a.db") as store:
        assert "MemoryError" in store.failures()[0][2]


@pytest.mark.parametrize("way", [{}, WAYS["dask"]], ids=["process", "dask"])
def test_a_memory_limit_that_a_worker_is_beyond_already_says_so(way, tmp_path):
    big = Task(workload=Big(), trials=3)
    summary = collect([big, *tasks(4)], tmp_path / "a.db", memory_limit_MB=3000, **way)
    assert summary.made == 8
    ((_, words),) = summary.unprepared.items()
    assert words.startswith("memory limit: a worker takes ")
    assert words.endswith(" MB before its first trial, of 3000 allowed; raise the limit")


@pytest.mark.parametrize("way", ["processes", "dask"])
def test_workers_share_the_processors(way, tmp_path):
    before = [os.environ.get(name) for name in THREAD_VARIABLES]
    collect([Task(workload=Threads(), trials=4)], tmp_path / "a.db", **WAYS[way])
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    found = read_frame(tmp_path / "a.db")
    for name in ("numba", "torch", "pools"):
        assert (found[f"counts.{name}"] <= share).all(), name
    # numba refuses to go on in a process whose number of threads has changed
    assert [os.environ.get(name) for name in THREAD_VARIABLES] == before


def test_a_bench_prepares_once_and_keeps_the_latest(monkeypatch):
    prepared = []
    monkeypatch.setattr(Chips, "prepare", lambda chips: prepared.append(chips.rate) or chips.trials)
    bench = Bench([Task(workload=Chips(rate / 10), trials=2, seed=3) for rate in range(6)])
    for task in (0, 0, 1, 2, 3, 0, 4, 0, 1):  # 1 went when 4 came
        bench.prepare(task)
    assert prepared == [0, 0.1, 0.2, 0.3, 0.4, 0.1]


def test_outcomes_come_with_their_seconds_until_an_error():
    bench = Bench([Task(workload=Odd(), trials=6, seed=3)])
    found = bench.run(Job(0, (0, 2, 3, 4)))
    assert [outcome.hits for outcome, _ in found.outcomes] == [Odd().trial(3, t).hits for t in (0, 2)]
    assert found.error.startswith("IndexError") and not (found.died or found.unprepared)
    assert all(seconds >= 0 for _, seconds in found.outcomes)


def test_outcomes_become_plain_numbers():
    found = checked(Outcome(np.int64(9), np.int8(3), {"x": np.float32(0.5), "n": np.uint8(2)}))
    assert found == (9, 3, {"x": 0.5, "n": 2})
    assert [type(value) for value in (found.shots, found.hits, *found.counts.values())] == [
        int,
        int,
        float,
        int,
    ]


def test_threads_are_set_for_children_and_come_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with environment_of_threads(3):
        assert {os.environ[name] for name in THREAD_VARIABLES} == {"3"}
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ
    assert threads_each(10**6) == 1


@pytest.mark.parametrize("bad", [{"time_s": 0}, {"time_s": float("nan")}, {"memory_MB": 299}])
def test_limits_that_leave_no_room_are_refused(bad):
    with pytest.raises(InputError, match=r"(time|memory) limit"):
        Limits(**bad)


def test_errors_are_one_line_of_500_letters():
    assert worded(ValueError("a\n  b")) == "ValueError: a b"
    assert len(worded(ValueError("x" * 900))) == 500
    assert worded(ValueError("\udcff")).isascii()


def test_an_interrupt_in_disguise_is_no_failure(tmp_path):
    work = [Task(workload=Odd(how="interrupted"), trials=4)]
    with pytest.raises(KeyboardInterrupt):
        collect(work, tmp_path / "a.db")
    with Store(tmp_path / "a.db") as store:
        assert (store.status()[0].done, store.failures()) == (1, [])


def test_a_trial_that_ends_after_a_stop_was_asked_for_is_not_kept(monkeypatch):
    bench = Bench(tasks())
    assert bench.run(Job(0, (0,))).outcomes
    monkeypatch.setattr("xbarsim.stops.asked", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        bench.run(Job(0, (0,)))


def test_more_workers_than_there_is_memory_for_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"workers: expected at most .* for which there is memory"):
        check_room(10**9)
    check_room(2)
    assert collect(tasks(1), tmp_path / "a.db", workers=4000).made == 2  # which needs two of them
