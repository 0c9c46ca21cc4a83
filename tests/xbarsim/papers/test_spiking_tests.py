"""Test sets for every kind of fault: what a trial counts, and the file that it writes."""

import numpy as np
import pytest

from accel_models.spiking.config import SpikingConfig
from tests.helpers.spiking import TINY, settings_in, tiny_baseline
from xbarsim.detection.spiking_files import SpikingTestSet
from xbarsim.errors import InputError
from xbarsim.experiments.collecting import collect
from xbarsim.papers.spiking_tests import (
    SessionBudget,
    class_tests,
    file_of,
    session_budget,
    set_tasks,
    sets_table,
    show,
)

BUDGET = SessionBudget(faults=2, candidates=3, repetitions=(1,))


@pytest.fixture(scope="module")
def folder(data_folder, tmp_path_factory):
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def results(folder):
    return collect(set_tasks(BUDGET, TINY, settings_in(folder)))


def test_there_is_a_set_for_every_class(results):
    made = class_tests(results)
    assert len(made) == 8 and all(len(one.power) == len(one.others_power) == 2 for one in made)
    rows = sets_table(made).rows
    assert [row[0] for row in rows][:3] == ["hsf", "esf", "nasf"]
    assert rows[-1][1] == "101,632"
    record = made[2].record()
    assert record["kind"] == "nasf"
    for one in made:
        assert one.found == sum(share >= one.needed_power for share in one.power)
        assert one.others_found == sum(share >= one.needed_power for share in one.others_power)


def test_a_set_from_its_file_alarms_as_rarely_as_it_says(folder, results, tmp_path):
    shown = show(results, settings_in(folder))
    path = shown.files["spiking-test-nasf.safetensors"](tmp_path / "set")
    found, one = SpikingTestSet.load(path), class_tests(results)[2]
    assert found.test.threshold == one.threshold and len(found.images) == one.patterns
    assert found.test.false_alarm_rate == one.false_alarm_rate == 0.01
    assert found.test.confidence == one.confidence

    # shown to the fault-free chip as whoever has the file would
    chip = SpikingConfig().program(tiny_baseline(folder).trained.network)
    images = np.tile(found.images, (1000 * found.test.repetitions, 1))
    counts = chip.run(images, seed=77).scores.reshape(1000, found.test.repetitions, *found.test.mean.shape)
    assert found.test.alarms(counts).low < 0.01


def test_a_file_that_is_gone_is_said(folder, results, tmp_path):
    shown = show(results, settings_in(folder))
    one = class_tests(results)[0]
    file_of(folder, "hsf", one.key).rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"hsf.*expected the file that the trial wrote, got nothing; remove"):
        shown.files["spiking-test-hsf.safetensors"](tmp_path / "set")


def test_budgets_of_sessions_follow_those_of_studies():
    sizes = [session_budget(name) for name in ("smoke", "cpu", "full")]
    assert [(size.faults, size.candidates) for size in sizes] == [(4, 4), (60, 30), (400, 60)]
