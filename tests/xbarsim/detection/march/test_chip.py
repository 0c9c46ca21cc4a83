import numpy as np
import pytest

from xbarsim.detection.march.algorithms import eulerian_march, march_test
from xbarsim.detection.march.chip import march_chip
from xbarsim.detection.march.memory import PlacedFault
from xbarsim.detection.march.primitives import parse_primitive
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import FaultMix, mix_presets, sample_by_rate


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_march_c_minus_diagnoses_a_128_by_128_array_exactly(seed):
    geometry = CellGeometry(arrays=1, rows=128, columns=128, levels=4)
    truth = sample_by_rate(geometry, 0.005, mix=mix_presets()["even"], rng=rng(seed))
    found = march_chip(truth, march_test("March C-"), rng=rng(seed + 100))
    assert truth.compare(found.fault_map).exact
    assert len(truth) > 50
    assert len(found.other_cells) == 0
    assert found.operations == 10 * 128 * 128


def test_cells_stuck_at_any_level_are_diagnosed_with_that_level():
    geometry = CellGeometry(arrays=3, rows=16, columns=16, levels=4)
    truth = sample_by_rate(geometry, 0.05, mix=FaultMix(stuck_at=1), rng=rng())
    for test in (march_test("March C-"), eulerian_march(4)):
        found = march_chip(truth, test, rng=rng(1))
        assert truth.as_stuck_levels().compare(found.fault_map).exact


def test_soft_faults_are_overwritten_by_the_test():
    geometry = CellGeometry(arrays=1, rows=16, columns=16)
    truth = sample_by_rate(geometry, 0.05, mix=FaultMix(flip=1), rng=rng())
    assert len(march_chip(truth, march_test("March C-"), rng=rng()).fault_map) == 0


def test_coupling_faults_show_up_as_other_cells():
    geometry = CellGeometry(arrays=2, rows=4, columns=4, levels=2)
    fault = PlacedFault(primitive=parse_primitive("<0w1;0/1/->"), victim=5, aggressor=4)
    found = march_chip(FaultMap.of(geometry), march_test("March C-"), rng=rng(), placed={1: [fault]})
    assert found.other_cells.tolist() == [16 + 5]
    assert len(found.fault_map) == 0
    with pytest.raises(InputError, match="array"):
        march_chip(FaultMap.of(geometry), march_test("March C-"), rng=rng(), placed={2: [fault]})
