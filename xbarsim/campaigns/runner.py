"""The runner: what a campaign still lacks, made wherever there is room, and stored as it comes in.

Only missing trials are made, so the same call goes on after anything. Rows do not depend on the number of
workers, their order, or how often one of them was lost.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xbarsim.campaigns.backends import Backend, Processes, Serial
from xbarsim.campaigns.dask_scheduler import DaskScheduler
from xbarsim.campaigns.estimates import estimate
from xbarsim.campaigns.stopping import Precision, looks
from xbarsim.campaigns.store import Row, Store
from xbarsim.campaigns.task import Task
from xbarsim.campaigns.worker import Finished, Job, Limits
from xbarsim.errors import InputError, check_int
from xbarsim.metrics.intervals import Estimate

MOST_DEATHS = 3
MISSING, FAILED = -1, -2
SECONDS_BETWEEN = 0.1
MOST_TOGETHER, WEIGHT = 100, 0.2


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    done, planned : trials of all tasks, those stored before included; with a stopping rule `planned` is the
        most that there can be, and falls as tasks end
    made, failed : trials of this run
    task : that of the latest trial, or the one that is being prepared
    current : its estimate so far
    preparing : whether its first trials have just been asked for, which may take long
    """

    done: int
    planned: int
    made: int
    failed: int
    task: Task
    current: Estimate
    preparing: bool = False


