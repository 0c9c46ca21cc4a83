"""The adversarial-features paper's studies: trials are what one would count, whatever works or stops."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from hypothesis import settings as profile
from matplotlib.image import imread

from xbarsim.experiments.collecting import collect
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.papers import adversarial
from xbarsim.papers.adversarial import CURVE_NETWORKS, MASKS_SEED, SHARES, Variant, trainings
from xbarsim.papers.adversarial_paper import TABLE_1 as PAPER_1
from xbarsim.papers.adversarial_training import BUDGETS, METHODS, FeatureBudget, NetworkBudget, trained
from xbarsim.papers.studies import study
from xbarsim.papers.study import Settings
from xbarsim.report.plots import save_figure
from xbarsim.rng import stream
from xbarsim.torch_bridge.stuck_at_zero import draw_masks, stuck
from xbarsim.training.loop import accuracy

TINY = NetworkBudget(images=120, game_epochs=1, epochs=1)
BUDGET = FeatureBudget(networks={"fashion-mlp": TINY, "fashion-cnn": TINY}, test_images=100, masks=2)
KILLED = """
import sys
from pathlib import Path
from tests.xbarsim.papers.test_adversarial import BUDGET
from xbarsim.experiments.collecting import collect
from xbarsim.papers import adversarial
from xbarsim.papers.study import Settings
adversarial.BUDGETS["smoke"] = BUDGET
settings = Settings(budget="smoke", folder=Path(sys.argv[1]))
collect(adversarial.FIGURE_3.tasks(settings), sys.argv[2], workers=2)
"""


@pytest.fixture(scope="module", autouse=True)
def tiny(data_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUDGETS, "smoke", BUDGET)
        yield


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(budget="smoke", folder=tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def figure_7(settings):
    return collect(adversarial.FIGURE_7.tasks(settings))


def rows(results):
    """What every trial counted, by task and number."""
    frame = results.trials.sort_values(["task", "trial"])
    names = ["task", "trial", "shots", "hits", "counts.train_hits", "counts.train_shots"]
    return frame[names].astype("object").fillna(-1).values.tolist()


def test_the_studies_are_found_by_name():
    for name, place in (("aft-table1", "TABLE_1"), ("aft-fig7", "FIGURE_7")):
        assert study(name) is getattr(adversarial, place)


def test_table_1_is_tikhonov_at_the_papers_strengths(settings):
    results = collect(adversarial.TABLE_1.tasks(settings))
    shown = adversarial.TABLE_1.show(results, settings)
    networks = shown.results["networks"]
    assert [one["strength"] for one in networks] == list(PAPER_1)
    assert all((one["train_shots"], one["test_shots"]) == (120, 100) for one in networks)
    assert shown.results["verdict"] == shown.tables[0].note
    assert not shown.figures  # nobody played


def test_table_2_counts_every_method_on_both_sets_and_shows_the_games(settings, figure_7, tmp_path):
    results = collect(adversarial.TABLE_2.tasks(settings))
    shown = adversarial.TABLE_2.show(results, settings)
    networks = shown.results["networks"]
    assert [(one["network"], one["method"]) for one in networks] == [
        (network, method) for network in BUDGET.networks for method in METHODS
    ]
    variants = [Variant("fashion-cnn", method, 0.0) for method in ("none", "adversarial")]
    for training in trainings(variants, settings):
        module, images = trained(training, settings.folder), training.images
        row = next(
            one for one in networks if (one["network"], one["method"]) == ("fashion-cnn", training.method)
        )
        train, test = images.train(), images.test()
        assert (row["train_hits"], 120) == accuracy(module, train.images, train.labels)
        assert (row["test_hits"], 100) == accuracy(module, test.images, test.labels)
        assert len(row["games"]) == (training.method == "adversarial")
    assert len(shown.figures) == 4
    name, draw = next(iter(shown.figures.items()))
    assert name == "aft-fig5-fashion-mlp-adversarial.png"
    assert imread(save_figure(draw(), tmp_path / name)).std() > 0.05


def test_every_method_meets_the_same_masks(settings, figure_7):
    shown = adversarial.FIGURE_7.show(figure_7, settings)
    curves = {(c["unit"], c["method"]): c for c in shown.results["curves"]}
    assert list(curves) == [(unit, method) for unit in CURVE_NETWORKS for method in METHODS]
    for unit, network in CURVE_NETWORKS.items():
        share = SHARES[unit][2]
        for training in trainings([Variant(network, "none", 0.0), Variant(network, "lasso", 1e-5)], settings):
            module, test = trained(training, settings.folder), training.images.test()
            faults, hits = StuckAtZero(unit=unit, share=share), []
            for t in range(2):
                rng = stream(MASKS_SEED, f"{network} {unit} {share:g}", t)
                with stuck(module, faults, draw_masks(module, faults, rng)):
                    hits.append(accuracy(module, test.images, test.labels)[0])
            curve = curves[unit, training.method]
            assert dict(curve["hits"])[share] == hits
            assert dict(curve["hits"])[0.0] == [curve["test_hits"]]
            assert [s for s, _ in curve["hits"]] == [0.0, *SHARES[unit]]
    assert len(shown.tables) == len(shown.figures) == len(shown.results["verdict"]) == 3


def test_figure_3_is_of_digits_with_and_without_tikhonov(settings):
    tasks = adversarial.FIGURE_3.tasks(settings)
    assert {(task.workload.training.images.name, task.workload.training.method) for task in tasks} == {
        ("mnist", "none"),
        ("mnist", "tikhonov"),
    }
    assert {task.trials for task in tasks if "faults" in task.workload.describe()} == {2}


def test_what_a_task_is_depends_on_seed_data_and_epochs_but_not_on_the_folder(settings, tmp_path):
    def keys(chosen):
        return [task.key for task in adversarial.TABLE_1.tasks(chosen)]

    before = keys(settings)
    assert len(set(before)) == 4
    assert keys(Settings(budget="smoke", folder=tmp_path)) == before
    assert not set(keys(Settings(budget="smoke", folder=tmp_path, seed=1))) & set(before)
    for changed in (
        FeatureBudget(networks=BUDGET.networks, test_images=99, masks=2),
        FeatureBudget(
            networks={"fashion-mlp": NetworkBudget(images=120, game_epochs=1, epochs=2)},
            test_images=100,
            masks=2,
        ),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(BUDGETS, "smoke", changed)
            assert not set(keys(settings)) & set(before)


def test_tasks_are_small_where_they_travel(settings):
    assert len(pickle.dumps(adversarial.FIGURE_7.tasks(settings))) < 200_000


def test_a_killed_study_of_two_processes_ends_in_the_counts_of_one(settings, tmp_path):
    """Killed once as soon as a network is there, once as soon as trials with faults are."""
    if profile().max_examples < 1000:
        pytest.skip("the killed studies of the other papers stand for it, but in `make thorough`")
    store, folder = tmp_path / "trials.db", tmp_path / "networks"
    alone = collect(adversarial.FIGURE_3.tasks(settings))
    command = [sys.executable, "-c", KILLED, str(folder), str(store)]
    for reached in (lambda: list(folder.glob("*.safetensors")), lambda: trials_in(store) >= 6):
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()})
        until = time.monotonic() + 300
        while process.poll() is None and not reached() and time.monotonic() < until:
            time.sleep(0.02)
        assert process.poll() is None and reached()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    mine = Settings(budget="smoke", folder=folder)
    kept = trials_in(store)
    results = collect(adversarial.FIGURE_3.tasks(mine), store)
    assert 6 <= kept < len(results.trials)
    assert rows(results) == rows(alone)
    assert adversarial.FIGURE_3.show(results, mine).results == (
        adversarial.FIGURE_3.show(alone, settings).results
    )


def trials_in(store):
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as file:
            return file.execute("SELECT count(*) FROM trials").fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0
