"""How to protect a network on a FINN accelerator: the study is what its parts say, and its tables show it."""

import numpy as np
import pytest

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from tests.helpers.finn_networks import small_network
from tests.helpers.subjects import digits_subject
from xbarsim.data import Dataset
from xbarsim.errors import InputError
from xbarsim.experiments.protection import protection_figure, safety_summary, schedule_table, study_protection
from xbarsim.faults.pe import PeFaultKind
from xbarsim.subject import Subject

IMAGES = 6


@pytest.fixture(scope="module")
def subject():
    rng = np.random.default_rng(0)
    data = Dataset.of(rng.random((IMAGES, 3, 8, 8), np.float32), np.arange(IMAGES))
    return Subject(small_network(rng), FinnConfig(), test=data, name="small")


@pytest.fixture(scope="module")
def study(subject):
    return study_protection(subject, protected=3)


def test_single_channels_are_simulated_on_all_images(subject, study):
    design, test = subject.chip, subject.test
    faults = design.fault_list([PeFaultKind.channel])
    results = simulate_faults(design, faults, design.network.to_pixels(test.images), test.labels)
    assert (study.network, study.shots, study.protected) == ("small", IMAGES, 3)
    assert study.channels.hits[0] == min(results.hits.min(), results.baseline_hits)
    assert len(study.channels.price) == 1 + 8 + 12 + 16
    assert study.safety.total.faults == len(faults)


def test_schedules_have_a_row_with_their_worst_cases(study):
    table = schedule_table(study)
    assert [row[0] for row in table.rows] == list(study.schedules)
    for row, curve in zip(table.rows, study.schedules.values(), strict=True):
        assert row[1] == f"{curve.error_percent[0]:.2f}" and row[-1] == str(len(curve.price) - 1)
        halved = int(row[3])
        middle = (curve.error_percent[0] + curve.error_percent[-1]) / 2
        assert curve.error_percent[halved] <= middle
        assert halved == 0 or curve.error_percent[halved - 1] > middle
    assert f"{IMAGES} images" in table.title and f"{study.joint[0].luts:,} LUT" in table.note


def test_shares_of_effects_add_up(study):
    table = safety_summary(study)
    assert [row[0] for row in table.rows] == ["0", "1", "2", "all"]
    for row in table.rows:
        safe, caught, dangerous = (float(cell.rstrip("%")) for cell in row[2:5])
        assert safe + caught + dangerous == pytest.approx(100, abs=0.02)
    assert sum(int(row[1]) for row in table.rows[:-1]) == int(table.rows[-1][1])


def test_fronts_are_drawn_for_every_schedule(study):
    (axes,) = protection_figure(study).axes
    assert [line.get_label() for line in axes.lines] == [f"PEs, {policy}" for policy in study.schedules]


def test_other_hardware_and_more_channels_than_there_are_are_refused(subject):
    with pytest.raises(InputError, match="choose the accelerator finn"):
        study_protection(digits_subject(images=2), protected=1)
    with pytest.raises(InputError, match=r"protected channels: expected an integer in 0\.\.36, got 37"):
        study_protection(subject, protected=37)
