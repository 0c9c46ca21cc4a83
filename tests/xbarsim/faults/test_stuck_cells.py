import numpy as np
import pytest

from xbarsim.cells.encoding import WeightFormat
from xbarsim.errors import InputError
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import FaultMix, mix_presets
from xbarsim.faults.stuck_cells import StuckCells

G = CellGeometry(arrays=4)


def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("name", ["even", "measured", "hrs", "lrs", "level"])
def test_a_mix_by_name_draws_what_the_mix_itself_draws(name):
    named, given = StuckCells(rate=0.05, mix=name), StuckCells(rate=0.05, mix=mix_presets()[name])
    assert named.fault_mix == given.fault_mix
    assert named.draw(G, rng()) == given.draw(G, rng())
    masks = [model.draw_masks(300, WeightFormat(), rng()) for model in (named, given)]
    assert (masks[0].keep == masks[1].keep).all()
    assert (masks[0].force == masks[1].force).all()


def test_the_mix_is_the_measured_one_unless_said_otherwise():
    assert StuckCells(rate=0.1).fault_mix == FaultMix(stuck_hrs=1.75, stuck_lrs=9.04)


@pytest.mark.parametrize("mix", ["flip", "step", FaultMix(stuck_hrs=1, step=0.1)])
def test_soft_mixes_are_refused_with_the_model_to_use(mix):
    with pytest.raises(InputError, match=r"StuckCells\.mix: .*; use SoftCells"):
        StuckCells(rate=0.1, mix=mix)


def test_unknown_mixes_are_refused_with_those_that_there_are():
    with pytest.raises(InputError, match=r"StuckCells\.mix: expected one of even, flip.*'odd'"):
        StuckCells(rate=0.1, mix="odd")
