"""March tests of memories with faults: open orders, coins, counted reads, and what is refused."""

import numpy as np
import pytest

from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.memory import PlacedFault, run_march
from xbarsim.detection.march.notation import parse_march
from xbarsim.detection.march.primitives import (
    parse_primitive,
    read_disturb,
    stuck_at,
    undefined_state,
)
from xbarsim.errors import InputError


def test_healthy_memory_raises_nothing_in_either_order():
    result = run_march(march_test("March SS"), np.random.default_rng(0).integers(0, 4, 100), levels=4)
    assert not result.detected


def test_open_order_reports_the_worse_of_both():
    """An idempotent coupling that only one order of a ⇕ element finds is not found for sure."""
    test = parse_march("|w0; |(r0,w1)")
    fault = [PlacedFault(primitive=parse_primitive("<0w1;0/1/->"), victim=2, aggressor=1)]
    found = {
        e: run_march(test, [0, 0, 0, 0], faults=fault, either=e).detected for e in ("up", "down", "worst")
    }
    assert found == {"up": True, "down": False, "worst": False}


def test_undefined_state_is_missed_with_the_probability_of_its_coins():
    """A read of an undefined state is random: k reads find it with probability 1 - 2**-k."""
    test = parse_march("^(w1,r1,r1,r1)")
    fault = [PlacedFault(primitive=undefined_state(1), victim=0)]
    patterns = [[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    found = [run_march(test, [0], faults=fault, coins=coins).detected for coins in patterns]
    assert sum(found) == 8 - 1


def test_read_disturb_needs_as_many_reads():
    fault = [PlacedFault(primitive=read_disturb(1, 3), victim=0)]
    assert not run_march(parse_march("^(w1,r1,r1,r1)"), [0], faults=fault).detected
    assert run_march(parse_march("^(w1,r1,r1,r1,r1)"), [0], faults=fault).detected


def test_state_given_is_not_changed():
    state = np.array([1, 0, 1])
    run_march(march_test("MATS+"), state)
    assert state.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "call",
    [
        {"faults": [PlacedFault(primitive=stuck_at(0), victim=4)]},
        {"faults": [PlacedFault(primitive=stuck_at(0), victim=-1)]},
        {"faults": [PlacedFault(primitive=stuck_at(0), victim=0, aggressor=1)]},
        {"faults": [PlacedFault(primitive=parse_primitive("<1;0/1/->"), victim=1)]},
        {"faults": [PlacedFault(primitive=parse_primitive("<1;0/1/->"), victim=1, aggressor=1)]},
        {"stuck": ([4], [0])},
        {"stuck": ([0], [2])},
        {"either": "sideways"},
        {"either": [True, False]},
        {"stuck": ([0, 1], [0])},
        {"stuck": ([0, 0], [0, 1])},
        {"stuck": ([0.5], [0])},
    ],
)
def test_faults_outside_the_memory_and_unknown_orders_are_refused(call):
    with pytest.raises(InputError):
        run_march(march_test("MATS+"), [0, 0, 0, 0], **call)


def test_levels_that_the_cells_do_not_have_are_refused():
    with pytest.raises(InputError, match=r"levels 0\.\.1"):
        run_march(march_test("MATS+"), [0, 2])
    with pytest.raises(InputError, match=r"levels 0\.\.1"):
        run_march(parse_march("^(w3,r3)"), [0, 1])
