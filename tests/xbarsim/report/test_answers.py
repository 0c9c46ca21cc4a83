"""The answers that commands print."""

import matplotlib
import pytest

from tests.helpers.subjects import digits_subject
from xbarsim.detection.march.detector import MarchDetector
from xbarsim.detection.patterns import AdversarialPatterns, OriginalImages
from xbarsim.experiments.collecting import collect
from xbarsim.experiments.experiment import grid
from xbarsim.experiments.measures import Accuracy, Detection
from xbarsim.faults.places import NoFaults
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.metrics.intervals import Estimate, wilson
from xbarsim.repair.closest import ClosestValues
from xbarsim.repair.nothing import AsItIs
from xbarsim.report import answers
from xbarsim.report.results import read_results

RATES = (0.01, 0.01000001)
NAN = float("nan")


@pytest.fixture(scope="module")
def subject():
    return digits_subject()


@pytest.fixture(scope="module")
def repaired(subject):
    models = [StuckCells(rate=rate) for rate in RATES]
    return collect(
        grid(Accuracy(), subjects=subject, faults=models, repairs=[AsItIs(), ClosestValues()], trials=3)
    )


@pytest.fixture(scope="module")
def detected(subject):
    measures = [
        Detection(detector=detector)
        for detector in (OriginalImages(patterns=3), AdversarialPatterns(patterns=3), MarchDetector())
    ]
    models = [*(StuckCells(rate=rate) for rate in RATES), NoFaults()]
    return collect(grid(measures, subjects=subject, faults=models, trials=3))


def test_accuracy_begins_with_the_networks_and_goes_on_with_every_task(repaired, subject):
    table = answers.accuracy_table(repaired)
    assert [row[0] for row in table.rows[:2]] == ["float network", "fault-free chip"]
    assert len({row[0] for row in table.rows}) == len(table.rows) == 6
    healthy = subject.chip.run(subject.test.images).hits(subject.test.labels)
    assert table.rows[1][1:3] == answers.shown(wilson(healthy, 40))
    for row, task in zip(table.rows[2:], repaired.tasks, strict=True):
        trials = repaired.trials_of(task)
        assert (
            row[1] == f"{(trials['hits'] / 40).mean():.2%}" and row[3] == f"{trials['hits'].min() / 40:.2%}"
        )
        assert row[4] == "3"
    assert "digits-mlp on isaac" in table.title and "on 40 of 40 images" in table.note


def test_the_figure_has_a_column_a_task(repaired):
    axes = answers.accuracy_figure(repaired).axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert len(set(names)) == len(names) == 4


def test_detection_has_rates_false_alarms_and_latencies(detected, subject):
    table = answers.detection_table(detected)
    assert len({row[0] for row in table.rows}) == len(table.rows) == 6
    march = [row for row in table.rows if "March" in row[0]]
    assert [row[1] for row in march] == ["100.00%"] * 2 and [row[4] for row in march] == ["0 of 3"] * 2
    assert all(row[3] == "3" for row in table.rows)


def test_bars_of_rates_that_read_the_same_do_not_hide_each_other(detected):
    figure = answers.detection_figure(detected)
    words = " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert str(RATES[1]) in words
    bars = [patch for patch in figure.axes[0].patches if patch.get_width() > 0]
    assert len(bars) == 6


def test_latencies_stand_beside_march_in_every_mode(detected, subject):
    table = answers.latency_table(detected)
    assert len(table.rows) == 3 + 5
    assert [row[0] for row in table.rows[:3]] == [
        detector.words
        for detector in (OriginalImages(patterns=3), AdversarialPatterns(patterns=3), MarchDetector())
    ]
    assert "March is" in table.note


def test_latencies_of_detectors_that_read_the_same_are_both_there(subject):
    measures = [Detection(detector=MarchDetector(restore=restore)) for restore in (True, False)]
    found = answers.latencies_of_tests(
        collect(grid(measures, subjects=subject, faults=NoFaults(), trials=1)).tasks
    )
    assert list(found) == [f"March C-, row-parallel, detector.restore {word}" for word in (True, False)]
    assert len(set(found.values())) == 2


def test_repairs_say_what_they_took(repaired):
    table = answers.repair_table(repaired)
    assert len(table.rows) == 2 and all("closest-values" in row[0] for row in table.rows)
    trials = repaired.trials_of(
        [t for t in repaired.tasks if t.description["repair"]["name"] == "closest-values"][0]
    )
    assert table.rows[0][1:3] == (
        f"{trials['counts.stuck_cells'].mean():,.0f}", f"{trials['counts.cell_writes'].mean():,.0f}"
    )  # fmt: skip
    assert table.rows[0][3:] == ("-", "-")


def test_single_faults_are_counted_by_kind_and_layer(store):
    results = read_results(store)
    (task,) = (task for task in results.tasks if task.description["accelerator"] == "finn")
    table = answers.single_fault_table(results, task)
    trials = results.trials_of(task)
    assert sum(int(row[2]) for row in table.rows) == 60 and {row[0] for row in table.rows} == {"channel"}
    worst = answers.worst_fault_table(results, task)
    assert len(worst.rows) == answers.WORST
    assert worst.rows[0][1] == f"{trials['hits'].min() / 6:.2%}"
    assert answers.single_fault_figure(results, task, "board").axes[0].has_data()


def test_healthy_networks_have_a_table_of_their_own():
    table = answers.healthy_table("net", {"healthy_hits": 3, "shots": 4})
    assert [row[0] for row in table.rows] == ["fault-free chip"] and table.rows[0][1] == "75.00%"


def test_estimates_are_shown_between_0_and_100():
    assert answers.shown(Estimate(0.5, -0.1, 1.1)) == ("50.00%", "0.00% .. 100.00%")
    assert answers.shown(Estimate(0.5, NAN, NAN)) == ("50.00%", "one chip")
