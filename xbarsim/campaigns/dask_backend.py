"""Trials on a Dask cluster: that of an address, or one on this machine.

Nothing here waits for an answer without asking, now and then, whether the scheduler is still there.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from distributed import Future, WorkerPlugin, get_worker
from distributed.comm import CommClosedError
from distributed.worker import Worker

from xbarsim.campaigns.dask_connection import CLOSE_S, POLL_S, Connection, patiently, within
from xbarsim.campaigns.dask_scheduler import LOCAL, DaskScheduler
from xbarsim.campaigns.task import Task
from xbarsim.campaigns.worker import (
    Bench,
    Finished,
    Job,
    Limits,
    limit_threads,
    threads_each,
    worded,
)
from xbarsim.errors import InputError

LOST_S = 30.0
COUNT_S = 2.0
SILENT_S = 3.0
REGISTRATIONS = 3


class Dask:
    """Makes trials on a cluster; workers that join or come back get the tasks as well.

    Parameters
    ----------
    workers : processes of a cluster on this machine
    on_wait : called with a line where it has to wait for workers
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        scheduler: DaskScheduler,
        workers: int,
        limits: Limits,
        on_wait: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._scheduler, self._name, self._on_wait = scheduler, f"xbarsim-{uuid4().hex}", on_wait
        self._answers, self._jobs = SimpleQueue[Future](), dict[Any, Job]()
        self._workers, self._counted_at, self._said = 0, float("-inf"), False
        # messages are sent every 10 ms; a limit of time is watched by the job
        self.job_s = 0.1 if limits.time_s is None else 0.0
        self._local = scheduler.address == LOCAL
        limit = "" if limits.time_s is None else f", or took longer than {limits.time_s:g} s"
        self._cause = f"its worker died{limit}"
        threads = threads_each(workers) if self._local else None
        self._connection = Connection(scheduler, workers)
        self._client, self._seen_at = self._connection.client, time.monotonic()
        try:
            self._register(_Tasks(Bench(tasks, limits.memory_MB), threads, limits.time_s))
            while not self._workers:
                self._watch()
                time.sleep(0.0 if self._workers else POLL_S)
        except BaseException:
            self.close()
            raise

    @property
    def capacity(self) -> int:
        """One job for every worker: one that waited at a worker would be blamed for its death."""
        self._watch()
        return max(1, self._workers)

    def submit(self, job: Job) -> None:
        """See `Backend`."""
        future = self._client.submit(_run, self._name, job, pure=False, retries=0)
        self._jobs[future.key] = job
        future.add_done_callback(self._answers.put)

    def wait(self) -> list[Finished]:
        """See `Backend`."""
        found: list[Finished] = []
        while not found or not self._answers.empty():
            try:
                found.append(self._finished(self._answers.get(timeout=POLL_S)))
            except Empty:
                self._watch()
        return found

    def close(self) -> None:
        """See `Backend`."""
        if self._client.status == "running":
            forget = partial(self._client.unregister_worker_plugin, self._name)
            with suppress(Exception):  # a cluster that is gone has nothing to forget
                patiently(forget, within(CLOSE_S, TimeoutError()))
        self._connection.close()

    def _finished(self, future: Future) -> Finished:
        job = self._jobs.pop(future.key)
        try:
            return patiently(future.result, self._watch)
        except InputError:
            raise
        except (Exception, asyncio.CancelledError) as error:
            if future.status != "error":  # nobody cancels a job of ours but a scheduler that forgets it
                raise self._lost() from error
            # a scheduler that is not ours has tried several workers already
            return Finished(job=job, died=self._local, error=f"{self._cause}: {worded(error)}")

    def _register(self, plugin: _Tasks) -> None:
        """Give the tasks to all workers, those that come later included."""
        for _ in range(REGISTRATIONS):
            try:
                patiently(partial(self._client.register_plugin, plugin, name=self._name), self._watch)
                return
            except InputError:
                raise
            except CommClosedError:  # a worker went in the middle
                continue
            except Exception as error:
                raise InputError("tasks", "workloads that workers can receive", worded(error)) from error
        raise self._lost()

    def _watch(self) -> None:
        """Count the workers; end a wait for a scheduler that is gone, or for workers that do not come."""
        if time.monotonic() < self._counted_at + COUNT_S:  # workers come and go; asking takes milliseconds
            return
        self._workers = self._count()
        self._counted_at = now = time.monotonic()
        if self._workers:
            self._seen_at, self._said = now, False
            return
        waited_s, most_s = now - self._seen_at, self._scheduler.wait_for_workers_s
        address = self._scheduler.address
        if waited_s > most_s:
            remedy = f"start some with 'dask worker {address}', then give the same command again to go on"
            expected = f"at least one worker within {most_s:g} s"
            raise InputError("DaskScheduler.wait_for_workers_s", expected, f"none at {address}", remedy)
        if waited_s > SILENT_S and not self._said:
            self._said = True
            self._on_wait(f"waiting for workers of {address}, for {most_s:g} s at most")

    def _count(self) -> int:
        if self._client.status != "running":  # it would connect again, to a scheduler that has forgotten us
            raise self._lost()
        scheduler: Any = self._client.scheduler
        try:
            return len(self._client.sync(scheduler.ncores, callback_timeout=LOST_S))
        except (OSError, AttributeError) as error:  # it has none while it is closing
            raise self._lost() from error

    def _lost(self) -> InputError:
        remedy = "see whether it still runs, then give the same command again to go on"
        return InputError("scheduler", "a connection", f"a lost one to {self._scheduler.address}", remedy)


class _Tasks(WorkerPlugin):
    """The tasks in a worker. One trial at a time in each, since compiled kernels use all threads."""

    def __init__(self, bench: Bench, threads: int | None, time_s: float | None) -> None:
        self.bench, self._threads, self._time_s = bench, threads, time_s

    def setup(self, worker: Worker) -> None:
        """Once in every worker."""
        self._one, self._limited = threading.Lock(), set[int]()
        self._threads = self._threads or worker.state.nthreads

    def run(self, job: Job) -> Finished:
        """Make trials; a worker that takes too long for them ends itself, and its nanny starts another."""
        with self._one:
            if threading.get_ident() not in self._limited:  # some libraries count by thread
                self._limited.add(threading.get_ident())
                limit_threads(self._threads or 1)
            if (problem := self.bench.unprepared(job)) is not None:
                return problem
            most_s = (self._time_s or threading.TIMEOUT_MAX) * len(job.trials)
            timer = threading.Timer(min(most_s, threading.TIMEOUT_MAX), os._exit, (1,))
            timer.daemon = True
            timer.start()
            try:
                return self.bench.run(job)
            finally:
                timer.cancel()


def _run(name: str, job: Job) -> Finished:
    tasks: Any = get_worker().plugins[name]
    return tasks.run(job)
