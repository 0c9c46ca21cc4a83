"""pandas, Parquet, CSV, and two files made one."""

import gc
import json
import sqlite3

import numpy as np
import pandas as pd
import pytest

from tests.helpers.workloads import Chips, Detections
from xbarsim.campaigns import exchange
from xbarsim.campaigns.exchange import check_output, export, frames, merge, read_frame
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Row, Store
from xbarsim.campaigns.task import Task
from xbarsim.errors import InputError

TASKS = [Task(workload=Chips(rate), trials=30, seed=4) for rate in (0.1, 0.25)]


@pytest.fixture
def store(tmp_path):
    collect([*TASKS, Task(workload=Detections(), trials=5)], tmp_path / "a.db")
    return tmp_path / "a.db"


def test_a_frame_has_a_row_for_every_trial_and_a_column_for_all_that_is_known(store):
    frame = read_frame(store)
    assert len(frame) == 65
    assert list(frame.columns[:7]) == ["task", "seed", "trial", "shots", "hits", "seconds", "run"]
    assert set(frame.columns[7:]) == {
        "faults.kinds", "faults.rate", "workload", "counts.faults", "counts.margin"
    }  # fmt: skip
    first = frame[(frame.task == TASKS[1].key) & (frame.trial == 7)].iloc[0]
    expected = TASKS[1].workload.trial(4, 7)
    assert (first.hits, first["counts.faults"]) == (expected.hits, expected.counts["faults"])
    assert first["counts.margin"] == expected.counts["margin"]
    assert (first["faults.rate"], first["faults.kinds"], first.seed) == (0.25, '["stuck_hrs"]', 4)
    assert frame["counts.faults"].isna().sum() == 5
    assert frame.groupby("faults.rate").hits.mean().round(-1).tolist() == [80, 80]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_what_is_exported_is_the_frame(store, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    with Store(store) as opened:
        export(opened, path)
        assert sum(len(piece) for piece in frames(opened, chunk=7)) == 65
    found = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
    expected = read_frame(store)
    pd.testing.assert_frame_equal(found.astype(expected.dtypes), expected, check_categorical=False)


def test_pieces_have_the_columns_and_types_of_the_whole(store):
    whole = read_frame(store)
    with Store(store) as opened:
        pieces = list(frames(opened, chunk=7))
    assert len(pieces) == 10
    assert all((piece.dtypes == whole.dtypes).all() for piece in pieces)
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), whole)


