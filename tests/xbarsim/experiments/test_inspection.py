"""What a network takes of an accelerator."""

import json
from dataclasses import replace

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import isaac
from networks.snn import Snn
from tests.helpers.finn_networks import random_network
from tests.helpers.subjects import digits_data, digits_subject
from xbarsim.errors import InputError
from xbarsim.experiments import inspection
from xbarsim.subject import Subject

PIXELS = np.zeros((2, 3, 32, 32), np.float32)


@pytest.fixture(scope="module")
def board():
    network = random_network("cnvW1A1", np.random.default_rng(5))
    return Subject(network, FinnConfig(), test=(PIXELS, [0, 1]))


@pytest.fixture(scope="module")
def digits():
    return digits_subject()


@pytest.mark.parametrize("accelerator", ["isaac", AnalogConfig()])
def test_arrays_are_listed_layer_by_layer(accelerator):
    table = inspection.chip_table(digits_subject(accelerator, images=4))
    assert table.columns == ("layer", "arrays", "positions", "MACs", "collapses")
    assert sum(int(row[1]) for row in table.rows) == 7
    assert "digits-mlp on " in table.title and "7 arrays" in table.title
    assert "An inference: " in table.note and "cell writes" in table.note


def test_several_chips_are_said_with_what_is_assumed_of_them():
    assert "links" not in inspection.chip_table(digits_subject("isaac", images=4)).note
    table = inspection.chip_table(digits_subject(replace(isaac(), arrays=3, chips=3), images=4))
    assert "3 chips, the links between which are taken to cost nothing" in table.note


def test_units_are_listed_layer_by_layer(board):
    table = inspection.chip_table(board)
    assert len(table.rows) == 9 and "3,840 channel" in table.note


def test_other_chips_say_what_they_take():
    data = digits_data("test").first(4)
    subject = Subject(Snn((64, 12, 10), steps=5), "spiking", test=data)
    table = inspection.chip_table(subject)
    assert len(table.rows) == len(subject.chip.resources) > 0


def test_rates_at_the_boards_clocks_and_its_own(board):
    table = inspection.clock_table(board)
    assert [row[0] for row in table.rows] == ["Pynq-Z1, 100 MHz", "Ultra96, 300 MHz"]
    fast = Subject(board.network, FinnConfig(clock_MHz=220), test=(PIXELS, [0, 1]))
    assert inspection.clock_table(fast).rows[-1][0] == "its own, 220 MHz"
    assert "Published" in table.note


@pytest.mark.parametrize("rate", [500, 3000])
def test_a_target_rate_is_reached(board, rate):
    found = inspection.refolded(board, folding=None, target_rate=rate)
    interval = inspection.cycles_of(found).interval_cycles
    assert rate <= board.accelerator.clock_MHz * 1e6 / interval < 8 * rate
    assert found.name == board.name


def test_a_folding_changes_the_cycles_and_no_answer(board, tmp_path):
    path = tmp_path / "folding.json"
    path.write_text(json.dumps({"MatrixVectorActivation_1": {"PE": 1, "SIMD": 1}}))
    slow = inspection.refolded(board, folding=path, target_rate=None)
    cycles = [inspection.cycles_of(subject).interval_cycles for subject in (board, slow)]
    assert cycles[1] > 100 * cycles[0]
    assert (slow.chip.run(PIXELS).scores == board.chip.run(PIXELS).scores).all()


def test_nothing_to_fold_is_the_same_subject(digits):
    assert inspection.refolded(digits, folding=None, target_rate=None) is digits


def test_what_is_for_boards_is_refused_elsewhere(digits, board, tmp_path):
    assert inspection.is_finn(board) and not inspection.is_finn(digits)
    for call in (
        lambda: inspection.cycles_of(digits),
        lambda: inspection.clock_table(digits),
        lambda: inspection.refolded(digits, folding=None, target_rate=100.0),
    ):
        with pytest.raises(InputError, match="expected a FINN chip, got ReramChip"):
            call()
    with pytest.raises(InputError):
        inspection.refolded(board, folding=tmp_path / "none.json", target_rate=None)
    with pytest.raises(InputError, match="target rate: expected a finite number above 0"):
        inspection.refolded(board, folding=None, target_rate=-1.0)


def test_training_takes_what_its_layers_take(digits, board):
    layers = inspection.training_cost_of(digits)
    table = inspection.training_table(digits, layers)
    parameters = sum(p.numel() for p in digits.module.parameters())
    assert table.rows[-1][:2] == ("all", f"{parameters:,}") and len(table.rows) == len(layers) + 1
    with pytest.raises(InputError, match="expected a torch module"):
        inspection.training_cost_of(board)
