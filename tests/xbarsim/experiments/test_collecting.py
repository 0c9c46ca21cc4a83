"""Trials of tasks, in memory or in a store, with any number of workers."""

import pandas as pd
import pytest

from tests.helpers.subjects import IMAGES
from tests.helpers.workloads import Chips, Odd
from xbarsim.campaigns.stopping import parse_precision
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Task
from xbarsim.detection.patterns import AdversarialPatterns
from xbarsim.errors import InputError
from xbarsim.experiments.collecting import collect
from xbarsim.experiments.experiment import grid
from xbarsim.experiments.measures import Accuracy, Detection
from xbarsim.experiments.references import SubjectReference, accelerator_from
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.repair.closest import ClosestValues
from xbarsim.repair.nothing import AsItIs

RATES = (0.01, 0.03)


@pytest.fixture(scope="module")
def tasks():
    reference = SubjectReference(network="digits-mlp", accelerator=accelerator_from("isaac"), images=IMAGES)
    return grid(
        [Accuracy(), Detection(detector=AdversarialPatterns(patterns=4))],
        subjects=reference.load(),
        faults=[StuckCells(rate=rate) for rate in RATES],
        repairs=[AsItIs(), ClosestValues()],
        trials=5,
        seed=3,
    )


@pytest.fixture(scope="module")
def alone(tasks):
    return collect(tasks)


def counted(results):
    """The table without what differs from run to run, in an order of its own."""
    table = results.trials.drop(columns=["seconds", "run"])
    return table.sort_values(["task", "trial"], ignore_index=True)[sorted(table.columns)]


def test_every_trial_is_there_with_what_its_task_is(tasks, alone):
    assert len(alone.trials) == 5 * 8 and len(alone.tasks) == 8 and alone.path is None
    assert set(alone.trials["faults.rate"]) == set(RATES)
    assert not alone.failures and not alone.empty


def test_workers_change_nothing(tasks, alone, tmp_path):
    pd.testing.assert_frame_equal(counted(collect(tasks, tmp_path / "a.db", workers=2)), counted(alone))


def test_the_order_of_tasks_changes_nothing(tasks, alone):
    pd.testing.assert_frame_equal(counted(collect(tasks[::-1])), counted(alone))


def test_a_store_is_gone_on_with(tasks, alone, tmp_path):
    path = tmp_path / "a.db"
    few = collect([Task(workload=task.workload, trials=2, seed=task.seed) for task in tasks], path)
    assert len(few.trials) == 16
    whole = collect(tasks, path)
    pd.testing.assert_frame_equal(counted(whole), counted(alone))
    again = collect(tasks, path)
    assert again.trials["seconds"].tolist() == whole.trials["seconds"].tolist()  # nothing was made again


def test_a_store_gives_what_these_tasks_are_alone(tasks, tmp_path):
    path = tmp_path / "a.db"
    collect([tasks[0]], path)
    found = collect([tasks[1]], path)
    assert [task.key for task in found.tasks] == [tasks[1].key] == list(set(found.trials["task"]))
    with Store(path) as store:
        assert len(store.status()) == 2


def test_in_memory_the_first_failure_ends_it(tmp_path):
    task = Task(workload=Odd(), trials=3)
    with pytest.raises(InputError, match="IndexError"):
        collect([task])
    kept = collect([task], tmp_path / "a.db")
    assert kept.failures and len(kept.trials) == 2
    assert len(collect([task], fail_fast=False).trials) == 2


def test_a_rule_ends_tasks_sooner():
    found = collect([Task(workload=Chips(), trials=5000)], until=parse_precision("share ± 20 %"))
    assert len(found.trials) < 200
