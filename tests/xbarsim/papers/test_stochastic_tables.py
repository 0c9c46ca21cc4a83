"""Tables and verdicts of the stochastic studies, on counts that are made up."""

import pytest

from tests.helpers.stochastic_budgets import tiny_budget
from xbarsim.metrics.stability import stability_score
from xbarsim.papers.stochastic_tables import (
    PAPER_RATES,
    TABLE_I,
    TABLE_II,
    MeasuredNetwork,
    curves,
    table_1,
    table_2,
    verdict,
)
from xbarsim.papers.stochastic_training import Variant


def measured(hits, *, healthy=90, **variant):
    return MeasuredNetwork(
        variant=Variant(**variant),
        float_hits=91,
        healthy_hits=healthy,
        shots=100,
        hits={0.005: [h + 5 for h in hits], 0.01: hits},
    )


PLAIN, ONE_SHOT = measured([20, 30, 40]), measured([80, 82, 84], healthy=92, stages=(0.01,))
PROGRESSIVE = measured([85, 86, 87], stages=(0.005, 0.01))
PRUNED = [measured([10, 10, 10], pruned=True), measured([8, 9, 10], pruned=True, stages=(0.005, 0.01))]


def test_the_papers_rows_have_a_figure_for_every_rate():
    assert {len(row) for row in TABLE_I.values()} == {len(PAPER_RATES)}
    assert {len(row) for row in TABLE_II.values()} == {5}


def test_table_1_has_the_papers_figures_in_brackets_where_it_has_the_rate():
    plain, one_shot, progressive = table_1([PLAIN, ONE_SHOT, PROGRESSIVE], tiny_budget()).rows
    score = stability_score(0.9, 0.9, 0.3)
    assert plain == ("pretrained", "90.00 (92.53)", "35.00 (61.74)", "30.00 (25.83)", f"{score:.2f}")
    assert one_shot[:4] == ("one-shot, 1 %", "92.00 (92.94)", "87.00 (90.90)", "82.00 (87.43)")
    assert progressive[:4] == ("progressive, 1 %", "90.00 (92.90)", "91.00 (91.04)", "86.00 (87.40)")
    assert one_shot[4] == f"{stability_score(0.9, 0.92, 0.82):.2f}"


def test_table_2_scores_pruned_networks_by_the_pruned_pretrained_one():
    rows = table_2([PLAIN, PROGRESSIVE, *PRUNED], tiny_budget()).rows
    assert [row[:3] for row in rows] == [
        ("pretrained", "90.00", "30.00"),
        ("progressive, 1 %", "90.00", "86.00"),
        ("pretrained, 70 % pruned", "90.00", "10.00"),
        ("progressive, 1 %, 70 % pruned", "90.00", "9.00"),
    ]
    assert rows[1][3] == f"{stability_score(0.9, 0.9, 0.86):.2f} (19.26)"
    assert rows[3][3] == f"{stability_score(0.9, 0.9, 0.09):.2f} (3.54)"


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        ([PLAIN, ONE_SHOT, PROGRESSIVE], ["Dense: ", "1 %) holds, by 52.0, 56.0 points"]),
        (
            [PLAIN, PROGRESSIVE, *PRUNED],
            ["1 %) holds, by 56.0 points. Pruned: ", "does not hold, by -1.0 points"],
        ),
    ],
)
def test_the_verdict_is_about_every_network_that_was_trained_with_faults(networks, words):
    said = verdict(networks, tiny_budget())
    for part in words:
        assert part in said


def test_curves_have_a_line_a_network():
    axes = curves([PLAIN, ONE_SHOT], tiny_budget()).axes[0]
    assert axes.get_legend_handles_labels()[1] == ["pretrained", "one-shot, 1 %"]
