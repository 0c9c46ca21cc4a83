"""What the tables say is what the counts are."""

import numpy as np
import pytest
from matplotlib.image import imread

from xbarsim.metrics.generalisation import generalisation_error
from xbarsim.papers.adversarial_paper import TABLE_1, TABLE_2
from xbarsim.papers.adversarial_tables import (
    FaultCurve,
    TrainedFeatures,
    fault_figure,
    fault_table,
    losses_figure,
    table_1,
    table_2,
)
from xbarsim.papers.adversarial_training import GAMES, METHODS, FeatureBudget, NetworkBudget
from xbarsim.report.plots import save_figure
from xbarsim.training.adversarial_features import GameEpoch

TINY = NetworkBudget(images=120, game_epochs=2, epochs=1)
BUDGET = FeatureBudget(networks={"fashion-mlp": TINY, "fashion-cnn": TINY}, test_images=100, masks=2)
LOST = (
    GameEpoch(epoch=1, reconstruction=0.2, discriminator=1.3, extractor=0.7, told_right=0.6),
    GameEpoch(epoch=2, reconstruction=0.1, discriminator=1.2, extractor=0.9, told_right=0.9),
)


def features(network="fashion-mlp", method="none", strength=0.0, train=90, test=70):
    return TrainedFeatures(
        network=network, method=method, strength=strength, train_hits=train, train_shots=120,
        test_hits=test, test_shots=100, games=LOST if method in GAMES else (),
    )  # fmt: skip


def curve(method, unit, hits):
    return FaultCurve(trained=features(method=method), unit=unit, hits={0.0: [70], **hits})


@pytest.mark.parametrize(
    ("test", "words"), [((70, 72, 74, 75), "holds"), ((70, 72, 60, 75), "does not hold")]
)
def test_table_1_says_whether_stronger_generalises_better(test, words):
    found = [features(method="tikhonov", strength=s, test=t) for s, t in zip(TABLE_1, test, strict=True)]
    table = table_1(found, BUDGET)
    assert table.rows[0][3].endswith("(9.70)") and table.rows[3][1] == "75.00 (66.57)"
    assert f"generalisation error: {words}." in table.note
    assert f"Best test accuracy at {found[int(np.argmax(test))].strength:g};" in table.note


def test_table_2_has_the_papers_numbers_where_it_has_some():
    found = [features(network, method) for network in BUDGET.networks for method in METHODS]
    for one, row in zip(found, table_2(found, BUDGET).rows, strict=True):
        error = generalisation_error(90, 120, 70, 100)
        assert row[2].startswith("75.00") and row[3].startswith("70.00")
        assert row[4].startswith(f"{100 * error.value:.2f}")
        assert row[5] == f"{100 * error.low:.2f} to {100 * error.high:.2f}"
        assert ((one.network, one.method) in TABLE_2) == ("(" in row[2])


def test_table_2_says_who_generalises_better_and_how_the_games_went():
    found = [
        features(network, method, train=85 if method == "adversarial" else 90, test=71)
        for network in BUDGET.networks
        for method in METHODS
    ]
    note = table_2(found, BUDGET).note
    assert "fashion-mlp: adversarial features generalise better than none, lasso, tikhonov (0 of" in note
    assert "adversarial-stable features generalise better than none of them" in note
    assert "test accuracy +0.00 points of none's" in note
    lost = "reconstruction falls; not so: extractor falls, discriminator rises; the discriminator tells 90 %"
    assert note.count(lost) == 4


def test_fault_tables_give_means_and_the_order_at_the_quoted_share():
    found = [
        curve("none", "node", {0.68: [40, 50]}),
        curve("lasso", "node", {0.68: [30, 42]}),
        curve("tikhonov", "node", {0.68: [44, 50]}),
        curve("adversarial", "node", {0.68: [60, 64]}),
        curve("none", "weight", {0.6: [1, 2]}),
    ]
    table = fault_table(found, "node", 7)
    assert table.columns == ("method", "0 %", "68 %")
    assert table.rows[0] == ("none", "70.00", "45.00 +-5.00")
    assert table.rows[3][2] == "62.00 +-2.00 (84.60)"
    assert "At 68 % adversarial is +17.00 +-3.00 to none, +26.00 +-4.00 to lasso" in table.note
    assert "the paper's order (adversarial above none, lasso, tikhonov) holds" in table.note


def test_figure_3_holds_tikhonov_against_none():
    found = [curve("none", "filter", {0.5: [50, 52]}), curve("tikhonov", "filter", {0.5: [40, 44]})]
    table = fault_table(found, "filter", 3)
    assert table.rows[0][2] == "51.00 +-1.00 (51.43)" and table.rows[1][2] == "42.00 +-2.00 (79.90)"
    assert "the paper's order (tikhonov above none) does not hold" in table.note


def test_figures_show_something(tmp_path):
    found = [curve("none", "node", {0.2: [60, 62], 0.4: [50, 40]})]
    for name, figure in (
        ("faults", fault_figure(found, "node", 7)),
        ("losses", losses_figure(features(method="adversarial"))),
    ):
        assert imread(save_figure(figure, tmp_path / f"{name}.png")).std() > 0.05
