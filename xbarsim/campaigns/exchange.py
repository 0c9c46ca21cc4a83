"""What goes out of a store and into another: pandas, Parquet, CSV, merging."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbarsim.campaigns.differences import Difference, refusal
from xbarsim.campaigns.schema import NUMBERS
from xbarsim.campaigns.store import Row, Store
from xbarsim.errors import InputError, check_choice
from xbarsim.files import check_file, write_atomically
from xbarsim.hints import checked

if TYPE_CHECKING:
    import pandas as pd

CHUNK, CELLS = 100_000, 10**7
FIXED = ("task", "seed", "trial", "shots", "hits", "seconds", "run")
TRIAL = ("task", "trial", "shots", "hits", "seconds", "run")


@checked
def read_frame(path: str | Path) -> pd.DataFrame:
    """All trials of a store as a table: one row each, what the task is and further counts as columns.

    Returns
    -------
    Columns `task` (its key), `seed`, `trial`, `shots`, `hits`, `seconds`, `run`, one for every entry of the
    descriptions ('faults.rate'; text, numbers, or missing) and one for every further count ('counts.faults').
    Ordered by task, then trial.
    """
    with Store(path) as store:
        return whole_frame(store)


def whole_frame(store: Store) -> pd.DataFrame:
    """The table of `read_frame`."""
    import pandas as pd

    chunks = list(frames(store, chunk=10**9))
    return chunks[0] if chunks else pd.DataFrame(columns=FIXED)


def frames(store: Store, *, chunk: int = CHUNK) -> Generator[pd.DataFrame, None, None]:
    """The table of `read_frame` in pieces of so many rows; all have the same columns and types."""
    with store.snapshot():
        try:
            yield from _frames(store, chunk)
        except (ValueError, TypeError):
            _check_counts(store)
            raise


def _check_counts(store: Store) -> None:
    """Name the first trial whose counts are no numbers by name; after something has gone wrong with them."""
    wrong = f"counts NOT NULL AND NOT ({NUMBERS})"
    sql = f"SELECT key, trial, counts FROM sound JOIN tasks ON task = id WHERE {wrong} LIMIT 1"
    for key, trial, counts in store.query(sql):
        where = f"{store.path}, trial {trial} of task {key[:8]}"
        raise InputError(where, "counts as a JSON object of numbers", counts[:60], "the store is damaged")


def _frames(store: Store, chunk: int) -> Iterator[pd.DataFrame]:
    import pandas as pd

    counts = _count_types(store)
    rows = store.query(
        "SELECT task, trial, shots, hits, seconds, run, counts FROM sound ORDER BY task, trial"
    )
    tasks = _task_table(store)
    together = max(1, min(chunk, CELLS // (len(counts) + 1)))
    while piece := rows.fetchmany(together):
        *columns, told = zip(*piece, strict=True)
        found = pd.DataFrame(dict(zip(TRIAL, columns, strict=True)))
        described = tasks.loc[found.pop("task")].reset_index(drop=True)
        both = pd.concat([described, found, _counts(told, counts)], axis=1)
        yield both[[*FIXED, *(name for name in both.columns if name not in FIXED)]]


def _counts(told: Sequence[str | None], kinds: Mapping[str, str]) -> pd.DataFrame:
    """Columns of what trials counted besides, missing where a trial has none."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.json

    if not kinds:
        return pd.DataFrame(index=range(len(told)))
    types = {"Int64": pa.int64(), "Float64": pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    lines = "\n".join("{}" if one is None else " ".join(one.split()) for one in told).encode()
    size = max(len(lines), 1)  # one block: no line is cut
    table = pa.json.read_json(
        io.BytesIO(lines),
        parse_options=pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        read_options=pa.json.ReadOptions(block_size=size, use_threads=False),
    )
    frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype()}.get)
    return frame.add_prefix("counts.")


def _count_types(store: Store) -> dict[str, str]:
    rows = store.query(
        "SELECT j.key, max(j.type = 'real') FROM sound, json_each(sound.counts) j "
        "WHERE counts IS NOT NULL GROUP BY j.key ORDER BY j.key"
    )
    return {name: "Float64" if real else "Int64" for name, real in rows}


def _task_table(store: Store) -> pd.DataFrame:
    import pandas as pd

    tasks = store.status()
    table = pd.DataFrame([flat(task.description) for task in tasks], index=[task.id for task in tasks])
    for name in table.columns:
        kinds = {type(value) for value in table[name].dropna()}
        if not kinds <= {int, float} and not kinds <= {bool}:
            table[name] = table[name].astype("str").astype("category")
    table.insert(0, "task", pd.Series([task.key for task in tasks], table.index, "category"))
    table.insert(1, "seed", [task.seed for task in tasks])
    return table


