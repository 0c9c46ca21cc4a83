"""What a worker does: it receives all tasks once, prepares those it meets, and makes their trials."""

from __future__ import annotations

import math
import operator
import os
import pickle
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from xbarsim import stops
from xbarsim.campaigns.task import Outcome, Task, TrialFunction
from xbarsim.code import load_code
from xbarsim.errors import InputError, check_int, check_positive

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

KEPT = 4
LEAST_MB = 300
WORKER_MB = 75  # of memory that it shares with no other, with the libraries of the smallest workloads
MOST = 2**63 - 1
NAMES = re.compile(r"[\w.\- ]{1,100}")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a worker may take: None for no limit.

    Parameters
    ----------
    time_s : of a trial, without what its task needs to be prepared; a trial that takes longer fails
    memory_MB : of the process while it makes trials; a trial that asks for more fails. Loading libraries
        and preparing tasks are left alone, since some libraries wait for ever for memory they do not get
    """

    time_s: float | None = None
    memory_MB: int | None = None

    def __post_init__(self) -> None:
        if self.time_s is not None:
            check_positive("time limit", self.time_s)
        if self.memory_MB is not None and resource is None:
            raise InputError("memory limit", "a system that enforces one", sys.platform, "leave it out")
        if self.memory_MB is not None:
            check_int("memory limit", self.memory_MB, LEAST_MB, 10**9, "a worker alone takes some hundred")


@dataclass(frozen=True)
class Job:
    """Some trials of one task, which is named by its place among the tasks."""

    task: int
    trials: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What became of a job: outcomes, of all its trials or of those before an error.

    Attributes
    ----------
    outcomes : of the first trials, each with its seconds
    seconds : that the trial with the error took
    unprepared : the task itself could not be prepared, so none of its trials can be made
    died : the worker was gone, through the trial's fault or not
    mistake : the error, if it is one of input, which says what to do
    """

    job: Job
    outcomes: tuple[tuple[Outcome, float], ...] = ()
    seconds: float = 0.0
    error: str = ""
    unprepared: bool = False
    died: bool = False
    mistake: InputError | None = None


class Bench:
    """The tasks of a campaign in one process, and what is prepared of them: the latest four.

    Parameters
    ----------
    memory_MB : that the process may take while it makes trials; None for no limit
    """

    def __init__(self, tasks: Sequence[Task], memory_MB: int | None = None) -> None:
        self.tasks, self._memory_MB = tuple(tasks), memory_MB
        self._prepared: OrderedDict[int, TrialFunction] = OrderedDict()

    def __getstate__(self) -> tuple[tuple[Path, ...], bytes, int | None]:
        files = dict.fromkeys(file for task in self.tasks for file in getattr(task.workload, "code", ()))
        return tuple(files), pickle.dumps(self.tasks, pickle.HIGHEST_PROTOCOL), self._memory_MB

    def __setstate__(self, state: tuple[tuple[Path, ...], bytes, int | None]) -> None:
        files, tasks, memory_MB = state
        for file in files:  # they define classes of the tasks
            load_code(file)
        self.__init__(pickle.loads(tasks), memory_MB)  # type: ignore[misc]

    def prepare(self, task: int) -> TrialFunction:
        """The task's trial function, built if it is not at hand."""
        if task not in self._prepared:
            self._prepared[task] = self.tasks[task].workload.prepare()
            while len(self._prepared) > KEPT:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(task)
        return self._prepared[task]

    def unprepared(self, job: Job) -> Finished | None:
        """Prepare a job's task; None, or what went wrong."""
        try:
            self.prepare(job.task)
        except (Exception, SystemExit) as error:
            _raise_stop(error)
            return Finished(job=job, error=worded(error), unprepared=True, mistake=_mistake(error))
        return None

    def run(self, job: Job) -> Finished:
        """Make trials, within the memory limit; whatever goes wrong in one of them is an answer too."""
        if (problem := self.unprepared(job)) is not None:
            return problem
        if (problem := self._beyond_limit(job)) is not None:
            return problem
        with memory_limited(self._memory_MB):
            return self._make(job)

    def _beyond_limit(self, job: Job) -> Finished | None:
        """None, or that the limit leaves no room for trials, even without the other tasks."""
        if self._memory_MB is None or taken_MB() < self._memory_MB:
            return None
        for other in [task for task in self._prepared if task != job.task]:
            del self._prepared[other]
        if (taken := taken_MB()) < self._memory_MB:
            return None
        del self._prepared[job.task]
        words = f"memory limit: a worker takes {taken} MB before its first trial, of {self._memory_MB}"
        return Finished(job=job, error=f"{words} allowed; raise the limit", unprepared=True)

    def _make(self, job: Job) -> Finished:
        found: list[tuple[Outcome, float]] = []
        begun = time.perf_counter()
        try:
            outcomes = self.prepare(job.task)(self.tasks[job.task].seed, job.trials)
            together = (time.perf_counter() - begun) / len(job.trials) if isinstance(outcomes, list) else None
            each = iter(outcomes)
            for _ in job.trials:
                outcome = checked(next(each))
                stops.check()  # one that was interrupted may look as if it were whole
                now = time.perf_counter()
                found.append((outcome, now - begun if together is None else together))
                begun = now
        except (Exception, SystemExit) as error:
            _raise_stop(error)
            seconds = time.perf_counter() - begun
            return Finished(
                job=job, outcomes=tuple(found), error=worded(error), seconds=seconds, mistake=_mistake(error)
            )
        return Finished(job=job, outcomes=tuple(found))


