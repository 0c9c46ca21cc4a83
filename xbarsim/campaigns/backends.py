"""Where trials are made: in this process, in processes beside it, or on a Dask cluster.

Every process has an executor and pipes of its own. Pools with a common queue share locks, and a worker that
is killed while it holds one takes all others with it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from xbarsim.campaigns.task import Task
from xbarsim.campaigns.worker import (
    Bench,
    Finished,
    Job,
    Limits,
    environment_of_threads,
    threads_each,
    worded,
)
from xbarsim.errors import InputError

LONGEST_WAIT_S = 3600.0


class Backend(Protocol):
    """Takes jobs and gives back what became of them.

    Attributes
    ----------
    job_s : how long a job should take at least, beside which its way to a worker and back is short
    """

    @property
    def job_s(self) -> float: ...

    @property
    def capacity(self) -> int:
        """Jobs that it can have at once without one of them waiting for long."""

    def submit(self, job: Job) -> None:
        """Begin a job."""

    def wait(self) -> list[Finished]:
        """Those jobs that are done; waits for one if there is none."""

    def close(self) -> None:
        """Stop at once, whatever is running."""


class Serial:
    """Makes every trial in this process, one after the other."""

    capacity, job_s = 1, 0.0

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._bench, self._jobs = Bench(tasks), deque[Job]()

    def submit(self, job: Job) -> None:
        """See `Backend`."""
        self._jobs.append(job)

    def wait(self) -> list[Finished]:
        """See `Backend`."""
        return [self._bench.run(self._jobs.popleft())] if self._jobs else []

    def close(self) -> None:
        """See `Backend`."""


class Processes:
    """Makes trials in processes of their own, each replaced when it dies or takes too long."""

    job_s = 0.0

    def __init__(self, tasks: Sequence[Task], workers: int, limits: Limits) -> None:
        self.capacity = workers
        self._folder = tempfile.TemporaryDirectory(prefix="xbarsim-")
        path = Path(self._folder.name) / "tasks.pickle"
        path.write_bytes(_pickled(tasks, limits))
        self._workers = [_Process(path, threads_each(workers), limits) for _ in range(workers)]

    def submit(self, job: Job) -> None:
        """See `Backend`."""
        next(worker for worker in self._workers if worker.job is None).begin(job)

    def wait(self) -> list[Finished]:
        """See `Backend`."""
        while busy := [worker for worker in self._workers if worker.job is not None]:
            left = min(worker.deadline for worker in busy) - time.monotonic()
            wait([worker.future for worker in busy], min(max(0.0, left), LONGEST_WAIT_S), FIRST_COMPLETED)
            if found := [finished for worker in busy if (finished := worker.poll()) is not None]:
                return found
        return []

    def close(self) -> None:
        """See `Backend`."""
        for worker in self._workers:
            worker.stop()
        self._folder.cleanup()


class _Process:
    """One process: it prepares a task, then makes its trials, one at a time."""

    def __init__(self, path: Path, threads: int, limits: Limits) -> None:
        self._path, self._threads = str(path), threads
        self._time_s = float("inf") if limits.time_s is None else limits.time_s
        self._executor: ProcessPoolExecutor | None = None
        self._process: BaseProcess | None = None
        self._ready, self._prepared_once = -1, False
        self.job: Job | None = None
        self.future: Future[Any] = Future()
        self.deadline = float("inf")

    def begin(self, job: Job) -> None:
        """Prepare the job's task, if that is not done, and make its trial."""
        self.job = job
        if self._ready == job.task:
            self._submit(_run, job)
            self.deadline = time.monotonic() + self._time_s * len(job.trials)
        else:
            self._submit(_prepare, job)

    def poll(self) -> Finished | None:
        """What became of the job, if that is known."""
        job = self.job
        assert job is not None
        if not self.future.done():
            if time.monotonic() < self.deadline:
                return None
            self.stop()
            limit = f"longer than the time limit of {self._time_s:g} s"
            return Finished(job=job, error=limit, seconds=self._time_s * len(job.trials))
        try:
            answer = self.future.result()
        except BrokenProcessPool:
            self.stop()
            if not self._prepared_once and self._process is not None and (self._process.exitcode or 0) > 0:
                remedy = "put what starts the campaign below 'if __name__ == \"__main__\":'"
                raise InputError("worker process", "one that starts", "one that ends", remedy) from None
            return Finished(job=job, died=True, error="its worker died: killed, or out of memory")
        except Exception as error:  # it came from the tasks' file: trials' own errors are answers
            remedy = "define workloads at the top of a module that workers can import"
            raise InputError("tasks", "workloads that workers can receive", worded(error), remedy) from error
        if answer is None:  # prepared
            self._ready, self._prepared_once = job.task, True
            self._submit(_run, job)
            self.deadline = time.monotonic() + self._time_s * len(job.trials)
            return None
        self.job = None
        return answer

    def _submit(self, function: Any, job: Job) -> None:
        self.deadline = float("inf")
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin_process,
            )
        others = set(multiprocessing.active_children())
        try:
            with environment_of_threads(self._threads):
                self.future = self._executor.submit(function, self._path, job)
        except BrokenProcessPool as error:  # it died while it had nothing to do
            self.future = Future()
            self.future.set_exception(error)
        self._process = next(iter(set(multiprocessing.active_children()) - others), self._process)

    def stop(self) -> None:
        """Kill the process; the next job gets a new one."""
        executor, self._executor = self._executor, None
        self.job, self._ready, self.deadline = None, -1, float("inf")
        if executor is not None:
            if self._process is not None:
                self._process.kill()
            executor.shutdown(wait=True, cancel_futures=True)


def _pickled(tasks: Sequence[Task], limits: Limits) -> bytes:
    try:
        return pickle.dumps(Bench(tasks, limits.memory_MB), pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        remedy = "define the workload at the top of a module, or use one worker"
        raise InputError("tasks", "workloads that other processes can receive", str(error), remedy) from error


def _begin_process() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


@lru_cache(maxsize=1)
def _bench(path: str) -> Bench:
    return pickle.loads(Path(path).read_bytes())  # written by the parent process a moment ago


def _prepare(path: str, job: Job) -> Finished | None:
    return _bench(path).unprepared(job)


def _run(path: str, job: Job) -> Finished:
    return _bench(path).run(job)
