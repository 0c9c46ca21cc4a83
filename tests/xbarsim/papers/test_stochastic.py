"""The stochastic studies as tasks: trials are those of the chips, and tables say what was counted."""

import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.cifar import write_cifar
from tests.helpers.stochastic_budgets import tiny_budget
from xbarsim.experiments.collecting import collect
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.papers.stochastic import (
    CHIPS_SEED,
    TABLE_1,
    TABLE_2,
    FastChip,
    measured_networks,
    programmed,
    stuck_tasks,
)
from xbarsim.papers.stochastic_tables import table_1, table_2
from xbarsim.papers.stochastic_training import table_variants
from xbarsim.papers.study import Settings
from xbarsim.report.results import read_results
from xbarsim.rng import stream
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.torch_bridge.threads import torch_threads
from xbarsim.training.loop import accuracy, scores_of

KILLED = """
import os, pickle, signal, sys
from xbarsim.campaigns.store import Store
from xbarsim.experiments.collecting import collect

stored, append = [], Store.append

def append_and_die(self, rows):
    append(self, rows)
    stored.extend(rows)
    if len(stored) >= 4:
        os.kill(os.getpid(), signal.SIGKILL)

Store.append = append_and_die
collect(pickle.loads(open(sys.argv[1], "rb").read()), sys.argv[2])
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A folder for networks, and images of ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBARSIM_DATA", str(write_cifar(tmp_path_factory.mktemp("data"))))
        yield Settings(budget="smoke", folder=tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def tasks(settings):
    return stuck_tasks(1, tiny_budget(), settings)


@pytest.fixture(scope="module")
def results(tasks):
    return collect(tasks)


def test_a_task_for_every_network_and_rate(tasks):
    budget = tiny_budget()
    planned = [(t.workload.training.variant, t.workload.faults.rate, t.trials, t.seed) for t in tasks]
    assert planned == [
        (variant, rate, 3 if rate == 0.01 else 2, CHIPS_SEED)
        for variant in table_variants(1, budget)
        for rate in (0.005, 0.01)
    ]
    assert len({task.key for task in tasks}) == len(tasks)


def test_folder_and_device_are_no_part_of_what_a_task_is(settings, tasks, tmp_path):
    elsewhere = Settings(budget="smoke", folder=tmp_path, device="cuda")
    assert [t.key for t in stuck_tasks(1, tiny_budget(), elsewhere)] == [t.key for t in tasks]
    again = Settings(budget="smoke", folder=settings.folder, seed=1)
    assert not {t.key for t in stuck_tasks(1, tiny_budget(), again)} & {t.key for t in tasks}


def test_counts_are_those_of_the_chips_that_the_seed_draws(settings, tasks, results):
    task = tasks[3]  # one-shot, 1 %
    training = task.workload.training
    module, test = training.trained(settings.folder), training.images.test()
    chip = programmed(training, settings.folder).chip.chip
    copy = ChipModule(chip.graph, chip.weight_format)
    expected = []
    for trial in range(task.trials):
        faults = StuckCells(rate=0.01).draw(chip.geometry, stream(CHIPS_SEED, "faults", trial))
        copy.set_masks(chip.inject(faults).training_masks())
        expected.append(int((scores_of(copy, test.images).argmax(dim=1).numpy() == test.labels).sum()))
    (status,) = (status for status in results.tasks if status.key == task.key)
    trials = results.trials_of(status)
    assert trials["hits"].tolist() == expected
    assert trials["shots"].tolist() == [6] * 3
    assert set(trials["counts.float_hits"]) == {accuracy(module, test.images, test.labels)[0]}
    assert set(trials["counts.healthy_hits"]) == {chip.run(test.images).hits(test.labels)}


def test_a_fast_chip_answers_as_the_chip_does(bench):
    """On the digits network, whose sums float32 holds well."""
    fast = FastChip(bench.chip, bench.test.first(200))
    assert fast.hits() == bench.chip.run(fast.images.numpy()).hits(fast.labels.numpy())
    for trial in range(3):
        faults = StuckCells(rate=0.02).draw(bench.chip.geometry, stream(1, "faults", trial))
        exact = bench.chip.inject(faults).run(fast.images.numpy()).hits(fast.labels.numpy())
        assert abs(fast.hits(faults) - exact) <= 2
    assert fast.hits() == bench.chip.run(fast.images.numpy()).hits(fast.labels.numpy())


def test_trials_are_the_same_alone_on_any_threads_and_in_other_processes(tasks, results):
    workload = pickle.loads(pickle.dumps(tasks[-1].workload))
    programmed.cache_clear()
    with torch_threads(3):
        alone = [next(iter(workload.prepare()(CHIPS_SEED, (number,)))).hits for number in (2, 0, 1)]
    (status,) = (status for status in results.tasks if status.key == tasks[-1].key)
    hits = results.trials_of(status)["hits"].tolist()
    assert alone == [hits[2], hits[0], hits[1]]
    beside = collect(tasks[-2:], workers=2)
    assert beside.trials["hits"].tolist() == results.trials["hits"].tolist()[-5:]


def test_tables_say_what_was_counted(results):
    budget = tiny_budget()
    networks = measured_networks(results, 1, budget)
    assert [one.variant for one in networks] == table_variants(1, budget)
    assert {rate: len(hits) for rate, hits in networks[0].hits.items()} == {0.005: 2, 0.01: 3}
    table = table_1(networks, budget)
    for one, row in zip(networks, table.rows, strict=True):
        assert row[0] == one.variant.words
        assert float(row[1].split()[0]) == pytest.approx(100 * one.healthy_hits / 6, abs=0.006)
        assert float(row[3].split()[0]) == pytest.approx(100 * np.mean(one.hits[0.01]) / 6, abs=0.006)


def test_the_second_table_has_pruned_networks_beside(settings):
    budget = tiny_budget()
    networks = measured_networks(collect(stuck_tasks(2, budget, settings)), 2, budget)
    rows = table_2(networks, budget).rows
    assert [row[0].endswith("70 % pruned") for row in rows] == [False, False, True, True]


def test_studies_show_their_results(settings, monkeypatch):
    monkeypatch.setattr("xbarsim.papers.stochastic.stochastic_budget", lambda name: tiny_budget())
    for study, number in ((TABLE_1, 1), (TABLE_2, 2)):
        shown = study.show(collect(study.tasks(settings)), settings)
        assert shown.results["verdict"] in shown.tables[0].note
        assert shown.tables[0].title.startswith("Table I")
        assert list(shown.figures) == [f"stochastic-table{number}.png"]
        figure = next(iter(shown.figures.values()))()
        assert len(figure.axes[0].get_legend_handles_labels()[1]) == len(shown.results["networks"])


def test_a_killed_run_goes_on_where_it_was(tasks, results, tmp_path):
    planned, store = tmp_path / "tasks", tmp_path / "trials.db"
    planned.write_bytes(pickle.dumps(tasks))
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(planned), str(store)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert len(read_results(store).trials) == 4
    found = collect(tasks, store)
    assert found.trials["hits"].tolist() == results.trials["hits"].tolist()
    assert found.trials["run"].value_counts().to_dict() == {1: 4, 2: 11}
