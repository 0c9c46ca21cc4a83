"""What a campaign costs beside its trials, what a second worker gives, and stores of a million rows."""

import time
from dataclasses import dataclass

import numpy as np
import pytest

from xbarsim.campaigns.exchange import export, merge, read_frame
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Row, Store
from xbarsim.campaigns.task import Outcome, Task

WAYS = {
    "serial": {"workers": 1},
    "processes": {"workers": 2},
    "one process": {"workers": 1, "time_limit_s": 100.0},
    "dask": {"workers": 2, "scheduler": "local"},
    "one dask worker": {"workers": 1, "scheduler": "local"},
}


@dataclass(frozen=True)
class Busy:
    """A trial that computes for so many seconds of its processor."""

    seconds: float = 0.0

    def describe(self):
        return {"workload": "busy"}

    def prepare(self):
        return self.trials

    def trials(self, seed, numbers):
        for number in numbers:
            end, x = time.process_time() + self.seconds, np.ones(1000)
            while time.process_time() < end:
                x = np.sqrt(x + 1)
            yield Outcome(100, 50 + number % 50, {"faults": number})


def seconds_of(way, path, seconds, begin, trials):
    """Of the trials beyond those that a first call has made, and one more time for a start without trials."""

    def run(count):
        start = time.perf_counter()
        collect([Task(workload=Busy(seconds), trials=count)], path, **WAYS[way])
        return time.perf_counter() - start

    begun = run(begin)
    return run(begin + trials) - begun


@pytest.mark.parametrize("way", ["serial", "processes", "dask"])
def test_overhead_of_a_trial(benchmark, way, tmp_path):
    """Start and end of the workers taken off: what a call of four trials takes."""
    spent = benchmark.pedantic(seconds_of, (way, tmp_path / "a.db", 0.0, 4, 10_000), rounds=1) / 10
    benchmark.extra_info["ms_a_trial"] = spent
    print(f"\n{way}: {spent:.2f} ms a trial")


@pytest.mark.parametrize(("one", "two"), [("one process", "processes"), ("one dask worker", "dask")])
def test_two_workers_against_one(benchmark, one, two, tmp_path):
    """Trials of 0.1 s of processor time."""
    alone = seconds_of(one, tmp_path / "a.db", 0.1, 4, 100)
    both = benchmark.pedantic(seconds_of, (two, tmp_path / "b.db", 0.1, 4, 100), rounds=1)
    benchmark.extra_info["ratio"] = alone / both
    print(f"\n{two}: {alone:.2f} s with one worker, {both:.2f} s with two, ratio {alone / both:.2f}")


@pytest.fixture(scope="module")
def million(tmp_path_factory):
    path = tmp_path_factory.mktemp("million") / "a.db"
    with Store(path, "write") as store:
        run = store.begin_run("benchmark")
        numbers = store.add([Task(workload=Busy(), trials=50_000, seed=seed) for seed in range(20)])
        for number in numbers:
            store.append(
                Row(number, t, run, 10_000, 9_000 + t % 50, 0.1, f'{{"faults":{t}}}') for t in range(50_000)
            )
    return path


def test_appending(benchmark, tmp_path):
    with Store(tmp_path / "a.db", "write") as store:
        run = store.begin_run("benchmark")
        (number,) = store.add([Task(workload=Busy(), trials=10)])
        trials = iter(range(10**7))
        benchmark(lambda: store.append([Row(number, next(trials), run, 100, 50, 0.1, None)]))


@pytest.mark.parametrize("how", ["open", "status", ".parquet", ".csv", "frame", "merge"])
def test_a_million_rows(benchmark, million, how, tmp_path):
    def run():
        if how == "frame":
            return read_frame(million)
        if how == "merge":
            return merge(tmp_path / "b.db", [million])
        with Store(million) as store:
            if how != "open":
                return store.status() if how == "status" else export(store, tmp_path / f"out{how}")
        return None

    benchmark.pedantic(run, rounds=3)
