"""Networks with triplicated channels, run through their voters."""

from itertools import combinations

import numpy as np
import pytest

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.replication import ReplicationPlan, replication_front
from accel_models.finn.voting import voted_classes, voted_scores
from tests.helpers.finn_networks import random_network, small_network
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFault, PeFaultKind

CHANNEL = PeFaultKind.channel


@pytest.fixture(scope="module", params=[(1, 1), (2, 2)], ids=["W1A1", "W2A2"])
def design(request):
    return FinnConfig().program(small_network(np.random.default_rng(1), *request.param))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).integers(0, 256, (5, 8, 8, 3), np.uint8)


def test_a_fault_in_one_copy_of_a_triplicated_channel_is_outvoted(design, images):
    healthy = design.scores(images)
    for fault in design.fault_list([CHANNEL]):
        plan = ReplicationPlan(frozenset({(fault.layer, fault.unit)}))
        for copy in range(3):
            np.testing.assert_array_equal(voted_scores(design, plan, [(fault, copy)], images), healthy)


def test_a_fault_in_a_channel_that_is_not_triplicated_does_what_it_does(design, images):
    changed = 0
    for fault in design.fault_list([CHANNEL]):
        others = ReplicationPlan(frozenset({(m, c) for m in range(3) for c in range(8) if c != fault.unit}))
        found = design.inject([fault]).scores(images)
        np.testing.assert_array_equal(voted_scores(design, others, [(fault, 0)], images), found)
        changed += not np.array_equal(found, design.scores(images))
    assert changed > 10


@pytest.mark.parametrize(
    "kind", [PeFaultKind.pe, PeFaultKind.weight, PeFaultKind.threshold, PeFaultKind.lane]
)
def test_any_fault_of_covered_rows_is_outvoted(design, images, kind):
    rng = np.random.default_rng(4)
    every = ReplicationPlan(frozenset((m, c) for m in range(3) for c in range(design.network.layers[m].rows)))
    for fault in design.fault_list([kind], layers=[0, 1, 2]).sample(12, rng):
        assert every.covers(design, fault)
        found = voted_scores(design, every, [(fault, int(rng.integers(3)))], images)
        np.testing.assert_array_equal(found, design.scores(images))


def test_a_pe_with_one_row_outside_the_plan_spoils_that_row(design, images):
    """PE 1 of layer 0 serves rows 1 and 5; the voters save row 1 only."""
    value = design.geometry.layers[0].values[0]
    pe = PeFault(kind=PeFaultKind.pe, layer=0, unit=1, value=value)
    row = PeFault(kind=CHANNEL, layer=0, unit=5, value=value)
    plan = ReplicationPlan(frozenset({(0, 1)}))
    assert not plan.covers(design, pe)
    expected = design.inject([row]).scores(images)
    np.testing.assert_array_equal(voted_scores(design, plan, [(pe, 0)], images), expected)


def test_the_same_fault_in_two_copies_wins_the_vote(design, images):
    plan, fault = ReplicationPlan(frozenset({(0, 2)})), PeFault(kind=CHANNEL, layer=0, unit=2, value=-1)
    faulty = design.inject([fault]).classify(images)
    for pair in combinations(range(3), 2):
        found = voted_classes(design, plan, [(fault, copy) for copy in pair], images)
        np.testing.assert_array_equal(found, faulty)


def test_a_last_layer_with_thresholds_is_voted_too():
    rng = np.random.default_rng(5)
    design, images = (
        FinnConfig().program(random_network("lfcW1A1", rng)),
        rng.integers(0, 256, (3, 28, 28, 1), np.uint8),
    )
    fault = PeFault(kind=CHANNEL, layer=3, unit=9, value=1)
    plan = ReplicationPlan(frozenset({(3, 9)}))
    np.testing.assert_array_equal(voted_classes(design, plan, [(fault, 2)], images), design.classify(images))
    nothing = ReplicationPlan(frozenset())
    assert (voted_classes(design, nothing, [(fault, 0)], images) == 9).all()


def test_the_worst_case_of_a_plan_is_measured_through_its_voters(design, images):
    """The curve's promise, kept by running every single fault of every copy through the voters."""
    labels = design.classify(images)
    results = simulate_faults(design, design.fault_list([CHANNEL]), images, labels)
    curve = replication_front(design, results)
    k = len(curve.table) // 3
    plan, worst = ReplicationPlan.most_critical(curve.table, k), len(images)
    for fault in results.faults:
        found = voted_classes(design, plan, [(fault, 0)], images)
        worst = min(worst, int((found == labels).sum()))
    assert worst == curve.hits[k]


def test_faults_that_no_copy_holds_are_refused(design, images):
    channel = PeFault(kind=CHANNEL, layer=0, unit=2, value=-1)
    pixel = PeFault(kind=PeFaultKind.pixel, layer=0, unit=0, value=-1)
    plan = ReplicationPlan(frozenset({(0, 1)}))
    with pytest.raises(InputError, match="copy 0"):
        voted_scores(design, plan, [(channel, 1)], images)
    with pytest.raises(InputError, match="a permanent fault of a layer's channels"):
        voted_scores(design, plan, [(pixel, 0)], images)
    with pytest.raises(InputError, match=r"in 0\.\.2"):
        voted_scores(design, plan, [(channel, 3)], images)
    with pytest.raises(InputError, match="a layer with thresholds"):
        voted_scores(design, ReplicationPlan(frozenset({(3, 0)})), [], images)
    with pytest.raises(InputError, match="no faults of its own"):
        voted_scores(design.inject([channel]), plan, [], images)
    loopback = FinnConfig(loopback=(2, 2)).program(design.network)
    shared = PeFault(kind=PeFaultKind.pe, layer=-1, unit=0, value=-1)
    assert not plan.covers(loopback, shared)
    with pytest.raises(InputError, match="a permanent fault of a layer's channels"):
        voted_scores(loopback, plan, [(shared, 0)], images)
