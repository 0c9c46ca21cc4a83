"""Which chip a trial meets."""

import pytest

from accel_models.reram.analog_config import AnalogConfig
from tests.helpers.subjects import digits_subject
from xbarsim.experiments.drawing import faulty_chip, read_seed, trials_of
from xbarsim.faults.places import NoFaults
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.rng import Trial


@pytest.fixture(scope="module")
def chips():
    return {
        name: digits_subject(config, images=4).chip
        for name, config in (("isaac", "isaac"), ("analog", AnalogConfig()))
    }


def test_trials_have_a_seed_and_a_number():
    assert list(trials_of(7, (3, 1))) == [Trial(7, 3), Trial(7, 1)]


def test_faults_are_the_same_on_every_kind_of_chip(chips):
    model, trial = StuckCells(rate=0.01), Trial(1, 2)
    drawn = model.draw(chips["isaac"].geometry, trial.stream("faults"))
    for chip in chips.values():
        assert faulty_chip(chip, model, trial).faults == drawn


def test_trials_and_seeds_are_other_chips(chips):
    model = StuckCells(rate=0.01)
    found = [faulty_chip(chips["isaac"], model, t).faults for t in (Trial(1, 0), Trial(1, 1), Trial(2, 0))]
    assert found[0] != found[1] and found[0] != found[2] and found[1] != found[2]


def test_noise_has_a_stream_of_its_own_where_specimens_differ(chips):
    trial = Trial(4, 2)
    assert read_seed(chips["isaac"], trial) == 4
    assert read_seed(chips["analog"], trial).random() == trial.stream("reads").random()


def test_analog_specimens_are_those_of_their_trials(chips):
    inputs = digits_subject(images=4).test.images
    runs = [
        faulty_chip(chips["analog"], NoFaults(), Trial(1, n)).run(inputs, seed=0).scores for n in (0, 1, 0)
    ]
    assert (runs[0] == runs[2]).all() and (runs[0] != runs[1]).any()
