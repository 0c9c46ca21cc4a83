"""What a March test read says which cells are stuck, and at what."""

import numpy as np
import pytest

from xbarsim.detection.march.algorithms import eulerian_march, march_test
from xbarsim.detection.march.diagnosis import diagnose
from xbarsim.detection.march.memory import MarchResult, PlacedFault, run_march
from xbarsim.detection.march.primitives import parse_primitive


def test_mismatching_cells_of_one_level_are_stuck_and_the_others_are_not():
    rng = np.random.default_rng(0)
    syndrome = rng.integers(0, 3, 500).astype(np.uint64)
    low, high = np.sort(rng.integers(0, 3, (2, 500)), axis=0)
    found = diagnose(MarchResult(syndrome=syndrome, lowest_read=low, highest_read=high, operations=0))
    stuck, others = {}, []
    for cell in range(500):
        if syndrome[cell] and low[cell] == high[cell]:
            stuck[cell] = int(low[cell])
        elif syndrome[cell]:
            others.append(cell)
    assert dict(zip(found.stuck_cells.tolist(), found.stuck_levels.tolist(), strict=True)) == stuck
    assert found.other_cells.tolist() == others
    assert stuck and others


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_stuck_cell_is_found_with_its_level(level):
    found = diagnose(run_march(eulerian_march(4), np.zeros(6, int), levels=4, stuck=([2], [level])))
    assert (found.stuck_cells.tolist(), found.stuck_levels.tolist()) == ([2], [level])
    assert not len(found.other_cells)


def test_a_cell_without_a_transition_is_called_stuck_and_a_coupled_one_is_not():
    test, zeros = march_test("March C-"), np.zeros(5, int)
    up = PlacedFault(primitive=parse_primitive("<0w1/0/->"), victim=3)
    coupled = PlacedFault(primitive=parse_primitive("<0w1;0/1/->"), victim=3, aggressor=2)
    assert diagnose(run_march(test, zeros, faults=[up])).stuck_cells.tolist() == [3]
    found = diagnose(run_march(test, zeros, faults=[coupled]))
    assert found.other_cells.tolist() == [3] and not len(found.stuck_cells)
