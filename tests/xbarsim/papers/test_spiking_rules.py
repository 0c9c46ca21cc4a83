"""The rules of Algorithm 1 over several trainings, and when a difference is clear."""

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.spiking import TINY, made_up, settings_in
from xbarsim.experiments.collecting import collect
from xbarsim.papers.spiking import chip_tasks
from xbarsim.papers.spiking_networks import trainings
from xbarsim.papers.spiking_numbers import RATIOS
from xbarsim.papers.spiking_rules import (
    METHODS,
    VARIANTS,
    TrainedOften,
    differences_table,
    rules_table,
    show,
    tasks,
    trained_often,
    verdict,
)


def test_rules_are_compared_over_several_trainings(data_folder, tmp_path):
    trained = trainings(VARIANTS, replace(TINY, images=200), settings_in(tmp_path), seeds=2)
    results = collect(chip_tasks(trained, ["nasf"]))
    found = trained_often(results)
    assert [one.method for one in found] == list(METHODS)
    by_name = {one.method: one for one in found}
    for one in found:
        assert [(net.variant.method, net.seed) for net in one.networks] == [(one.method, 0), (one.method, 1)]
        expected = [sum(net.hits["nasf", 0.1]) / (3 * net.shots) for net in one.networks]
        assert one.accuracies(0.1) == pytest.approx(expected)
    table, differences = rules_table(found), differences_table(found)
    assert len(table.rows) == 6 and len(differences.rows) == 5
    gained = np.subtract(by_name["sum"].accuracies(0.15), by_name["random"].accuracies(0.15)).mean()
    assert differences.rows[-1][-1].startswith(f"{100 * gained:+.2f} +-")
    assert differences.note.startswith("Clearly, at 95 % for all 20 differences together: previous above at ")
    shown = show(results, settings_in(tmp_path)).results
    assert shown["seeds"] == [0, 1] and list(shown["trainings"]) == list(METHODS)
    assert shown["trainings"]["sum"][1]["hits"][3]["hits"] == by_name["sum"].networks[1].hits["nasf", 0.15]


def test_a_clear_difference_of_rules_is_said_and_an_unclear_one_is_not():
    def trained(method, *accuracies):
        hits = [{("nasf", r): [round(1000 * a)] * 2 for r in RATIOS["nasf"]} for a in accuracies]
        return TrainedOften(method=method, networks=tuple(made_up(method, one) for one in hits))

    found = [
        trained("random", 0.70, 0.71, 0.72, 0.73),
        trained("sum", 0.601, 0.610, 0.620, 0.630),  # 10 points lower each time
        trained("paper", 0.60, 0.80, 0.70, 0.70),
    ]
    assert verdict(found).endswith(
        ": sum above at 0 of 4 ratios, below at 4; paper above at 0 of 4 ratios, below at 0."
    )


def test_budgets_say_how_many_trainings(data_folder, tmp_path):
    settings = settings_in(tmp_path)
    assert len(tasks(settings)) == 6 * 2 * (1 + 4)
    seeds = {task.workload.training.seed for task in tasks(replace(settings, seed=5))}
    assert seeds == {5, 6}
