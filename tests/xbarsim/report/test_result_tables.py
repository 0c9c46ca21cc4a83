"""Tables of campaigns."""

import json

import numpy as np
import pytest

from tests.helpers.statuses import status
from xbarsim.errors import InputError
from xbarsim.metrics.intervals import Estimate
from xbarsim.report.result_tables import described, failure_table, interval, run_table, task_table
from xbarsim.report.results import read_results


def test_intervals_are_in_percent_and_one_chip_has_none():
    assert interval(Estimate(0.5, 0.25, 0.75)) == ("50.00", "25.00", "75.00")
    assert interval(Estimate(0.5, np.nan, np.nan)) == ("50.00", "", "")


def test_what_all_tasks_have_in_common_is_said_once():
    tasks = [status(n, faults={"name": "stuck-cells", "rate": rate}) for n, rate in enumerate((0.1, 0.2))]
    found = described(tasks)
    assert found.common == "net, chip"
    assert found.headings == ["faults", "repair", "measure"]
    assert [row[0] for row in found.rows] == ["stuck-cells, rate 0.1", "stuck-cells, rate 0.2"]


def test_a_single_task_says_all():
    assert described([status()]).headings == ["network", "accelerator", "faults", "repair", "measure"]


def test_empty_columns_are_left_out_and_others_come_with_it():
    tasks = [status(n, repair=None, seed=n) for n in (1, 2)]
    found = described(tasks)
    assert "repair" not in found.headings and found.headings[-1] == "with"
    assert [row[-1] for row in found.rows] == ["seed 1", "seed 2"]
    assert described([status()], ("faults.rate",)).rows == [["0.01"]]
    with pytest.raises(InputError, match="column: expected one of"):
        described([status()], ("rate",))


def test_tasks_have_estimates_once_they_are_begun():
    table = task_table([status(1, mean=0.5), status(2, seed=2, done=0)])
    first, second = table.rows
    assert len(first) == len(table.columns) and first[0] == "00000000"
    assert first[-5] == "50.00" and second[-5:-2] == ("", "", "") and second[-2] == "0"


def test_rows_of_a_campaign_are_never_the_same(store):
    table = read_results(store).table()
    assert len({row[1:-5] for row in table.rows}) == len(table.rows) == 15


def test_failures_and_runs_are_told():
    failures = failure_table([status(3)], [(3, 5, "ValueError: no"), (9, 1, "OSError")])
    assert failures.rows == (("00000000", "5", "ValueError: no"), ("9", "1", "OSError"))
    runs = run_table([(1, "2026-01-01", "", json.dumps({"xbarsim": "0.1"}))])
    assert runs.rows == (("1", "2026-01-01", "from Python", "xbarsim 0.1"),)
