"""Rows that cannot be, and files that have other tables, views or triggers than a store."""

import sqlite3

import pytest

from tests.helpers.workloads import Chips
from xbarsim.campaigns.exchange import merge, read_frame
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Task
from xbarsim.errors import InputError
from xbarsim.report.result_tables import task_table


def spoil(path, change):
    """Write into a store what it would refuse."""
    raw = sqlite3.connect(path)
    raw.execute("DROP TRIGGER trials_stay")
    raw.execute(f"UPDATE trials SET {change}")
    raw.commit()
    raw.close()


@pytest.mark.parametrize(
    "change", ["hits = 10 * shots", "shots = 0", "hits = -1", "seconds = -1", "shots = -9223372036854775808"]
)
def test_rows_that_cannot_be_are_named_counted_left_out_and_made_again(tmp_path, change):
    task = Task(workload=Chips(), trials=3)
    path = tmp_path / "a.db"
    collect([task], path)
    whole = read_frame(path)
    spoil(path, f"{change} WHERE trial > 0")
    with Store(path) as store:
        (status,) = store.status()
        assert status.done == 1 and status.unsound.startswith("2, the first: trial 1 with ")
        assert store.results(1)[:, 0].tolist() == [0]
        assert "Rows that cannot be are left out: task" in task_table([status]).note
    assert read_frame(path)["trial"].tolist() == [0]
    merge(tmp_path / "b.db", [path])
    assert collect([task], path).made == collect([task], tmp_path / "b.db").made == 2
    again = read_frame(path)
    assert again.drop(columns=["run", "seconds"]).equals(whole.drop(columns=["run", "seconds"]))
    with Store(path) as store:
        assert store.status()[0].unsound == ""


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TRIGGER more AFTER INSERT ON trials BEGIN DELETE FROM runs; END", "another trigger more"),
        ("CREATE VIEW more AS SELECT 1", "another view more"),
        ("ALTER TABLE tasks ADD COLUMN more TEXT", "another table tasks"),
        ("DROP TABLE failures", "no table failures"),
        (
            "DROP TABLE failures; CREATE VIEW failures AS WITH RECURSIVE r(task, trial, error) AS "
            "(SELECT 1, 1, 'x' UNION ALL SELECT task, trial + 1, error FROM r) SELECT * FROM r",
            "another view failures",
        ),
    ],
)
def test_a_store_with_another_schema_is_refused_before_a_query(tmp_path, statement, words):
    path = tmp_path / "a.db"
    collect([Task(workload=Chips(), trials=3)], path)
    raw = sqlite3.connect(path)
    raw.executescript(statement)
    raw.close()
    for mode in ("read", "write"):
        with pytest.raises(InputError, match=f"a campaign's store as it was written, got {words}"):
            Store(path, mode)
