"""Trials on a Dask cluster: that of an address, or one on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pickle import PicklingError
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

import dask
from distributed import Client, Future, LocalCluster, WorkerPlugin, get_worker, rpc
from distributed.comm import CommClosedError
from distributed.security import Security
from distributed.worker import Worker

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

ANSWER_S = 15
POLL_S = 1.0
COUNT_S = 2.0


class Dask:
    """Makes trials on a cluster; workers that join or come back get the tasks as well.

    Parameters
    ----------
    scheduler : its address, or 'local' for a cluster of `workers` processes of this machine
    """

    def __init__(self, tasks: Sequence[Task], scheduler: str, workers: int, limits: Limits) -> None:
        self._scheduler, self._name = scheduler, f"xbarsim-{uuid4().hex}"
        self._answers, self._jobs = SimpleQueue[Future](), dict[Any, Job]()
        self._capacity, self._counted_at = 1, float("-inf")
        # messages are sent every 10 ms; a limit of time is watched by the job
        self.job_s = 0.1 if limits.time_s is None else 0.0
        local = scheduler == "local"
        if not local:
            _check_answers(scheduler)
        self._cluster = _local_cluster(workers) if local else None
        try:
            self._client = Client(self._cluster or scheduler, timeout=ANSWER_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            if self._cluster is not None:
                self._cluster.close()
            raise _refused(scheduler) from error
        limit = "" if limits.time_s is None else f", or took longer than {limits.time_s:g} s"
        self._cause = f"its worker died{limit}"
        bench = Bench(tasks, limits.memory_MB)
        plugin = _Tasks(bench, threads_each(workers) if local else None, limits.time_s)
        try:
            self._client.register_plugin(plugin, name=self._name)
        except (TypeError, AttributeError, PicklingError) as error:
            self.close()
            raise InputError("tasks", "workloads that workers can receive", str(error)) from error

    @property
    def capacity(self) -> int:
        """One job for every worker: one that waited at a worker would be blamed for its death."""
        if time.monotonic() > self._counted_at + COUNT_S:  # workers come and go; asking takes milliseconds
            self._counted_at = time.monotonic()
            self._capacity = max(1, len(self._client.nthreads()))
        return self._capacity

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
                future = self._answers.get(timeout=POLL_S)
            except Empty:
                if self._client.status != "running":
                    remedy = "see whether it still runs, then give the same command again to go on"
                    lost = f"a lost one to {self._scheduler}"
                    raise InputError("scheduler", "a connection", lost, remedy) from None
                continue
            found.append(self._finished(future))
        return found

    def _finished(self, future: Future) -> Finished:
        job = self._jobs.pop(future.key)
        if future.status == "finished":
            return future.result()
        words = worded(future.exception()) if future.status == "error" else future.status
        # a scheduler that is not ours has tried several workers already
        return Finished(job=job, died=self._cluster is not None, error=f"{self._cause}: {words}")

    def close(self) -> None:
        """See `Backend`."""
        with suppress(Exception):  # a cluster that is gone has nothing to forget
            self._client.unregister_worker_plugin(self._name)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def _check_answers(address: str) -> None:
    """Refuse an address where nobody answers, or somebody else; a client would wait there for ever."""

    async def ask() -> None:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as other:
            identity = await asyncio.wait_for(other.identity(), ANSWER_S)
        if identity.get("type") != "Scheduler":
            raise ValueError(identity)

    try:
        with ThreadPoolExecutor(1) as pool:  # this thread may have a loop of its own
            pool.submit(asyncio.run, ask()).result()
    except (OSError, ValueError, TypeError, TimeoutError, CommClosedError) as error:
        raise _refused(address) from error


def _refused(address: str) -> InputError:
    remedy = "give the address that 'dask scheduler' prints, or 'local'"
    return InputError("scheduler", "a Dask scheduler that answers", address, remedy)


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


def _local_cluster(workers: int) -> LocalCluster:
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # the runner tries again itself
        "distributed.nanny.pre-spawn-environ": {},  # it would stay in this process; see `_Tasks.run`
    }
    with dask.config.set(settings):
        return LocalCluster(
            n_workers=workers, threads_per_worker=1, memory_limit=None, dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )  # fmt: skip
