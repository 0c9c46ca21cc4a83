"""The adversarial-features paper's studies: what their tables say is what their counts are."""

import numpy as np
import pytest
import torch

from tests.xbarsim.cli.test_cli import document
from xbarsim.errors import InputError
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.metrics.generalisation import generalisation_error
from xbarsim.papers.adversarial_features import (
    FIG_7_NETWORKS,
    GAMES,
    METHODS,
    SHARES,
    FaultCurve,
    FeatureBudget,
    FeatureStudy,
    NetworkBudget,
    feature_budget,
    run_table_1,
    run_table_2,
)
from xbarsim.papers.adversarial_paper import TABLE_1, TABLE_2
from xbarsim.papers.adversarial_tables import fault_figure, fault_table, losses_figure, table_1, table_2
from xbarsim.rng import stream
from xbarsim.torch_bridge.stuck_at_zero import draw_masks, stuck
from xbarsim.training.loop import accuracy

TINY = NetworkBudget(images=120, game_epochs=1, epochs=1)
BUDGET = FeatureBudget(networks={"fashion-mlp": TINY, "fashion-cnn": TINY}, test_images=100, masks=2)


@pytest.fixture(scope="module")
def study(data_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:  # in this process, which is faster for tiny trainings
        patch.setattr("xbarsim.papers.adversarial_features.threads_each", lambda workers: 1)
        yield FeatureStudy(BUDGET, tmp_path_factory.mktemp("networks"))


def test_networks_that_are_trained_at_the_same_time_are_those_trained_alone(study, tmp_path, monkeypatch):
    monkeypatch.setattr("xbarsim.papers.adversarial_features.threads_each", lambda workers: 2)
    seen = []
    beside = FeatureStudy(BUDGET, tmp_path, watch=lambda name: lambda *done: seen.append((name, *done[:2])))
    jobs = [{"network": "fashion-mlp", "method": method} for method in ("none", "injection")]
    found = beside.train_all(jobs)
    assert ("training 2 networks, 2 at a time", 2, 2) in seen
    for one, job in zip(found, jobs, strict=True):
        alone = study.train(**job)
        assert (one.method, one.test_hits) == (alone.method, alone.test_hits)
        weights = zip(one.module.parameters(), alone.module.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in weights)


def test_table_1_is_tikhonov_at_the_papers_strengths(study):
    found = run_table_1(study)
    assert [one.strength for one in found] == list(TABLE_1)
    rows = table_1(found, BUDGET).rows
    assert rows[0][3].endswith("(9.70)") and rows[3][1].endswith("(66.57)")
    assert len({one.module.extractor[1].weight.sum().item() for one in found}) == 4


def test_table_2_counts_every_method(study):
    found = run_table_2(study)
    assert [(one.network, one.method) for one in found] == [(n, m) for n in BUDGET.networks for m in METHODS]
    _, test = study.data("fashion-mlp")
    for one, row in zip(found, table_2(found, BUDGET).rows, strict=True):
        error = generalisation_error(one.train_hits, 120, one.test_hits, 100)
        assert row[2].startswith(f"{100 * one.train_hits / 120:.2f}")
        assert row[4].startswith(f"{100 * error.value:.2f}")
        assert ((one.network, one.method) in TABLE_2) == ("(" in row[2])
    assert accuracy(found[0].module, test.images, test.labels) == (found[0].test_hits, 100)
    adversarial = found[5]
    stable = found[6]
    assert len(adversarial.games) == len(stable.games) == 1
    assert adversarial.games != stable.games
    note = table_2(found, BUDGET).note
    assert note.count("Losses as in Fig. 5") == 4 and "2,000 epochs" in note
    assert list(study.folder.glob("*games.csv"))
    again = study.train("fashion-mlp", "adversarial")
    assert again.games == adversarial.games and again.test_hits == adversarial.test_hits


def test_every_method_meets_the_same_masks(study, tmp_path):
    found = []
    for unit, network in FIG_7_NETWORKS.items():
        for method in ("none", *GAMES):
            one = study.train(network, method)
            found.append(FaultCurve(trained=one, unit=unit, hits=study.with_faults(one, unit)))
    for curve in found:
        _, test = study.data(curve.trained.network)
        share = SHARES[curve.unit][2]
        faults, module = StuckAtZero(unit=curve.unit, share=share), curve.trained.module
        hits = []
        for t in range(2):
            masks = draw_masks(
                module, faults, stream(1, f"{curve.trained.network} {curve.unit} {share:g}", t)
            )
            with stuck(module, faults, masks):
                hits.append(accuracy(module, test.images, test.labels)[0])
        assert curve.hits[share] == hits
        assert curve.hits[0.0] == [curve.trained.test_hits]
    for unit in SHARES:
        table = fault_table(found, unit, 7)
        own = [c for c in found if c.unit == unit]
        for row, curve in zip(table.rows, own, strict=True):
            for cell, share in zip(row[1:], curve.hits, strict=True):
                assert cell.startswith(f"{100 * np.mean(curve.accuracies(share)):.2f}")
        assert all(f"the paper's order ({game} above none)" in table.note for game in GAMES)
    from matplotlib.image import imread

    from xbarsim.report.plots import save_figure

    for name, figure in (("a", fault_figure(found, "node", 7)), ("b", losses_figure(found[-1].trained))):
        assert imread(save_figure(figure, tmp_path / f"{name}.png")).std() > 0.05


def test_the_command_gives_counts(data_folder, tmp_path, capsys):
    command = ("study", "aft-table1", "--budget", "smoke", "--networks", tmp_path)
    networks = document(capsys, *command, "--out", tmp_path / "out")["results"]["networks"]
    assert [n["strength"] for n in networks] == list(TABLE_1)
    assert all(n["train_shots"] == n["test_shots"] == 200 for n in networks)


def test_unknown_budgets_and_methods_are_refused(study):
    with pytest.raises(InputError, match="--budget"):
        feature_budget("huge")
    with pytest.raises(InputError, match="method"):
        study.train("fashion-mlp", "ridge")
