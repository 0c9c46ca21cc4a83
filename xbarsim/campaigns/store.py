"""The store: one SQLite file with tasks, their trials, their failures, and where the numbers come from.

Every row is committed when it is appended (write-ahead log), so a process that is killed loses only trials
in flight; a task and a trial number are a key, so nothing is counted twice. Trials are never changed. One
process writes, any number reads at the same time.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from xbarsim import __version__
from xbarsim.campaigns.estimates import Moments
from xbarsim.campaigns.schema import APPLICATION, TABLES, VERSION, VIEWS, difference, guard
from xbarsim.campaigns.task import MOST_TRIALS, Task
from xbarsim.errors import InputError
from xbarsim.files import place_remedy, write_atomically

MEMORY = ":memory:"
PUT = (
    "INSERT OR REPLACE INTO trials SELECT ?, ?, ?, ?, ?, ?, ? "
    "WHERE NOT EXISTS (SELECT 1 FROM sound WHERE task = ? AND trial = ?)"
)
OF_THE_PLACE = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_TOOBIG")


class Row(NamedTuple):
    """One trial as it is stored; `counts` is JSON, or None where there are none."""

    task: int
    trial: int
    run: int
    shots: int
    hits: int
    seconds: float
    counts: str | None


@dataclass(frozen=True, kw_only=True)
class TaskStatus:
    """How far a task has come, and what it found.

    Attributes
    ----------
    planned, stop : trials, at most; the stopping rule, if there is one
    facts : what the workload said about what it measures, for reports
    failed : trials whose failure no later attempt has mended
    unsound : rows that cannot be, in words, which are left out: another program's or a damaged disk's
    """

    id: int
    key: str
    seed: int
    planned: int
    stop: str
    description: Mapping[str, Any]
    facts: Mapping[str, Any]
    failed: int
    seconds: float
    moments: Moments
    unsound: str = ""

    @property
    def done(self) -> int:
        """Trials that are stored."""
        return self.moments.trials

    @classmethod
    def planned_of(cls, task: Task) -> TaskStatus:
        """Return the status of a task that no store has yet."""
        return cls(
            id=0, key=task.key, seed=task.seed, planned=task.trials, stop="", failed=0, seconds=0.0,
            description=_entries(task.description), facts={"words": getattr(task.workload, "words", {})},
            moments=Moments(0, float("nan"), 0.0, False),
        )  # fmt: skip


class Store:
    """A campaign's file.

    Parameters
    ----------
    path : made if it is missing and `mode` is 'write'; None for one in memory, which ends when it is closed
    mode : 'write' takes a lock beside the file and, on Linux, the file under all its names, so that no other
        process writes; 'read' does not wait for it

    Raises
    ------
    InputError : no such file, another kind of file, another version, a damaged one, one that is being
        written by another process, one that cannot be written.
    """

    def __init__(self, path: str | Path | None, mode: Literal["read", "write"] = "read") -> None:
        self._lock: FileLock | None = None
        self._inode: socket.socket | None = None
        self._made = False
        if path is None:
            self.path = Path(MEMORY)
            self._connection = sqlite3.connect(MEMORY)
            self._connection.executescript(TABLES + VIEWS)
            return
        self.path = _possible(Path(path))
        if mode == "read" and not os.path.exists(self.path):
            raise InputError(str(path), "a campaign's store", "no such file", "run a campaign first")
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise InputError(str(path), "a campaign's store", "no regular file", "choose another path")
        if mode == "write":
            self._lock = _locked(self.path)
        try:
            if mode == "write" and not (self.path.exists() and self.path.stat().st_size):
                _make(self.path)
                self._made = True
            if mode == "write":
                self._inode = _locked_inode(self.path)
            self._connection = _connect(self.path, mode)
            with self._sound():
                guard(self._connection)
                self._check_kind()
                self._connection.executescript(VIEWS)
                if mode == "write":
                    self._connection.execute("PRAGMA synchronous = NORMAL")
                else:
                    self._connection.execute("PRAGMA query_only = ON")
        except BaseException:
            self.close()
            raise

    def _check_kind(self) -> None:
        (application,) = self._one("PRAGMA application_id")
        (version,) = self._one("PRAGMA user_version")
        if application != APPLICATION:
            raise InputError(
                str(self.path), "a campaign's store", "another SQLite file", "choose another path"
            )
        if version != VERSION:
            remedy = "export it with the version that wrote it, or begin another store"
            raise InputError(str(self.path), f"a store of version {VERSION}", f"version {version}", remedy)
        if (other := difference(self._connection)) is not None:
            remedy = "take the trials from where the store came from"
            raise InputError(str(self.path), "a campaign's store as it was written", other, remedy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def kept(self) -> bool:
        """Whether it is a file, which stays."""
        return str(self.path) != MEMORY

    def close(self) -> None:
        """Let go of the file and of its lock; what was appended stays."""
        if connection := getattr(self, "_connection", None):
            connection.close()
        if self._inode is not None:
            self._inode.close()
        if self._lock is not None:
            self._lock.release()

    def discard(self) -> None:
        """Remove the file if it was made by opening it here; ours is still the lock."""
        if self._made:
            self._connection.close()
            self.path.unlink(missing_ok=True)

    def begin_run(self, command: str) -> int:
        """Note who writes from now on; the number that rows refer to."""
        told = command.encode(errors="backslashreplace").decode()  # paths may be any bytes
        with self._worded(), self._connection:
            at = self._connection.execute(
                "INSERT INTO runs (started, command, versions) VALUES (?, ?, ?)",
                (datetime.now(UTC).isoformat(timespec="microseconds"), told, json.dumps(versions())),
            )
        assert at.lastrowid is not None
        return at.lastrowid

    def add(self, tasks: Sequence[Task], *, stops: Sequence[str] | None = None) -> list[int]:
        """Note tasks, each once, with their stopping rules in words; their numbers in this file, in order."""
        with self._worded():
            facts = dict(self._connection.execute("SELECT key, facts FROM tasks"))
        for task in tasks:
            if task.key not in facts:
                facts[task.key] = task.facts()
        with self._worded(), self._connection:
            self._connection.executemany(
                "INSERT INTO tasks (key, seed, planned, stop, description, facts) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET planned = excluded.planned, stop = excluded.stop",
                [
                    (task.key, task.seed, task.trials, stop, task.description, facts[task.key])
                    for task, stop in zip(tasks, stops or [""] * len(tasks), strict=True)
                ],
            )
            numbers = dict(self._connection.execute("SELECT key, id FROM tasks"))
        return [numbers[task.key] for task in tasks]

    def append(self, rows: Iterable[Row]) -> None:
        """Commit finished trials; one takes the place of a row that cannot be.

        Raises
        ------
        InputError : a trial that is there already or cannot be, or the system cannot write; then none of them
            is there.
        """
        with self._worded(), self._connection:
            self.put(rows)

    def put(self, rows: Iterable[Row]) -> None:
        """Add trials within a transaction; see `append`."""
        listed = list(rows)
        for row in listed:
            if not (0 <= row.hits <= row.shots > 0 and 0 <= row.trial < MOST_TRIALS and row.seconds >= 0):
                raise InputError(str(self.path), "0 <= hits <= shots, shots above 0", tuple(row))
        told = self._connection.executemany(PUT, ((*row, row.task, row.trial) for row in listed))
        if told.rowcount < len(listed):
            raise sqlite3.IntegrityError("some of them a second time")

    def append_failure(self, task: int, trial: int, run: int, seconds: float, error: str) -> None:
        """Commit that a trial failed, and why. A later run tries it again."""
        with self._worded(), self._connection:
            row = (task, trial, run, seconds, error)
            self._connection.execute("INSERT INTO failures VALUES (?, ?, ?, ?, ?)", row)

    def results(self, task: int) -> NDArray[np.int64]:
        """(done, 3): trial, shots and hits of a task's trials, by trial."""
        with self._sound():
            rows = self._connection.execute(
                "SELECT trial, shots, hits FROM sound WHERE task = ? ORDER BY trial", (task,)
            ).fetchall()
            return np.array(rows, np.int64).reshape(-1, 3)

    def status(self) -> list[TaskStatus]:
        """Every task, in the order in which they were added."""
        with self._sound():
            unsound = self._unsound()
            rows = self._connection.execute(
                "SELECT id, key, seed, planned, stop, description, facts, "
                "(SELECT count(DISTINCT trial) FROM failures f WHERE f.task = id AND NOT EXISTS "
                "(SELECT 1 FROM sound t WHERE t.task = f.task AND t.trial = f.trial)), "
                "coalesce(done, 0), coalesce(seconds, 0), share, square, single FROM tasks LEFT JOIN (SELECT "
                "task, count(*) AS done, sum(seconds) AS seconds, sum(1.0 * hits / shots) AS share, "
                "sum((1.0 * hits / shots) * (1.0 * hits / shots)) AS square, max(shots) = 1 AS single "
                "FROM sound GROUP BY task) ON task = id ORDER BY id"
            ).fetchall()
            for row in rows:
                _check_types(row[:7], int, str, int, int, str, str, str)
            return [
                TaskStatus(
                    id=row[0], key=row[1], seed=row[2], planned=max(row[3], row[8]), stop=row[4],
                    description=_entries(row[5]), facts=_entries(row[6]), failed=row[7], seconds=row[9],
                    moments=_moments(*row[8:9], *row[10:]), unsound=unsound.get(row[0], ""),
                )
                for row in rows
            ]  # fmt: skip

    def _unsound(self) -> dict[int, str]:
        """Of every task that has some, its rows that cannot be, in words."""
        rows = self._connection.execute(
            "SELECT task, count(*), min(trial), shots, hits FROM unsound GROUP BY task"
        )
        return {
            task: f"{count:,}, the first: trial {trial} with {hits} hits of {shots} shots"
            for task, count, trial, shots, hits in rows
        }

    def failures(self) -> list[tuple[int, int, str]]:
        """Task, trial and error of every failed attempt, in order."""
        with self._sound():
            found = self._connection.execute("SELECT task, trial, error FROM failures").fetchall()
            for row in found:
                _check_types(row, int, int, str)
            return found

    def runs(self) -> list[tuple[int, str, str, str]]:
        """Number, time (UTC), command and versions (JSON) of every run."""
        with self._sound():
            found = self._connection.execute("SELECT id, started, command, versions FROM runs").fetchall()
            for row in found:
                _check_types(row, int, str, str, str)
                _entries(row[3])
            return found

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Any statement, for the modules beside this one."""
        with self._worded():
            return self._connection.execute(sql, parameters)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements within, or none of them."""
        with self._worded(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield

    def _one(self, sql: str) -> tuple[Any, ...]:
        return self._connection.execute(sql).fetchone()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read within is of one moment, whoever writes meanwhile, and makes sense."""
        with self._sound():
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.rollback()

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """What is read within a damaged file may be anything."""
        with self._worded():
            try:
                yield
            except InputError:
                raise
            except (ValueError, TypeError, LookupError, RecursionError) as error:
                raise _damaged(self.path, str(error)) from error

    @contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise InputError(str(self.path), "trials that are not there yet", str(error)) from error
        except (sqlite3.Error, OverflowError) as error:
            raise _unusable(self.path, error) from error


def _check_types(row: Sequence[object], *kinds: type) -> None:
    """A damaged file may hold anything anywhere, whatever its schema says."""
    for value, kind in zip(row, kinds, strict=True):
        if not isinstance(value, kind):
            raise TypeError(f"expected {kind.__name__}, got {value!r:.40}")


def _entries(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError(f"expected an object, got {text[:40]}")
    return found


def _moments(count: int, total: float | None, squares: float | None, single: int | None) -> Moments:
    if not count or total is None or squares is None:
        return Moments(0, float("nan"), 0.0, False)
    mean = total / count
    spread = squares - count * mean * mean
    rounded = spread < 1e-12 * squares  # what is left of equal values
    variance = 0.0 if rounded or count < 2 else spread / (count - 1)
    return Moments(count, mean, variance, bool(single))


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    import platform

    import numba
    import scipy

    return {
        "xbarsim": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "scipy": scipy.__version__,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _possible(path: Path) -> Path:
    """The path, unless no file can have it."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _unusable(path, error) from error
    return path


def _locked(path: Path) -> FileLock:
    lock = FileLock(f"{os.path.realpath(path)}.lock", timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise _in_use(path) from error
    except OSError as error:
        raise _unusable(path, error) from error
    return lock


def _locked_inode(path: Path) -> socket.socket | None:
    """Hold the file itself, whatever other names it has (hard links); None where only Linux can.

    A socket's name is free again when its process ends. A lock on the file would cost SQLite its own: closing
    any descriptor of a file gives up all locks of the process on it.
    """
    if sys.platform != "linux":
        return None
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        found = path.stat()
        held.bind(f"\0xbarsim-store-{found.st_dev}-{found.st_ino}")
    except OSError as error:
        held.close()
        raise (_in_use(path) if error.errno == errno.EADDRINUSE else _unusable(path, error)) from error
    return held


def _in_use(path: Path) -> InputError:
    remedy = "wait until it is done, or stop it; reading is possible meanwhile"
    return InputError(str(path), "a store that nobody else writes", "one in use", remedy)


def _make(path: Path) -> None:
    """An empty store, whole before it has its name: nobody reads half of one."""
    for log in (f"{path}-wal", f"{path}-shm"):
        Path(log).unlink(missing_ok=True)  # of a store that was deleted

    def write(temporary: Path) -> None:
        connection = sqlite3.connect(temporary)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            kind = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
            connection.executescript(f"BEGIN; {TABLES} {kind} COMMIT;")
        finally:
            connection.close()

    try:
        write_atomically(path, write)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{Path(os.path.realpath(path)).as_uri()}?mode={'rwc' if mode == 'write' else 'rw'}"
    if mode == "read" and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        uri = uri.replace("mode=rw", "mode=ro")  # else the last reader clears the log away
        if not Path(f"{path}-wal").exists():
            uri += "&immutable=1"  # nobody can be writing, and readers of a log need a file beside it
    try:
        return sqlite3.connect(uri, uri=True, timeout=10)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> InputError:
    words = getattr(error, "strerror", None) or str(error)
    kind = getattr(error, "sqlite_errorname", None) or ""
    if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        remedy = "wait until the other process is done"
        return InputError(str(path), "a store that nobody else writes", words, remedy)
    if not isinstance(error, (OSError, OverflowError)) and not kind.startswith(OF_THE_PLACE):
        return _damaged(path, words)
    remedy = "what was stored before is kept; "
    remedy += place_remedy(error, "free some space, or choose a place that can be written")
    return InputError(str(path), "a store that can be used", words, remedy)


def _damaged(path: Path, words: str) -> InputError:
    remedy = "it is damaged: go on with a copy, or save what is readable with 'sqlite3 FILE .recover'"
    return InputError(str(path), "a campaign's store", words, remedy)
