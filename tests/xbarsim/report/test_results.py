"""What a store holds, for people and for pandas."""

import pytest

from tests.helpers.workloads import Chips, Odd
from xbarsim.campaigns.exchange import read_frame
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Task
from xbarsim.errors import InputError
from xbarsim.report.results import read_results


def test_everything_is_read(store):
    results = read_results(store)
    assert (len(results.tasks), len(results.empty), results.path) == (15, 0, store)
    assert len(results.trials) == 14 * 4 + 60
    assert results.trials.equals(read_frame(store))
    assert len(results.runs) == 1 and results.failures == ((1, 77, "ValueError: <b>no</b>"),)


def test_parts_are_chosen_by_columns_and_words(store):
    results = read_results(store)
    part = results.where(accelerator="isaac", faults__rate=0.03, metric="accuracy")
    assert {t.description["repair"]["name"] for t in part.tasks} == {"as-it-is", "closest-values"}
    assert len(part.trials) == 8 and set(part.trials["faults.rate"]) == {0.03}
    assert len(results.where(repair="closest-values").tasks) == 4
    assert len(results.where(repair__name="closest-values").where(accelerator="isaac").tasks) == 2
    assert not results.where(accelerator="tpu").tasks
    with pytest.raises(InputError, match=r"column: expected one of .*got 'method'"):
        results.where(method="none")


def test_trials_of_a_task_are_its_own(store):
    results = read_results(store)
    task = results.tasks[0]
    own = results.trials_of(task)
    assert own["trial"].tolist() == [0, 1, 2, 3]
    assert (own["hits"] / own["shots"]).mean() == pytest.approx(task.moments.mean)


def test_tables_plots_and_pairs_are_asked_of_results(store):
    results = read_results(store)
    assert results.table(by=["faults.rate", "repair"]).columns[1:3] == ("faults.rate", "repair")
    cells = results.where(faults__name="stuck-cells", accelerator="isaac")
    figure = cells.plot(x="faults.rate", by="repair", metric="accuracy")
    names = [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else [
        text.get_text() for text in figure.axes[0].get_legend().get_texts()
    ]  # fmt: skip
    assert names == ["as-it-is", "closest-values"]
    assert len(results.pairs().rows) == 4
    assert "Tasks" in str(results)


def test_tasks_without_trials_are_kept_apart(tmp_path):
    tasks = [Task(workload=Chips(), trials=3), Task(workload=Odd(how="unprepared"), trials=3)]
    collect(tasks, tmp_path / "a.db")
    results = read_results(tmp_path / "a.db")
    assert [t.key for t in results.tasks] == [tasks[0].key] and [t.key for t in results.empty] == [
        tasks[1].key
    ]
    assert len(results.table().rows) == 2


def test_stores_without_a_trial_are_refused(tmp_path):
    with Store(tmp_path / "empty.db", "write"):
        pass
    with pytest.raises(InputError, match="at least one trial, got none; run the campaign first"):
        read_results(tmp_path / "empty.db")
    with pytest.raises(InputError, match="no such file"):
        read_results(tmp_path / "none.db")
