"""The tables of a store, and whether what a file holds are they and can be true.

A store may come from anybody. Before a query runs, its schema has to be this one to the letter: a view or a
trigger of another would be run by it. Rows that cannot be are never read: the view `sound` has the others.
"""

from __future__ import annotations

import sqlite3
from functools import cache

from xbarsim.campaigns.task import MOST_TRIALS

VERSION = 1
APPLICATION = 0x78627273  # 'xbrs', at byte 68 of the file
LONGEST_BYTES = 10**8
TABLES = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, started TEXT NOT NULL, command TEXT NOT NULL, versions TEXT NOT NULL
) STRICT;
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, seed INTEGER NOT NULL, planned INTEGER NOT NULL,
    stop TEXT NOT NULL, description TEXT NOT NULL, facts TEXT NOT NULL
) STRICT;
CREATE TABLE trials (
    task INTEGER NOT NULL REFERENCES tasks, trial INTEGER NOT NULL, run INTEGER NOT NULL REFERENCES runs,
    shots INTEGER NOT NULL, hits INTEGER NOT NULL, seconds REAL NOT NULL, counts TEXT,
    PRIMARY KEY (task, trial)
) STRICT, WITHOUT ROWID;
CREATE TABLE failures (
    task INTEGER NOT NULL REFERENCES tasks, trial INTEGER NOT NULL, run INTEGER NOT NULL REFERENCES runs,
    seconds REAL NOT NULL, error TEXT NOT NULL
) STRICT;
CREATE TRIGGER trials_stay BEFORE UPDATE ON trials BEGIN SELECT RAISE(ABORT, 'trials are never changed'); END;
CREATE TRIGGER trials_last BEFORE DELETE ON trials BEGIN SELECT RAISE(ABORT, 'trials are never deleted'); END;
"""
POSSIBLE = f"""
trial BETWEEN 0 AND {MOST_TRIALS - 1} AND shots > 0 AND hits BETWEEN 0 AND shots
AND seconds BETWEEN 0 AND 1e15 AND task IN (SELECT id FROM main.tasks)
"""
NUMBERS = """
json_valid(counts) AND json_type(counts) = 'object' AND NOT EXISTS (SELECT 1 FROM json_each(counts)
WHERE type NOT IN ('integer', 'real') OR typeof(value) != type OR abs(value) > 1.7976931348623157e308)
"""
VIEWS = f"""
CREATE TEMP VIEW sound AS SELECT * FROM main.trials WHERE {POSSIBLE};
CREATE TEMP VIEW unsound AS SELECT * FROM main.trials WHERE NOT ({POSSIBLE});
"""


def guard(connection: sqlite3.Connection) -> None:
    """Let a connection to somebody's file run nothing of it, and hold nothing huge."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_BYTES)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")


def difference(connection: sqlite3.Connection) -> str | None:
    """Return a table that a file lacks, or what it has that a store has not; None for a store.

    The triggers may be missing: they guard what is written, and nothing that is read.
    """
    found, own = _schema(connection), _own()
    for kind, name, *_ in sorted(found - own):
        return f"another {kind} {name}"
    for kind, name, *_ in sorted(own - found):
        if kind == "table":
            return f"no table {name}"
    return None


def _schema(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    entries = connection.execute("SELECT type, name, tbl_name, sql FROM main.sqlite_master").fetchmany(100)
    return {
        (kind, name, table, " ".join(str(sql).split()))
        for kind, name, table, sql in entries
        if not (kind == "index" and sql is None)  # those of keys, which tables bring along
    }


@cache
def _own() -> set[tuple[str, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(TABLES)
        return _schema(connection)
    finally:
        connection.close()
