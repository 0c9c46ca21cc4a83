"""The faults of a trial's chip hang on model, seed and number alone."""

import numpy as np

import xbarsim as xb
from xbarsim.faults.trials import faults_of
from xbarsim.rng import Trial, stream


class Drawn:
    """Keeps the numbers that it drew."""

    def draw(self, geometry, rng):
        return geometry, rng.integers(2**60)


class OfItsOwn(Drawn):
    scenario = "mine"


class Numbered(Drawn):
    def numbered(self, geometry, trial):
        return geometry, trial.number


def test_a_model_draws_from_the_stream_of_its_scenario():
    trial = Trial(3, 7)
    for model, scenario in ((Drawn(), "faults"), (OfItsOwn(), "mine")):
        geometry, drawn = faults_of(model, "cells", trial)
        assert geometry == "cells" and drawn == stream(3, scenario, 7).integers(2**60)


def test_a_model_that_numbers_its_faults_draws_nothing():
    assert faults_of(Numbered(), "cells", Trial(3, 7)) == ("cells", 7)


def test_trials_are_the_same_in_any_order():
    model, chip = xb.StuckCells(rate=0.05), xb.program(_graph(), "isaac")
    numbers = [4, 0, 2]
    forward = {n: faults_of(model, chip.geometry, Trial(1, n)) for n in numbers}
    backward = {n: faults_of(model, chip.geometry, Trial(1, n)) for n in numbers[::-1]}
    for n in numbers:
        assert forward[n].to_frame().equals(backward[n].to_frame())
    assert not forward[0].to_frame().equals(forward[2].to_frame())


def _graph():
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(20, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))
    return xb.quantize(module, np.random.default_rng(0).random((8, 20), np.float32))
