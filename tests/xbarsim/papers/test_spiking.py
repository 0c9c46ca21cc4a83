"""Tables 3 and 4: every training meets the same chips, and tables say what was counted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from accel_models.spiking.chip import classes_of, run_many
from accel_models.spiking.config import SpikingConfig
from tests.helpers.program import document
from tests.helpers.spiking import (
    TINY,
    collect_tiny_chips,
    made_up,
    settings_in,
    tiny_baseline,
    tiny_trainings,
)
from xbarsim.campaigns.store import Store
from xbarsim.errors import InputError
from xbarsim.experiments.collecting import collect
from xbarsim.faults.neurons import NeuronFaultKind
from xbarsim.papers.spiking import (
    FIGURE_3,
    TABLE_4,
    chip_figure,
    chip_table,
    chip_tasks,
    comparison,
    healthy_table,
    healthy_tasks,
    mean_and_error,
    networks_of,
    show_chips,
    show_healthy,
    variants,
    verdict,
)
from xbarsim.papers.spiking_networks import METHODS, UNIVERSE
from xbarsim.papers.spiking_numbers import RATIOS
from xbarsim.papers.spiking_numbers import TABLE_4 as PUBLISHED
from xbarsim.papers.study import Settings
from xbarsim.report.plots import save_figure
from xbarsim.rng import stream

PLANNED = 9 + 9 * 8 * 3  # fault-free chips, then 3 of every kind and ratio
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(data_folder, tmp_path_factory):
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def results(folder):
    return collect_tiny_chips(folder, None)


@pytest.fixture(scope="module")
def found(results):
    return networks_of(results)


def test_every_training_meets_the_same_chips_and_spikes(folder, found):
    assert [one.variant for one in found] == variants(TINY.firs)
    assert [one.variant.method for one in found] == [METHODS[0], *METHODS[1:], *METHODS[1:]]
    for one, training in zip(found[:3], tiny_trainings(folder), strict=False):
        chip, test = SpikingConfig().program(training.trained.network), training.data.test
        for kind, ratios in RATIOS.items():
            for ratio in ratios[::3]:
                draws = [stream(1, f"{kind} {ratio:g}", t) for t in range(3)]
                lists = [UNIVERSE.sample(NeuronFaultKind[kind], ratio, rng) for rng in draws]
                counts = run_many(chip, [chip.inject(faults) for faults in lists], test.images, seed=1)
                assert (classes_of(counts) == test.labels).sum(1).tolist() == one.hits[kind, ratio]
        assert chip.run(test.images, seed=1).hits(test.labels) == one.healthy_hits


def test_tables_say_what_was_counted(found):
    for kind in RATIOS:
        rows = chip_table(found, kind).rows
        assert len(rows) == 5
        for row, one in zip(rows, (o for o in found if o.variant.kind in ("", kind)), strict=True):
            assert row[0] == one.variant.words
            for cell, ratio in zip(row[1:], RATIOS[kind], strict=True):
                mean, error = mean_and_error(one.accuracies(kind, ratio))
                assert cell.startswith(f"{mean:.4f} +-{error:.4f}")
        baseline = [cell.partition("(")[2][:-1] for cell in rows[0][1:]]
        assert baseline == [f"{value:.4f}" for value in PUBLISHED["baseline", kind, 0]]
        differences = comparison(found, kind).rows
        assert [row[0] for row in differences] == [
            f"proposed - {rival}, FIR 0.03" for rival in ("previous", "random", "both")
        ]
        by = {o.variant.method: o for o in found if o.variant.kind in ("", kind)}
        both = (
            by["proposed"].accuracies(kind, RATIOS[kind][1]),
            by["both"].accuracies(kind, RATIOS[kind][1]),
        )
        assert differences[2][2].startswith(f"{np.subtract(*both).mean():+.4f}")
        assert verdict(found, kind).count("ratios") == 2
    assert found[0].record()["hits"][0]["hits"] == found[0].hits["hsf", 0.2]


def test_table_3_needs_no_faulty_chips(folder, found):
    tasks = healthy_tasks(tiny_trainings(folder))
    assert [task.trials for task in tasks] == [1] * 9
    shown = show_healthy(collect(tasks), settings_in(folder))
    networks = shown.results["networks"]
    assert [one["healthy_hits"] for one in networks] == [one.healthy_hits for one in found]
    assert not any(one["hits"] for one in networks)
    table = healthy_table(found)
    assert shown.tables == [table] and str(UNIVERSE) in table.note
    assert [row[0] for row in table.rows] == [one.variant.words for one in found]
    assert 0 < int(table.rows[2][3]) <= 10 and table.rows[1][3] == ""


def test_a_verdict_says_how_often_and_how_clearly():
    def network(method, low, kind="nasf", fir=0.03):
        return made_up(method, {("nasf", r): [low, low + 2] for r in RATIOS["nasf"]}, kind=kind, fir=fir)

    found = [network("baseline", 500, "", 0.0), network("previous", 700), network("proposed", 600)]
    assert verdict(found, "nasf") == (
        "FIR 0.03: proposed above previous at 0 of 4 ratios, 0 of them by more than two standard errors. "
        "FIR 0.03: previous above baseline at 4 of 4 ratios, 4 of them by more than two standard errors."
    )


def test_figure_3_has_a_panel_a_ratio(found, tmp_path):
    from matplotlib.image import imread

    figure = chip_figure(found, "nasf")
    assert [axes.get_title() for axes in figure.axes] == [f"ratio {ratio:g}" for ratio in RATIOS["nasf"]]
    assert imread(save_figure(figure, tmp_path / "a.png")).std() > 0.05


def test_processes_share_networks_and_give_the_same_trials(folder, results):
    tasks = chip_tasks([tiny_baseline(folder)], ["nasf"])
    shared = collect(tasks, workers=2)
    for task in tasks:
        ours, theirs = (
            r.trials[r.trials["task"] == task.key][["trial", "hits"]].to_numpy().tolist()
            for r in (shared, results)
        )
        assert ours == theirs and len(ours) == task.trials


def test_a_study_that_was_killed_goes_on_and_gives_the_same_table(results, data_folder, tmp_path):
    store, networks = tmp_path / "trials.db", tmp_path / "networks"
    code = "from pathlib import Path; from tests.helpers.spiking import collect_tiny_chips as collect\n"
    code += f"collect(Path({str(networks)!r}), {str(store)!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        deadline = time.monotonic() + 300
        while trials_in(store) < 30:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    made = trials_in(store)
    assert 30 <= made < PLANNED
    again = collect_tiny_chips(networks, store)
    assert len(again.runs) == 2 and (again.trials["run"] == 1).sum() == made
    assert len(again.trials) == PLANNED
    settings = settings_in(networks)
    assert show_chips(again, settings).tables == show_chips(results, settings).tables


def trials_in(store):
    if not store.exists():
        return 0
    with Store(store) as file:
        return sum(task.done for task in file.status())


def test_what_a_trial_depends_on_makes_another_task(folder, tmp_path):
    keys = {task.key for task in chip_tasks(tiny_trainings(folder))}
    assert keys == {task.key for task in chip_tasks(tiny_trainings(tmp_path))}  # wherever networks are kept
    assert len(keys) == 9 * 9


def test_commands_give_counts(data_folder, tmp_path, capsys):
    command = ("study", "spiking-table4", "--budget", "smoke", "--networks", tmp_path)
    networks = document(capsys, *command, "--out", tmp_path)["results"]["networks"]
    assert len(networks) == 9 and networks[0]["shots"] == 300
    assert [(one["kind"], one["ratio"]) for one in networks[0]["hits"]] == [
        (kind, ratio) for kind, ratios in RATIOS.items() for ratio in ratios
    ]
    assert (tmp_path / "spiking-fig3-nasf.png").exists()


def test_figure_3_is_table_4_chip_by_chip():
    assert FIGURE_3 is TABLE_4


def test_unknown_budgets_are_refused():
    with pytest.raises(InputError, match=r"^budget: expected"):
        Settings(budget="huge")