def _raise_stop(error: BaseException) -> None:
    """Raise KeyboardInterrupt if that is what the error is at bottom: compiled code makes others of it."""
    if stops.caused(error):
        raise KeyboardInterrupt from error


def _mistake(error: BaseException) -> InputError | None:
    return error if type(error) is InputError else None


def checked(outcome: Outcome) -> Outcome:
    """The outcome in plain numbers, if it is one; raises ValueError or TypeError."""
    shots, hits, counts = outcome
    shots, hits = operator.index(shots), operator.index(hits)
    if not 0 <= hits <= shots or not 0 < shots <= MOST:
        raise ValueError(f"expected 0 <= hits <= shots with shots above 0, got {hits} of {shots}")
    if unfit := [name for name in counts if not NAMES.fullmatch(name)]:
        raise ValueError(f"expected counts with names of letters, digits and '_-. ', got {unfit[0]!r}")
    plain = {name: _plain(value) for name, value in counts.items()}
    return Outcome(shots, hits, plain)


def _plain(value: float) -> float:
    number = float(value) if isinstance(value, (float, np.floating)) else operator.index(value)
    if isinstance(number, int) and abs(number) > MOST:
        raise ValueError(f"expected counts of 64 bits, got {number}")
    if not math.isfinite(number):
        raise ValueError(f"expected finite counts, got {number}")
    return number


def worded(error: BaseException) -> str:
    """An error in one line."""
    try:
        words = " ".join(str(error).split())
    except Exception:  # of the error's own words; its kind is told all the same
        words = "without words"
    return f"{type(error).__name__}: {words}"[:500].encode(errors="backslashreplace").decode()


def threads_each(workers: int) -> int:
    """Threads that a worker may take so that all of them fit the machine."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // workers)


@contextmanager
def environment_of_threads(threads: int) -> Iterator[None]:
    """Processes that are started meanwhile load BLAS, OpenMP, torch and numba with so many threads."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def limit_threads(threads: int) -> None:
    """The same for this process, whose libraries may be loaded already."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    threadpool_limits(limits=threads)
    if numba := sys.modules.get("numba"):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))


@contextmanager
def memory_limited(most_MB: int | None) -> Iterator[None]:
    """Refuse this process more memory: what asks for more gets a MemoryError."""
    if most_MB is None:
        yield
        return
    np.ones((64, 64)) @ np.ones((64, 64))  # BLAS takes its memory before: without it, it waits for ever
    before = resource.getrlimit(resource.RLIMIT_DATA)
    hard, most = before[1], most_MB << 20
    resource.setrlimit(
        resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
    )
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def taken_MB() -> int:
    """Memory that counts towards the limit, in MB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    found = re.search(r"VmData:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return 0 if found is None else int(found[1]) >> 10


def check_room(workers: int) -> None:
    """Refuse more workers than there is memory for now, where the system tells: they would be killed."""
    status = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found is None:
        return
    most = max(1, (int(found[1]) >> 10) // WORKER_MB)
    if workers > most:
        raise InputError("workers", f"at most {most}, for which there is memory", workers, "take fewer")
