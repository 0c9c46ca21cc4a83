"""The figures of a campaign: each where the store has what it needs."""

import matplotlib
import pytest

from tests.helpers.subjects import digits_subject
from xbarsim.detection.march.detector import MarchDetector
from xbarsim.detection.patterns import AdversarialPatterns
from xbarsim.experiments.collecting import collect
from xbarsim.experiments.experiment import grid
from xbarsim.experiments.measures import Accuracy, Detection
from xbarsim.faults.places import NoFaults
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.report.result_figures import figures
from xbarsim.report.results import read_results

NAMES = {
    "accuracy-digits-mlp",
    "front-digits-mlp",
    "layers-cnvw1a1-channel",
    *(f"{kind}-digits-mlp-{name}" for kind in ("detection", "latency") for name in ("isaac", "isaac-slc")),
    *(f"chip-digits-mlp-{name}-3-stuck-even" for name in ("isaac", "isaac-slc")),
}


def texts(figure):
    return " | ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_every_figure_is_there_with_its_words(store):
    found = {shown.name: shown for shown in figures(read_results(store))}
    assert set(found) == NAMES
    assert "60 single faults, each on 6 images" in found["layers-cnvw1a1-channel"].words
    assert "at least 4 chips a point" in found["accuracy-digits-mlp"].words


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_figure_can_be_drawn(store, name):
    (shown,) = (shown for shown in figures(read_results(store)) if shown.name == name)
    figure = shown.draw()
    assert figure.axes and any(axes.has_data() for axes in figure.axes)


def test_lines_are_accelerators_and_repairs(store):
    (shown,) = (shown for shown in figures(read_results(store)) if shown.name == "accuracy-digits-mlp")
    said = texts(shown.draw())
    for accelerator in ("isaac", "isaac-slc"):
        for repair in ("as-it-is", "closest-values"):
            assert f"{accelerator}, {repair}" in said


@pytest.fixture(scope="module")
def odd():
    """Tasks that differ in seeds, numbers of patterns and fields that no words say."""
    subject = digits_subject(images=12)
    models = [StuckCells(rate=rate) for rate in (0.01, 0.03)]
    tasks = [
        task
        for seed in (1, 2)
        for task in grid(Accuracy(), subjects=subject, faults=models, trials=2, seed=seed)
    ]
    detectors = [
        AdversarialPatterns(patterns=2),
        AdversarialPatterns(patterns=5),
        MarchDetector(),
        MarchDetector(restore=False),
    ]
    measures = [Detection(detector=detector) for detector in detectors]
    tasks += grid(measures, subjects=subject, faults=[models[1], NoFaults()], trials=2)
    return collect(tasks)


def test_tasks_that_differ_are_lines_and_rows_of_their_own(odd):
    shown = {figure.name: figure for figure in figures(odd)}
    accuracy = texts(shown["accuracy-digits-mlp"].draw())
    assert "seed 1" in accuracy and "seed 2" in accuracy
    detection = texts(shown["detection-digits-mlp-isaac"].draw())
    for word in ("2 adversarial", "5 adversarial", "detector.restore True", "detector.restore False"):
        assert word in detection.replace("\n", " ")
    latency = texts(shown["latency-digits-mlp-isaac"].draw())
    assert "detector.restore True" in latency and "detector.restore False" in latency
    rows = odd.table().rows
    assert len({row[1:-5] for row in rows}) == len(rows) == 12


def test_two_networks_of_one_name_have_figures_of_their_own():
    models = [StuckCells(rate=rate) for rate in (0.01, 0.03)]
    subjects = [
        digits_subject(images=12),
        digits_subject(images=12, calibrate=2 * digits_subject().test.images),
    ]
    shown = figures(collect(grid(Accuracy(), subjects=subjects, faults=models, trials=2)))
    names = [figure.name for figure in shown]
    assert names.count("accuracy-digits-mlp") == names.count("accuracy-digits-mlp-2") == 1
    assert len(set(names)) == len(names) == len({figure.title for figure in shown})
    weights = [subject.describe()["weights"] for subject in subjects]
    for figure, digest in zip((f for f in shown if f.name.startswith("accuracy")), weights, strict=True):
        assert figure.title.endswith(f", weights {digest}") and digest in texts(figure.draw())
