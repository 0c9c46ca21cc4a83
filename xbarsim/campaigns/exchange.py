"""What goes out of a store and into another: pandas, Parquet, CSV, merging."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbarsim.campaigns.store import Store
from xbarsim.checks import InputError, check_choice, write_atomically

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
    import pandas as pd

    with Store(path) as store:
        chunks = list(frames(store, chunk=10**9))
        return chunks[0] if chunks else pd.DataFrame(columns=FIXED)


def frames(store: Store, *, chunk: int = CHUNK) -> Iterator[pd.DataFrame]:
    """The table of `read_frame` in pieces of so many rows; all have the same columns and types."""
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
    suffix = check_choice("file to export to", Path(path).suffix, (".csv", ".parquet"))
    pieces = frames(store)
    first = next(pieces, None)
    if first is None:
        raise InputError(str(store.path), "at least one trial", "none", "run the campaign first")
    return write_atomically(path, lambda to: _write_pieces(first, pieces, to, suffix))


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
    """Put the tasks, trials and failures of other stores into `target`, which is made if it is missing.

    Trials that both have are kept once; they must agree in everything but the time they took.

    Raises
    ------
    InputError : a file that is no store, two stores that disagree; `target` is then as it was.
    """
    for source in sources:
        Store(source).close()
    with Store(target, "write") as store:
        for source in sources:
            _merge_one(store, Path(source))


def _merge_one(store: Store, source: Path) -> None:
    if source.resolve() == store.path.resolve():
        raise InputError(str(source), "a store to merge from", "the one to merge into")
    store.query("ATTACH ? AS other", (f"{source.resolve().as_uri()}?mode=ro",))
    try:
        with store.transaction():
            store.query(
                "INSERT INTO tasks (key, seed, planned, stop, description, facts) SELECT key, seed, planned, "
                "stop, description, facts FROM other.tasks WHERE true ON CONFLICT (key) DO UPDATE SET "
                "planned = max(planned, excluded.planned)"
            )
            differing = store.query(
                f"SELECT o.key, theirs.trial {JOINED} JOIN main.trials ours ON ours.task = m.id "
                "AND ours.trial = theirs.trial WHERE (ours.shots, ours.hits, coalesce(ours.counts, '')) <> "
                "(theirs.shots, theirs.hits, coalesce(theirs.counts, '')) LIMIT 1"
            ).fetchone()
            if differing is not None:
                got = f"trial {differing[1]} of task {differing[0][:8]} with other counts"
                remedy = "one of the two was computed by other code or on other data"
                raise InputError(str(source), "the same counts for the same trial", got, remedy)
            (offset,) = store.query("SELECT coalesce(max(id), 0) FROM main.runs").fetchone()
            store.query(
                "INSERT INTO runs SELECT id + ?, started, command, versions FROM other.runs", (offset,)
            )
            store.query(
                f"INSERT INTO trials SELECT m.id, theirs.trial, theirs.run + ?, theirs.shots, theirs.hits, "
                f"theirs.seconds, theirs.counts {JOINED} WHERE NOT EXISTS (SELECT 1 FROM main.trials ours "
                "WHERE ours.task = m.id AND ours.trial = theirs.trial)",
                (offset,),
            )
            store.query(
                "INSERT INTO failures SELECT m.id, theirs.trial, theirs.run + ?, theirs.seconds, "
                f"theirs.error {JOINED.replace('other.trials', 'other.failures')}",
                (offset,),
            )
    finally:
        store.query("DETACH other")


JOINED = (
    "FROM other.trials theirs JOIN other.tasks o ON o.id = theirs.task JOIN main.tasks m ON m.key = o.key"
)