def flat(description: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested entries under names with dots; lists as JSON.

    >>> flat({"network": "lenet", "faults": {"rate": 0.01, "kinds": ["stuck_hrs"]}})
    {'network': 'lenet', 'faults.rate': 0.01, 'faults.kinds': '["stuck_hrs"]'}
    """
    found: dict[str, Any] = {}
    for name, value in description.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = json.dumps(value) if isinstance(value, list) else value
    return found


def export(store: Store, path: str | Path) -> Path:
    """Write the table of `read_frame` to a .parquet or .csv file, piece by piece.

    Raises
    ------
    InputError : another suffix, an empty store, a place that cannot be written.
    """
    suffix = check_choice("file to export to", Path(path).suffix.lower(), (".csv", ".parquet"))
    check_output(store.path, path)
    with closing(frames(store)) as pieces:
        first = next(pieces, None)
        if first is None:
            raise InputError(str(store.path), "at least one trial", "none", "run the campaign first")
        return write_atomically(path, lambda to: _write_pieces(first, pieces, to, suffix))


def check_output(store: Path, path: str | Path) -> None:
    """Refuse to write over the store, over one of the files beside it, or where nothing can be written."""
    own = {f"{os.path.realpath(store)}{end}" for end in ("", "-wal", "-shm", ".lock")}
    if os.path.realpath(path) in own:
        raise InputError(str(path), "a place beside the store", "the store itself", "choose another name")
    check_file(path)


def _write_pieces(first: pd.DataFrame, rest: Iterator[pd.DataFrame], path: Path, suffix: str) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    piece = pa.Table.from_pandas(first, preserve_index=False)
    kind = pyarrow.parquet.ParquetWriter if suffix == ".parquet" else pyarrow.csv.CSVWriter
    with kind(str(path), piece.schema) as writer:
        writer.write_table(piece)
        for frame in rest:
            writer.write_table(pa.Table.from_pandas(frame, schema=piece.schema, preserve_index=False))


def merge(target: str | Path, sources: Sequence[str | Path]) -> None:
    """Put the tasks, trials, failures and runs of other stores into `target`, which is made if it is missing.

    What both have is kept once; trials must agree in everything but the time they took.

    Raises
    ------
    InputError : a file that is no store, two stores that disagree; `target` is then as it was.
    """
    for source in sources:
        if os.path.realpath(source) == os.path.realpath(target):
            raise InputError(str(source), "a store to merge from", "the one to merge into")
        Store(source).close()
    with Store(target, "write") as store:
        try:
            with store.transaction():
                for source in sources:
                    with Store(source) as other, other.snapshot():
                        _merge_one(store, other)
        except BaseException:
            store.discard()
            raise


def _merge_one(store: Store, other: Store) -> None:
    """All of the other store, read as it is at one moment."""
    runs, differing = _merge_runs(store, other), list[Difference]()
    for id, *task in other.query(f"SELECT id, {TASK} FROM tasks"):
        store.query(
            f"INSERT INTO tasks ({TASK}) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET planned = max(planned, excluded.planned)",
            task,
        )
        (number,) = store.query("SELECT id FROM tasks WHERE key = ?", task[:1]).fetchone()
        ours = {
            row[0]: row[1:] for row in store.query(f"SELECT {COUNTED} FROM sound WHERE task = ?", (number,))
        }
        new = []
        for run, seconds, *row in other.query(
            f"SELECT run, seconds, {COUNTED} FROM sound WHERE task = ?", (id,)
        ):
            trial, shots, hits, counts = row
            counted = [shots, hits, counts]
            if trial not in ours:
                new.append(Row(number, trial, runs[run], shots, hits, seconds, counts))
            elif ours[trial] != tuple(counted) and (
                difference := Difference(task[0], trial, ours[trial], tuple(counted))
            ).columns:
                differing.append(difference)
        store.put(new)
        _merge_failures(store, other, runs, number, id)
    if differing:
        raise refusal(str(other.path), differing)


def _merge_runs(store: Store, other: Store) -> dict[int, int]:
    """The numbers of the other store's runs in this one."""
    known, found = _runs(store), {}
    for run, id in _runs(other).items():
        if run not in known:
            sql = "INSERT INTO runs (started, command, versions) VALUES (?, ?, ?) RETURNING id"
            (known[run],) = store.query(sql, run[:3]).fetchone()
        found[id] = known[run]
    return found


def _runs(store: Store) -> dict[tuple[str, str, str, int], int]:
    """The numbers of a store's runs; of runs that began alike, each has another place among them."""
    alike, found = Counter[tuple[str, str, str]](), {}
    for id, *run in store.runs():
        started, command, told = run
        alike[started, command, told] += 1
        found[started, command, told, alike[started, command, told]] = id
    return found


def _merge_failures(store: Store, other: Store, runs: Mapping[int, int], number: int, id: int) -> None:
    columns = "trial, run, seconds, error"
    ours = set(store.query(f"SELECT {columns} FROM failures WHERE task = ?", (number,)))
    theirs = other.query(f"SELECT {columns} FROM failures WHERE task = ?", (id,)).fetchall()
    for trial, run, seconds, error in theirs:
        if (row := (trial, runs[run], seconds, error)) not in ours:
            store.query(f"INSERT INTO failures (task, {columns}) VALUES (?, ?, ?, ?, ?)", (number, *row))


TASK = "key, seed, planned, stop, description, facts"
COUNTED = "trial, shots, hits, counts"