OnProgress = Callable[[Progress], None]
OnWait = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did: trials made and failed, and tasks that could not be prepared, with the reason."""

    made: int
    failed: int
    unprepared: dict[str, str]


def collect(
    tasks: Sequence[Task],
    store: str | Path | Store,
    *,
    workers: int = 1,
    scheduler: str | DaskScheduler | None = None,
    until: Precision | None = None,
    fail_fast: bool = False,
    time_limit_s: float | None = None,
    memory_limit_MB: int | None = None,
    on_progress: OnProgress | None = None,
    on_wait: OnWait | None = None,
    command: str = "",
) -> Summary:
    """Make the trials that a store lacks.

    Parameters
    ----------
    tasks : what is repeated; equal ones count once
    store : file, made if it is missing, or one that is open for writing; every trial is in it as soon as it
        is done, on Dask a tenth of a second of short trials at a time
    workers : 1 works in this process, unless there is a limit to enforce; more are processes. On Dask:
        how many workers a local cluster starts
    scheduler : a Dask scheduler, or its address: 'tcp://...' on this machine, 'tls://...', or 'local'; needs
        the extra `dask`. One elsewhere can run code as you, see `DaskScheduler`
    until : ends a task of its metric as soon as it is precise enough, see `xbarsim.campaigns.stopping`; a
        task whose description names no metric has any
    fail_fast : stop at the first trial that fails, instead of noting it and going on
    time_limit_s, memory_limit_MB : of a trial, and of each worker while it makes trials; what exceeds them
        fails
    on_progress : called after every trial
    on_wait : called with a line where nothing goes on until a Dask cluster has workers
    command : how this run was begun, for the record

    Returns
    -------
    Failed trials and tasks are in the store, and are tried again by the next call.

    Raises
    ------
    InputError : a store that cannot be used, a bad option, a failed trial with `fail_fast`.
    KeyboardInterrupt : as it came; workers are stopped, and what was done is stored.
    """
    check_int("workers", workers, 1, 4096)
    limits = Limits(time_s=time_limit_s, memory_MB=memory_limit_MB)
    distinct = list({task.key: task for task in tasks}.values())
    if not distinct:
        raise InputError("campaign", "at least one task", "none")
    with nullcontext(store) if isinstance(store, Store) else Store(store, "write") as file:
        rules = [until if until is not None and _measures(task, until.metric) else None for task in distinct]
        numbers = file.add(distinct, stops=["" if rule is None else str(rule) for rule in rules])
        lists = [_ToDo(*todo) for todo in zip(distinct, numbers, rules, strict=True)]
        for todo in lists:
            todo.load(file)
        if all(todo.ended for todo in lists):
            return Summary(made=0, failed=0, unprepared={})
        backend = _backend(distinct, workers, scheduler, limits, on_wait or (lambda line: None))
        try:
            run = _Run(file, file.begin_run(command), lists, fail_fast=fail_fast, on_progress=on_progress)
            return run.work(backend)
        finally:
            backend.close()


def _measures(task: Task, metric: str) -> bool:
    return json.loads(task.description).get("metric", metric) == metric


def _backend(
    tasks: Sequence[Task],
    workers: int,
    scheduler: str | DaskScheduler | None,
    limits: Limits,
    on_wait: OnWait,
) -> Backend:
    if scheduler is None:
        alone = workers == 1 and limits == Limits()
        return Serial(tasks) if alone else Processes(tasks, workers, limits)
    chosen = scheduler if isinstance(scheduler, DaskScheduler) else DaskScheduler(address=scheduler)
    try:
        from xbarsim.campaigns.dask_backend import Dask
    except ImportError as error:
        remedy = "pip install 'xbarsim[dask]'"
        raise InputError("scheduler", "Dask, to reach it", f"no module {error.name}", remedy) from error
    return Dask(tasks, chosen, workers, limits, on_wait)


class _ToDo:
    """The trials of one task: which are stored, and which come next."""

    def __init__(self, task: Task, number: int, until: Precision | None) -> None:
        self.task, self.number, self._until = task, number, until
        self._batch = check_int("Workload.batch", getattr(task.workload, "batch", 1), 1, 10**6)
        self._counts = np.full((0, 2), MISSING, np.int64)  # grows with the trials that are settled
        self.done, self.dropped, self.again = 0, False, deque[int]()
        self._trial_s, self._together = float("inf"), 1
        self._next = self._first_missing = 0
        self.end, self._limit = task.trials, task.trials if until is None else 0

    def load(self, file: Store) -> None:
        """Take over what is stored."""
        stored = file.results(self.number)
        stored = stored[stored[:, 0] < self.task.trials]
        self._make_room(int(stored[:, 0].max(initial=-1)))
        self._counts[stored[:, 0]] = stored[:, 1:]
        self.done = len(stored)
        self._look()

    def note(self, trial: int, shots: int, hits: int, seconds: float) -> None:
        """A trial is done."""
        self._make_room(trial)
        self._counts[trial] = shots, hits
        known = self._trial_s < float("inf")
        self._trial_s = max(1e-6, (1 - WEIGHT) * self._trial_s + WEIGHT * seconds if known else seconds)
        self.done += 1
        self._look()

    def note_failure(self, trial: int) -> None:
        """A trial has failed: looks pass over it, as if it had another number."""
        self._make_room(trial)
        self._counts[trial] = FAILED
        self._look()

    def take(self, job_s: float) -> tuple[int, ...]:
        """The next trials to make; none if there are none now.

        As many as the workload wants at a time, or as take `job_s`, going by the latest trials, but at most
        twice as many as the last time: they may be about to take longer.
        """
        if self.dropped:
            return ()
        if self.again:
            return (self.again.popleft(),)  # alone: who is to blame shows
        found: list[int] = []
        self._together = int(max(1, min(MOST_TOGETHER, 2 * self._together, job_s / self._trial_s)))
        most = max(self._batch, self._together)
        while self._next < self._limit and len(found) < most:
            if self._next >= len(self._counts) or self._counts[self._next, 0] == MISSING:
                found.append(self._next)
            self._next += 1
        return tuple(found)

    @property
    def ended(self) -> bool:
        """Whether every trial is settled: of all, or of those up to where the stopping rule ended it."""
        return self._first_missing >= self.end

    @property
    def over(self) -> bool:
        """Whether no trial can come any more: all are made, or the task cannot be prepared."""
        return self.dropped or self.ended

    @property
    def estimate(self) -> Estimate:
        """From the trials that are done."""
        found = self._counts[self._counts[:, 0] >= 0]
        confidence = 0.95 if self._until is None else self._until.confidence
        return estimate(found[:, 0], found[:, 1], confidence=confidence)

    def _make_room(self, trial: int) -> None:
        """Let the counts hold a trial, and twice as many as before if they do not."""
        if trial >= len(self._counts):
            size = min(self.task.trials, max(trial + 1, 2 * len(self._counts)))
            more = np.full((size - len(self._counts), 2), MISSING, np.int64)
            self._counts = np.concatenate([self._counts, more])

    def _look(self) -> None:
        """See how far trials are settled without a gap, and up to where they may be made now."""
        while self._first_missing < len(self._counts) and self._counts[self._first_missing, 0] != MISSING:
            self._first_missing += 1
        if self._until is None or self._first_missing < self._limit:
            return
        made = np.flatnonzero(self._counts[: self._first_missing, 0] >= 0)
        ended = self._until.end(self._counts[made, 0], self._counts[made, 1], self.task.trials)
        if ended is not None:
            self.end = self._limit = int(made[ended - 1]) + 1
        else:
            more = next(at for at in looks(self.task.trials) if at > len(made)) - len(made)
            self._limit = min(self.task.trials, self._first_missing + more)


class _Run:
    """One call of `collect`: hands out jobs, stores what comes back."""

    def __init__(
        self, file: Store, number: int, lists: list[_ToDo], *, fail_fast: bool, on_progress: OnProgress | None
    ) -> None:
        self._file, self._number, self._lists = file, number, lists
        self._fail_fast, self._on_progress, self._shown = fail_fast, on_progress, float("-inf")
        self._open = [place for place, todo in enumerate(lists) if not todo.ended]
        self._deaths: Counter[Job] = Counter()
        self._begun: set[int] = set()
        self._made, self._failed, self._unprepared = 0, 0, dict[str, str]()

    def work(self, backend: Backend) -> Summary:
        """Until nothing is left that could be made."""
        running = 0
        while True:
            while running < backend.capacity and (job := self._next(backend.job_s)) is not None:
                if job.task not in self._begun:
                    self._begun.add(job.task)
                    self._show(self._lists[job.task], last=True, preparing=True)
                backend.submit(job)
                running += 1
            if not running:
                return Summary(made=self._made, failed=self._failed, unprepared=self._unprepared)
            finished = backend.wait()
            running -= len(finished)
            self._store(finished)
            for one in finished:
                if len(one.outcomes) < len(one.job.trials):
                    self._note_loss(one)
            self._show(self._lists[finished[-1].job.task], last=not running)

    def _next(self, job_s: float) -> Job | None:
        self._open = [place for place in self._open if not self._lists[place].over]
        for place in self._open:
            if trials := self._lists[place].take(job_s):
                return Job(place, trials)
        return None

    def _store(self, finished: Sequence[Finished]) -> None:
        rows = []
        for one in finished:
            number = self._lists[one.job.task].number
            for trial, (outcome, seconds) in zip(one.job.trials, one.outcomes, strict=False):
                counts = json.dumps(outcome.counts) if outcome.counts else None
                rows.append(Row(number, trial, self._number, outcome.shots, outcome.hits, seconds, counts))
        self._file.append(rows)
        for one in finished:
            for trial, (outcome, seconds) in zip(one.job.trials, one.outcomes, strict=False):
                self._lists[one.job.task].note(trial, outcome.shots, outcome.hits, seconds)
        self._made += len(rows)

    def _note_loss(self, one: Finished) -> None:
        """The first trial without an outcome is lost, or, if others were made with it, made again alone."""
        todo, missing = self._lists[one.job.task], one.job.trials[len(one.outcomes) :]
        self._deaths[one.job] += one.died
        alone = len(missing) == 1
        again = one.died and self._deaths[one.job] < MOST_DEATHS
        if not one.unprepared and (again or not alone):
            todo.again.extend(missing)
            return
        if not (one.unprepared and todo.dropped):
            self._file.append_failure(todo.number, missing[0], self._number, one.seconds, one.error)
        if one.unprepared:
            todo.dropped = True
            self._unprepared[todo.task.key] = one.error
        else:
            self._failed += 1
            todo.note_failure(missing[0])
        if self._fail_fast:
            where = f"trial {missing[0]} of task {todo.task.key[:8]}"
            if one.mistake is not None:
                raise one.mistake.at(where)
            remedy = "leave out fail_fast to go on after it"
            raise InputError(where, "a trial that succeeds", one.error, remedy)

    def _show(self, todo: _ToDo, *, last: bool, preparing: bool = False) -> None:
        if self._on_progress is None or (not last and time.monotonic() < self._shown + SECONDS_BETWEEN):
            return
        self._shown = time.monotonic()
        self._on_progress(
            Progress(
                done=sum(one.done for one in self._lists),
                planned=sum(max(one.done, one.end) for one in self._lists),
                made=self._made,
                failed=self._failed,
                task=todo.task,
                current=todo.estimate,
                preparing=preparing,
            )
        )
