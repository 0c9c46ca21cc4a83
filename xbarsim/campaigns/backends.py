"""Where trials are made: in this process, in processes beside it, or on a Dask cluster.

Every process has a pipe of its own. Pools with a common queue share locks, and a worker that is killed while
it holds one takes all others with it.
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
from contextlib import suppress
from mmap import ACCESS_READ, mmap
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from typing import Any, Protocol

from xbarsim import stops
from xbarsim.campaigns.task import Task
from xbarsim.campaigns.worker import (
    Bench,
    Finished,
    Job,
    Limits,
    check_room,
    environment_of_threads,
    threads_each,
    worded,
)
from xbarsim.errors import InputError

LONGEST_WAIT_S, ENDING_S = 3600.0, 1.0


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
        check_room(min(workers, sum(task.trials for task in tasks)))
        self.capacity, content = workers, _pickled(tasks, limits)
        self._tasks = tempfile.TemporaryFile()  # noqa: SIM115 - without a name: nothing is left
        self._tasks.write(content)
        self._tasks.flush()
        descriptor, threads = self._tasks.fileno(), threads_each(workers)
        self._workers = [_Process(descriptor, threads, limits.time_s) for _ in range(workers)]

    def submit(self, job: Job) -> None:
        """See `Backend`."""
        next(worker for worker in self._workers if worker.job is None).begin(job)

    def wait(self) -> list[Finished]:
        """See `Backend`."""
        while busy := [worker for worker in self._workers if worker.job is not None]:
            left = min(worker.deadline for worker in busy) - time.monotonic()
            pipes = {worker.pipe: worker for worker in busy}
            ready = set(connection.wait(list(pipes), min(max(0.0, left), LONGEST_WAIT_S)))
            answers = (worker.poll(told=pipe in ready) for pipe, worker in pipes.items())
            if found := [finished for finished in answers if finished is not None]:
                return found
        return []

    def close(self) -> None:
        """See `Backend`."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.stop()
        self._tasks.close()


class _Process:
    """One process and a pipe to it: it prepares a job's task, says so, and makes the job's trials."""

    def __init__(self, tasks: int, threads: int, time_s: float | None) -> None:
        self._tasks, self._threads = tasks, threads
        self._time_s = float("inf") if time_s is None else time_s
        self._process: BaseProcess | None = None
        self._answered = False
        self.pipe: Any = None
        self.job: Job | None = None
        self.deadline = float("inf")

    def begin(self, job: Job) -> None:
        """Have a job's trials made."""
        self.job, self.deadline = job, float("inf")
        if self._process is None:
            self._start()
        with suppress(ConnectionError):  # it died while it had nothing to do, which its pipe tells
            self.pipe.send(job)

    def poll(self, *, told: bool) -> Finished | None:
        """What became of the job, if that is known; `told` is whether there is something in the pipe."""
        job = self.job
        assert job is not None
        if not told:
            return None if time.monotonic() < self.deadline else self._too_late(job)
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):  # at the end of a message, or within one
            return self._died(job)
        if isinstance(answer, str):
            remedy = "define workloads at the top of a module that workers can import"
            raise InputError("tasks", "workloads that workers can receive", answer, remedy)
        self._answered = True
        if answer is None:  # its task is prepared
            self.deadline = time.monotonic() + self._time_s * len(job.trials)
            return None
        self.job = None
        return answer

    def _too_late(self, job: Job) -> Finished:
        self.kill()
        self.stop()
        limit = f"longer than the time limit of {self._time_s:g} s"
        return Finished(job=job, error=limit, seconds=self._time_s * len(job.trials))

    def _died(self, job: Job) -> Finished:
        code = self.stop()
        if not self._answered and code > 0:
            remedy = "put what starts the campaign below 'if __name__ == \"__main__\":', or take fewer"
            raise InputError("worker process", "one that starts", "one that ends", remedy)
        return Finished(job=job, died=True, error="its worker died: killed, or out of memory")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(DupFd(self._tasks), theirs))
        resource_tracker.ensure_running()  # which lets signals through again
        try:
            with environment_of_threads(self._threads), stops.undisturbed_children():
                self._process.start()
        except OSError as error:
            self._process = None
            expected = "as many as this system has processes, files and memory for"
            raise InputError("workers", expected, error.strerror, "take fewer") from error
        finally:
            theirs.close()

    def kill(self) -> None:
        """End the process, without waiting for it."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> int:
        """End the process; the exit code that it had or got. The next job gets a new one."""
        process, self._process = self._process, None
        self.job, self.deadline = None, float("inf")
        if process is None:
            return 0
        self.pipe.close()  # a worker that waits for a job ends itself
        process.join(ENDING_S)  # its pipe may close before it has ended by itself
        process.kill()
        process.join()
        return process.exitcode or 0


def _pickled(tasks: Sequence[Task], limits: Limits) -> bytes:
    try:
        return pickle.dumps(Bench(tasks, limits.memory_MB), pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        remedy = "define the workload at the top of a module, or use one worker"
        raise InputError("tasks", "workloads that other processes can receive", str(error), remedy) from error


def _serve(tasks: Any, pipe: connection.Connection) -> None:
    """Be a worker: answer every job with None when its task is prepared, then with what became of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with mmap(tasks.detach(), 0, access=ACCESS_READ) as content:
            bench = pickle.loads(content)  # written by the parent process a moment ago
    except Exception as error:  # trials' own errors are answers
        pipe.send(worded(error))
        return
    with suppress(EOFError, OSError, KeyboardInterrupt):  # the parent, or a trial, wants no more
        while True:
            job = pipe.recv()
            problem = bench.unprepared(job)
            pipe.send(problem)
            if problem is None:
                pipe.send(bench.run(job))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