def test_only_known_formats_and_stores_with_trials_are_exported(store, tmp_path):
    with Store(store) as opened, pytest.raises(InputError, match=r"one of .csv, .parquet"):
        export(opened, tmp_path / "out.xlsx")
    with Store(tmp_path / "new.db", "write") as empty, pytest.raises(InputError, match="at least one trial"):
        export(empty, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_table_is_not_written_over_the_store(tmp_path):
    collect([Task(workload=Chips(), trials=2)], tmp_path / "a.csv")
    for name in ("a.csv", "a.csv-wal", "a.csv-shm", "a.csv.lock"):
        with pytest.raises(InputError, match="the store itself"):
            check_output(tmp_path / "a.csv", tmp_path / name)
    with Store(tmp_path / "a.csv") as opened, pytest.raises(InputError, match="the store itself"):
        export(opened, tmp_path / "a.csv")


def halves(tmp_path):
    """The trials of one task in two files, five of them in both."""
    collect([Task(workload=Chips(), trials=20)], tmp_path / "a.db")
    with Store(tmp_path / "a.db") as a, Store(tmp_path / "b.db", "write") as b:
        run = b.begin_run("elsewhere")
        (number,) = b.add([Task(workload=Chips(), trials=40)])
        b.add([Task(workload=Detections(), trials=3)])
        counts = dict(a.query("SELECT trial, counts FROM trials").fetchall())
        for trial in range(15, 40):
            outcome = Chips().trial(0, trial)
            text = counts.get(trial)
            b.append([Row(number, trial, run, outcome.shots, int(outcome.hits), 9.0, text)])
        b.append_failure(number, 77, run, 0.1, "ValueError: no")
    return tmp_path / "a.db", tmp_path / "b.db"


def test_merging_keeps_every_trial_once(tmp_path):
    a, b = halves(tmp_path)
    for _ in range(2):
        merge(tmp_path / "c.db", [a, b])
        with Store(tmp_path / "c.db") as store:
            first, second = store.status()
            assert (first.done, first.planned, second.done) == (40, 40, 0)
            assert np.isnan(second.moments.estimate().value)
            assert store.results(1)[:, 0].tolist() == list(range(40))
            assert (len(store.failures()), len(store.runs())) == (1, 2)
    merge(a, [b])
    assert len(read_frame(a)) == 40


def test_runs_of_the_same_second_are_not_taken_for_one(tmp_path):
    task = Task(workload=Chips(), trials=9)
    for name, trials in (("a.db", (0, 1)), ("b.db", (2,))):
        with Store(tmp_path / name, "write") as store:
            store.add([task])
            rows = [Row(1, trial, store.begin_run("the same"), 100, 50, 0.1, None) for trial in trials]
            store.append(rows)
    with Store(tmp_path / "old.db", "write") as old:  # of a version that noted seconds
        alike = "INSERT INTO runs (started, command, versions) VALUES ('2026-01-01T00:00:00', 'x', '{}')"
        for _ in range(2):
            old.query(alike)
        old.add([task])
        old.append(Row(1, trial, run, 100, 50, 0.1, None) for trial, run in ((3, 1), (4, 2)))
    for _ in range(2):
        merge(tmp_path / "c.db", [tmp_path / "a.db", tmp_path / "b.db", tmp_path / "old.db"])
        with Store(tmp_path / "c.db") as store:
            assert len(store.runs()) == 5
            assert [run for (run,) in store.query("SELECT run FROM trials ORDER BY trial")] == [1, 2, 3, 4, 5]


def test_files_that_disagree_are_not_merged(tmp_path):
    a, b = halves(tmp_path)
    raw = sqlite3.connect(b)
    raw.execute("DROP TRIGGER trials_stay")
    raw.execute("UPDATE trials SET hits = hits - 1 WHERE trial = 17")
    raw.commit()
    raw.close()
    with pytest.raises(InputError, match="trial 17 of task"):
        merge(a, [b])
    with Store(a) as store:
        assert len(store.results(1)) == 20 and len(store.runs()) == 1
    with pytest.raises(InputError, match="the one to merge into"):
        merge(a, [a])
    collect([Task(workload=Detections(), trials=2)], tmp_path / "c.db")
    before = read_frame(tmp_path / "c.db")
    with pytest.raises(InputError, match="trial 17 of task"):
        merge(tmp_path / "c.db", [a, b])  # not a's either
    assert read_frame(tmp_path / "c.db").equals(before)
    with pytest.raises(InputError, match="no such file"):
        merge(tmp_path / "new.db", [a, tmp_path / "none.db"])
    assert not (tmp_path / "new.db").exists()
    with pytest.raises(InputError, match="trial 17 of task"):
        merge(tmp_path / "new.db", [a, b])
    assert not list(tmp_path.glob("new.db*[!k]"))  # its lock stays, as that of any store


def test_numbers_that_round_otherwise_are_told_and_not_merged(tmp_path):
    a, b = halves(tmp_path)
    for file, score in ((a, 0.330294057), (b, 0.330294166)):
        raw = sqlite3.connect(file)
        raw.execute("DROP TRIGGER trials_stay")
        raw.execute("UPDATE trials SET counts = json_object('score', ?) WHERE trial = 17", [score])
        raw.commit()
        raw.close()
    with pytest.raises(InputError, match=r"by rounding only: trial 17 of task \w{8}, in counts.score"):
        merge(a, [b])


def test_a_store_of_others_is_not_removed(tmp_path):
    a, b = halves(tmp_path)
    with Store(tmp_path / "c.db", "write"), pytest.raises(InputError, match="one in use"):
        merge(tmp_path / "c.db", [a, b])
    assert (tmp_path / "c.db").exists()


def test_a_store_is_merged_as_it_is_at_one_moment(tmp_path, monkeypatch):
    """Its runner begins another run and makes a trial between two reads of the merge."""
    a, _ = halves(tmp_path)
    between = exchange._merge_runs

    def later(store, other):
        runs = between(store, other)
        with Store(a, "write") as running:
            running.append([Row(1, 20, running.begin_run("again"), 100, 50, 0.1, None)])
        return runs

    monkeypatch.setattr(exchange, "_merge_runs", later)
    merge(tmp_path / "c.db", [a])
    assert len(read_frame(tmp_path / "c.db")) == 20 and len(read_frame(a)) == 21


def test_thousands_of_counts_are_columns(tmp_path):
    names = [f"count {number}" for number in range(2500)]
    with Store(tmp_path / "a.db", "write") as store:
        run = store.begin_run("")
        (number,) = store.add([Task(workload=Chips(), trials=16)])
        for trial in range(16):
            counts = {name: (trial if place % 2 else trial / 8) for place, name in enumerate(names)}
            if trial % 5 == 0:
                del counts["count 7"]
            store.append([Row(number, trial, run, 10, 3, 0.0, json.dumps(counts) if trial % 7 else None)])
        assert store.status()[0].done == 16
    frame = read_frame(tmp_path / "a.db")
    assert sum(name.startswith("counts.") for name in frame) == 2500
    assert (str(frame["counts.count 7"].dtype), str(frame["counts.count 8"].dtype)) == ("Int64", "Float64")
    for trial, row in frame.iterrows():
        missing = trial % 7 == 0
        assert pd.isna(row["counts.count 8"]) if missing else row["counts.count 8"] == trial / 8
        assert pd.isna(row["counts.count 7"]) == (missing or trial % 5 == 0)
    with Store(tmp_path / "a.db") as store:
        pieces = list(frames(store, chunk=7))
    assert pd.concat(pieces, ignore_index=True)["counts.count 8"].equals(frame["counts.count 8"])


@pytest.mark.parametrize("counts", ["{", "[1]", '{"a": "b"}', '{"a": 1e999}', '{"a": {"b": 1}}'])
def test_counts_that_are_no_numbers_are_named(tmp_path, counts):
    collect([Task(workload=Chips(), trials=3)], tmp_path / "a.db")
    raw = sqlite3.connect(tmp_path / "a.db")
    raw.execute("DROP TRIGGER trials_stay")
    raw.execute("UPDATE trials SET counts = ? WHERE trial = 1", (counts,))
    raw.commit()
    raw.close()
    with pytest.raises(InputError, match=r"trial 1 of task \w{8}: expected counts as a JSON object"):
        read_frame(tmp_path / "a.db")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_place_that_cannot_be_written_is_named_and_not_the_store(tmp_path, suffix, capfd):
    collect([Task(workload=Chips(), trials=3)], tmp_path / "a.db")
    with Store(tmp_path / "a.db") as store:
        for place in (f"/proc/none{suffix}", f"{tmp_path}/a.db/x{suffix}", f"/dev/full/x{suffix}"):
            with pytest.raises(InputError, match=f"^{place}: expected a place that can be written"):
                export(store, place)
    gc.collect()
    assert capfd.readouterr().err == ""


def test_links_that_lead_nowhere_are_no_stores(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="no such file"):
        merge(tmp_path / "new.db", [tmp_path / "loop"])
    assert not (tmp_path / "new.db").exists()
