"""What goes out of a store and into another: pandas, Parquet, CSV, merging."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbarsim.campaigns.differences import Difference, refusal
from xbarsim.campaigns.store import Store
from xbarsim.errors import InputError, check_choice
from xbarsim.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 100_000
FIXED = ("task", "seed", "trial", "shots", "hits", "seconds", "run")


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


def frames(store: Store, *, chunk: int = CHUNK) -> Iterator[pd.DataFrame]:
    """The table of `read_frame` in pieces of so many rows; all have the same columns and types."""
    with store.snapshot():
        yield from _frames(store, chunk)


def _frames(store: Store, chunk: int) -> Iterator[pd.DataFrame]:
    import pandas as pd

    counts = _count_types(store)
    extracted = "".join(", json_extract(counts, ?)" for _ in counts)
    rows = store.query(
        f"SELECT task, trial, shots, hits, seconds, run{extracted} FROM trials ORDER BY task, trial",
        [f'$."{name}"' for name in counts],
    )
    tasks = _task_table(store)
    while piece := rows.fetchmany(chunk):
        names = [
            *("task", "trial", "shots", "hits", "seconds", "run"),
            *(f"counts.{name}" for name in counts),
        ]
        found = pd.DataFrame.from_records(piece, columns=names)
        found = found.astype({f"counts.{name}": kind for name, kind in counts.items()})
        described = tasks.loc[found.pop("task")].reset_index(drop=True)
        both = pd.concat([described, found], axis=1)
        yield both[[*FIXED, *(name for name in both.columns if name not in FIXED)]]


def _count_types(store: Store) -> dict[str, str]:
    rows = store.query(
        "SELECT j.key, max(j.type = 'real') FROM trials, json_each(trials.counts) j "
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
    pieces = frames(store)
    first = next(pieces, None)
    if first is None:
        raise InputError(str(store.path), "at least one trial", "none", "run the campaign first")
    return write_atomically(path, lambda to: _write_pieces(first, pieces, to, suffix))


def check_output(store: Path, path: str | Path) -> None:
    """Refuse to write over the store, or over one of the files beside it."""
    own = {f"{store.resolve()}{end}" for end in ("", "-wal", "-shm", ".lock")}
    if str(Path(path).resolve()) in own:
        raise InputError(str(path), "a place beside the store", "the store itself", "choose another name")


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
        if Path(source).resolve() == Path(target).resolve():
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
            row[0]: row[1:] for row in store.query(f"SELECT {COUNTED} FROM trials WHERE task = ?", (number,))
        }
        for run, seconds, *row in other.query(
            f"SELECT run, seconds, {COUNTED} FROM trials WHERE task = ?", (id,)
        ):
            trial, *counted = row
            if trial not in ours:
                store.query(
                    f"INSERT INTO trials (task, run, seconds, {COUNTED}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (number, runs[run], seconds, *row),
                )
            elif (
                ours[trial] != tuple(counted)
                and (difference := Difference(task[0], trial, ours[trial], tuple(counted))).columns
            ):
                differing.append(difference)
        _merge_failures(store, other, runs, number, id)
    if differing:
        raise refusal(str(other.path), differing)


def _merge_runs(store: Store, other: Store) -> dict[int, int]:
    """The numbers of the other store's runs in this one."""
    known = {tuple(run): id for id, *run in store.runs()}
    for _, *run in other.runs():
        if tuple(run) not in known:
            sql = "INSERT INTO runs (started, command, versions) VALUES (?, ?, ?) RETURNING id"
            (known[tuple(run)],) = store.query(sql, run).fetchone()
    return {id: known[tuple(run)] for id, *run in other.runs()}


def _merge_failures(store: Store, other: Store, runs: Mapping[int, int], number: int, id: int) -> None:
    columns = "trial, run, seconds, error"
    ours = set(store.query(f"SELECT {columns} FROM failures WHERE task = ?", (number,)))
    theirs = other.query(f"SELECT {columns} FROM failures WHERE task = ?", (id,)).fetchall()
    for trial, run, seconds, error in theirs:
        if (row := (trial, runs[run], seconds, error)) not in ours:
            store.query(f"INSERT INTO failures (task, {columns}) VALUES (?, ?, ?, ?, ?)", (number, *row))


TASK = "key, seed, planned, stop, description, facts"
COUNTED = "trial, shots, hits, counts"
