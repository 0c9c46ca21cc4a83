"""RRAMedy's Fig. 11 as tasks: repaired chips are those of the repairs, tables say what was counted."""

from dataclasses import replace

import pytest

from xbarsim.experiments.collecting import collect
from xbarsim.experiments.drawing import faulty_chip
from xbarsim.papers.rramedy import (
    BUDGETS,
    FIGURE_11,
    RATES,
    MaskingPoint,
    masking_figure,
    masking_points,
    masking_table,
)
from xbarsim.papers.study import Settings
from xbarsim.rng import Trial

SMOKE = Settings(budget="smoke", seed=FIGURE_11.seed)
# (faulty, closest values, retrained) of 100 images; the last hangs on how training rounds
GOLDEN = {
    ("SLC", 0.01): (93, 97, 97),
    ("SLC", 0.03): (82, 95, 93),
    ("MLC", 0.01): (91, 97, 95),
    ("MLC", 0.03): (68, 91, 86),
}


@pytest.fixture(scope="module")
def tasks():
    return FIGURE_11.tasks(SMOKE)


@pytest.fixture(scope="module")
def results(tasks):
    return collect(tasks)


@pytest.fixture(scope="module")
def points(results):
    return masking_points(results, BUDGETS["smoke"])


def point(mode="MLC", rate=0.01, retrained=(95, 97)):
    hits = {"faulty": [60, 70], "closest values": [80, 90], "retrained": list(retrained)}
    return MaskingPoint(
        network="lenet", mode=mode, rate=rate, healthy_hits=98, shots=100, hits=hits, retrained=[]
    )


def test_counts_are_those_that_were_published(points):
    assert [(p.network, p.healthy_hits, p.shots) for p in points] == [("digits-mlp", 97, 100)] * 4
    for one in points:
        faulty, closest, retrained = GOLDEN[one.mode, one.rate]
        assert one.hits["faulty"] == [faulty]
        assert one.hits["closest values"] == [closest]
        assert one.hits["retrained"] == [pytest.approx(retrained, abs=3)]


def test_every_repair_meets_the_same_chip_and_is_the_repairs_own(tasks, points):
    chosen = [task.workload for task in tasks if task.workload.faults.rate == 0.03][-3:]
    subject, trial = chosen[0].subject, Trial(SMOKE.seed, 0)
    assert subject.accelerator.name == "isaac"
    chip = faulty_chip(subject.chip, chosen[0].faults, trial)
    done = [workload.repair.repair(chip, subject, trial) for workload in chosen]
    hits = [one.chip.run(subject.test.images).hits(subject.test.labels) for one in done]
    assert [values[0] for values in points[-1].hits.values()] == hits
    assert points[-1].retrained == [{name: done[2].counts[name] for name in points[-1].retrained[0]}]
    assert points[-1].retrained[0]["stuck_cells"] == len(chip.faults)


def test_a_trial_of_a_larger_budget_is_the_same(tasks):
    more = [replace(task, trials=2) for task in tasks[:2]]
    assert [task.key for task in more] == [task.key for task in tasks[:2]]


def test_budgets_name_networks_with_their_rates():
    for budget in BUDGETS.values():
        assert set(budget.networks) <= set(RATES)


def test_the_study_shows_points_table_and_figure(results, points):
    shown = FIGURE_11.show(results, SMOKE)
    assert shown.results == {"points": points}
    assert shown.tables == [masking_table(points, BUDGETS["smoke"])]
    assert list(shown.figures) == ["rramedy-fig11.png"]
    axes = shown.figures["rramedy-fig11.png"]().axes[0]
    assert axes.get_legend_handles_labels()[1] == ["digits-mlp, faulty", "digits-mlp, retrained"]


def test_the_table_says_whether_the_papers_bound_holds():
    table = masking_table([point(), point(mode="SLC", retrained=(97, 98))], BUDGETS["cpu"])
    assert table.rows[0] == ("lenet", "MLC", "1", "98.00", "65.00", "85.00", "96.00", "2.00 (< 2)")
    assert table.rows[1][-1] == "0.50 (< 2)"
    assert "does not hold everywhere: at most 2.00" in table.note
    assert "Mean of 2 chips, 1 epochs on 15000 training images" in table.note
    kept = masking_table([point(retrained=(97, 97))], BUDGETS["full"])
    assert "(less than 2 points lost after retraining) holds: at most 1.00" in kept.note
    assert "all training images" in kept.note


def test_the_figure_has_the_means_of_the_mlc_chips():
    axes = masking_figure([point(rate=0.01), point(rate=0.02), point(mode="SLC")]).axes[0]
    assert axes.get_legend_handles_labels()[1] == ["lenet, faulty", "lenet, retrained"]
    faulty, retrained = (line.get_ydata() for line in axes.get_lines()[:2])
    assert (list(faulty), list(retrained)) == (pytest.approx([65, 65]), pytest.approx([96, 96]))
