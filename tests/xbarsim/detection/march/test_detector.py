"""March tests as detectors."""

import math

import numpy as np
import pytest

from tests.helpers.finn_networks import small_network
from tests.helpers.subjects import digits_subject
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.detector import MarchDetector
from xbarsim.detection.march.latency import ADDRESSING, chip_march_latency_ns
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.programs import program
from xbarsim.rng import Trial

TRIAL = Trial(1, 0)


@pytest.fixture(scope="module")
def chip():
    return digits_subject(images=4).chip


def test_the_score_is_how_many_cells_are_found(chip):
    detector = MarchDetector().prepare(None)
    assert detector.score(chip, TRIAL) == 0 == detector.threshold
    faults = FaultMap.of(chip.geometry, array=[0, 1, 6], row=[3, 9, 1], column=[2, 4, 7], kind="stuck_hrs")
    assert detector.score(chip.inject(faults), TRIAL) == 3


def test_soft_faults_are_not_stuck_cells(chip):
    faults = FaultMap.of(chip.geometry, array=[0], row=[3], column=[2], kind="flip", value=[1])
    assert MarchDetector().score(chip.inject(faults), TRIAL) == 0


@pytest.mark.parametrize("addressing", ADDRESSING)
@pytest.mark.parametrize("restore", [True, False])
def test_the_latency_is_that_of_its_addressing_mode(chip, addressing, restore):
    cost = MarchDetector(march="MATS+", addressing=addressing, restore=restore).cost(chip)
    assert cost.latency_ns == chip_march_latency_ns(chip, march_test("MATS+"), addressing, restore=restore)
    assert math.isnan(cost.energy_pJ)


def test_words_name_the_test_and_the_mode():
    assert MarchDetector().words == "March C-, row-parallel"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"march": "Foo"}, "March test: expected one of"),
        ({"march": "|w0; ^(r1)"}, "correct the notation"),
        ({"addressing": "fast"}, "MarchDetector.addressing: expected one of"),
    ],
)
def test_unknown_tests_and_modes_are_refused(fields, words):
    with pytest.raises(InputError, match=words):
        MarchDetector(**fields)


def test_a_chip_without_cells_is_refused():
    board = program(small_network(np.random.default_rng(1), 2, 2), "finn")
    with pytest.raises(InputError, match="detector march: expected a chip of ReRAM cells, got FinnChip"):
        MarchDetector().score(board, TRIAL)
    with pytest.raises(InputError, match="March test: expected a chip of ReRAM cells"):
        MarchDetector().cost(board)
