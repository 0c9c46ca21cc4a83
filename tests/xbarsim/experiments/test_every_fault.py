"""Every single fault of a model, each alone on a chip."""

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from tests.helpers.finn_networks import small_network
from tests.helpers.subjects import digits_subject
from xbarsim.errors import InputError
from xbarsim.experiments.every_fault import every_fault
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.models import SingleFaults
from xbarsim.faults.stuck_cells import StuckCells


@pytest.fixture(scope="module")
def board():
    """A chip with images of its own, and labels that it mostly gets right."""
    chip = FinnConfig().program(small_network(np.random.default_rng(1), 2, 2))
    images = np.random.default_rng(2).random((12, *chip.input_shape)).astype(np.float32)
    labels = chip.run(images).classes.copy()
    labels[::4] = (labels[::4] + 1) % 3
    return chip, (images, labels)


def one_by_one(chip, faults, data):
    healthy = chip.run(data[0])
    runs = [chip.inject(fault).run(data[0]) for fault in faults.each()]
    return [r.hits(data[1]) for r in runs], [int((r.classes != healthy.classes).sum()) for r in runs]


def test_faults_of_units_are_injected_one_by_one_only_sooner(board):
    chip, data = board
    model = SingleFaults("channel", "pe")
    found = every_fault(chip, model, data)
    hits, flips = one_by_one(chip, model.all(chip.geometry), data)
    assert found.hits.tolist() == hits and found.flips.tolist() == flips
    assert (found.healthy_hits, found.shots) == (chip.run(data[0]).hits(data[1]), 12)
    assert len(set(hits)) > 1


def test_a_table_of_faults_is_taken_too(board):
    chip, data = board
    faults = SingleFaults("channel").all(chip.geometry).take(np.arange(5))
    found = every_fault(chip, faults, data)
    assert found.faults is faults and found.hits.tolist() == one_by_one(chip, faults, data)[0]


def test_cells_are_injected_one_by_one_too():
    subject = digits_subject(images=10)
    faults = FaultMap.of(
        subject.chip.geometry, array=[0, 1, 2, 3], row=[0, 5, 7, 3], column=[1, 2, 3, 4], kind="stuck_lrs"
    )
    found = every_fault(subject.chip, faults, subject.test)
    data = subject.test.images, subject.test.labels
    assert (found.hits.tolist(), found.flips.tolist()) == one_by_one(subject.chip, faults, data)


def test_the_worst_stand_first(board):
    chip, data = board
    found = every_fault(chip, SingleFaults("channel"), data)
    ranked = list(zip(found.hits[found.order], -found.flips[found.order], strict=True))
    assert ranked == sorted(ranked)
    table = found.worst(3)
    assert [row[0] for row in table.rows] == [str(found.faults[int(i)]) for i in found.order[:3]]
    assert table.rows[0][1] == f"{found.hits.min() / 12:.2%}"
    assert "on 12 images" in table.title and len(found.worst(10**6).rows) == len(found.faults)


def test_what_lists_nothing_and_faulty_chips_are_refused(board):
    chip, data = board
    with pytest.raises(InputError, match="a model that lists its faults, at least one"):
        every_fault(digits_subject(images=2).chip, StuckCells(rate=0.1), digits_subject(images=2).test)
    with pytest.raises(InputError, match="a model that lists its faults, at least one"):
        every_fault(chip, SingleFaults("channel").all(chip.geometry).take(np.zeros(0, int)), data)
    faulty = chip.inject(SingleFaults("channel").all(chip.geometry).take(np.arange(1)))
    with pytest.raises(InputError, match="every_fault: expected a chip without faults, got 1 faults"):
        every_fault(faulty, SingleFaults("pe"), data)
    with pytest.raises(InputError, match="labels"):
        every_fault(chip, SingleFaults("pe"), (data[0], data[1][:3]))
