"""Schedules: which rows share a PE, that the network computes the same, and what protecting its PEs buys."""

from itertools import pairwise

import numpy as np
import pytest

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.criticality import channel_criticality
from accel_models.finn.resources import design_resources, replication_cost
from accel_models.finn.scheduling import (
    POLICIES,
    compare_schedules,
    joint_front,
    permute_rows,
    protect_pes,
    row_scores,
    schedule,
    schedule_network,
)
from tests.helpers.finn_networks import random_network, small_network
from tests.helpers.finn_results import results_of
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFault, PeFaultKind


def groups(layer, order):
    """The old rows that each PE serves."""
    return [set(order[p :: layer.pe].tolist()) for p in range(layer.pe)]


def test_gather_puts_the_most_critical_rows_on_one_pe():
    layer = small_network(np.random.default_rng(0)).layers[0]  # 8 rows, 4 PEs
    order = schedule(layer, [0, 9, 1, 8, 7, 2, 3, 6], "gather")
    assert groups(layer, order) == [{1, 3}, {4, 7}, {6, 5}, {2, 0}]


def test_spread_deals_rows_back_and_forth():
    layer = small_network(np.random.default_rng(0)).layers[0]
    order = schedule(layer, [7, 6, 5, 4, 3, 2, 1, 0], "spread")
    assert groups(layer, order) == [{0, 7}, {1, 6}, {2, 5}, {3, 4}]
    assert schedule(layer, np.zeros(8), "natural").tolist() == list(range(8))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("place", range(4))
def test_every_schedule_is_a_permutation(policy, place):
    rng = np.random.default_rng(place)
    layer = small_network(rng).layers[place]
    order = schedule(layer, rng.integers(0, 4, layer.rows), policy)
    assert sorted(order.tolist()) == list(range(layer.rows))


@pytest.mark.parametrize(
    ("weight_bits", "activation_bits", "inclusive"),
    [(1, 1, False), (1, 2, True), (2, 2, False), (3, 3, False)],
)
def test_permuted_rows_compute_the_same_scores(weight_bits, activation_bits, inclusive):
    """Convolution and pool to convolution, convolution to fully connected, fully connected twice."""
    rng = np.random.default_rng(weight_bits)
    network = small_network(rng, weight_bits, activation_bits, inclusive=inclusive)
    images = rng.integers(0, 256, (9, 8, 8, 3), np.uint8)
    expected, every = FinnConfig().program(network).scores(images), network
    for place in range(3):
        order = rng.permutation(network.layers[place].rows)
        moved, every = permute_rows(network, place, order), permute_rows(every, place, order)
        np.testing.assert_array_equal(FinnConfig().program(moved).scores(images), expected)
    np.testing.assert_array_equal(FinnConfig().program(every).scores(images), expected)


@pytest.mark.parametrize("name", ["lfcW1A1", "cnvW1A1"])
def test_permuted_boards_compute_the_same_scores(name):
    rng = np.random.default_rng(7)
    network = random_network(name, rng)
    images, moved = rng.integers(0, 256, (2, *network.image), np.uint8), network
    for place in range(len(network.layers) - 1):
        moved = permute_rows(moved, place, rng.permutation(network.layers[place].rows))
    expected = FinnConfig().program(network).scores(images)
    np.testing.assert_array_equal(FinnConfig().program(moved).scores(images), expected)


def test_a_channel_fault_moves_with_its_row():
    rng = np.random.default_rng(11)
    network = small_network(rng, 2, 2)
    order, images = rng.permutation(12), rng.integers(0, 256, (4, 8, 8, 3), np.uint8)
    design, moved = FinnConfig().program(network), FinnConfig().program(permute_rows(network, 1, order))
    for place, row in enumerate(order.tolist()):
        old = PeFault(kind=PeFaultKind.channel, layer=1, unit=row, value=1)
        new = PeFault(kind=PeFaultKind.channel, layer=1, unit=place, value=1)
        found = moved.inject([new]).scores(images)
        np.testing.assert_array_equal(found, design.inject([old]).scores(images))


def test_what_is_no_permutation_of_rows_is_refused():
    network = small_network(np.random.default_rng(0))
    with pytest.raises(InputError, match="the last layer's rows are the classes"):
        permute_rows(network, 3, np.arange(12))
    for order in ([0] * 8, list(range(7)), np.arange(8).reshape(2, 4)):
        with pytest.raises(InputError, match=r"every row of 0\.\.7 once"):
            permute_rows(network, 0, order)
    with pytest.raises(InputError, match="scores"):
        schedule(network.layers[0], [1, 2], "gather")
    with pytest.raises(InputError, match="gather, natural, spread"):
        schedule(network.layers[0], np.zeros(8), "random")
    with pytest.raises(InputError, match="those of 3 layers"):
        schedule_network(network, [np.zeros(8)], "gather")


def test_scores_of_rows_are_their_losses():
    network = small_network(np.random.default_rng(0))
    table = channel_criticality(results_of([(0, 3, 1, 70, 0), (2, 1, 1, 95, 0)]))
    scores = row_scores(network, table)
    assert [len(s) for s in scores] == [8, 12, 16]
    assert scores[0][3] == pytest.approx(0.2) and scores[2][1] == pytest.approx(-0.05)
    assert sum(np.count_nonzero(s) for s in scores) == 2


def test_protected_pes_cost_two_more_and_a_voter_each():
    design = FinnConfig().program(small_network(np.random.default_rng(0)))
    rows = [(0, 1, 1, 60, 0), (1, 0, 1, 70, 0), (0, 3, 1, 80, 0)]
    curve, layers = protect_pes(design, results_of(rows, kind=PeFaultKind.pe)), design.network.layers
    base = design_resources(design.network).luts
    one, two = replication_cost(layers[0], 2).luts, replication_cost(layers[0], 4).luts
    other = replication_cost(layers[1], 4).luts
    assert curve.price.tolist() == [base, base + one, base + one + other, base + two + other]
    assert curve.hits.tolist() == [60, 70, 80, 90] and curve.unit == "LUT"
    with pytest.raises(InputError, match="layer 0, unit 4"):
        protect_pes(design, results_of([(0, 4, 1, 60, 0)], kind=PeFaultKind.pe))
    with pytest.raises(InputError, match="layer -1, unit 0"):
        protect_pes(design, results_of([(-1, 0, 1, 60, 0)], kind=PeFaultKind.pe))


def test_schedules_are_compared_on_one_front():
    rng = np.random.default_rng(13)
    design, images = FinnConfig().program(small_network(rng)), rng.integers(0, 256, (20, 8, 8, 3), np.uint8)
    labels = design.classify(images)
    channels = simulate_faults(design, design.fault_list([PeFaultKind.channel]), images, labels)
    curves = compare_schedules(design, channels, images, labels)
    assert list(curves) == list(POLICIES)
    natural = simulate_faults(design, design.fault_list([PeFaultKind.pe]), images, labels)
    np.testing.assert_array_equal(curves["natural"].hits, protect_pes(design, natural).hits)
    for curve in curves.values():
        assert curve.table.baseline_hits == len(images) and curve.error_percent[-1] == 0
        assert len(curve.table) == 9 and curve.price[-1] == curves["natural"].price[-1]
    front = joint_front(curves)
    assert front[0].protected == 0 and front[-1].error_percent == 0
    assert all(a.luts < b.luts and a.error_percent > b.error_percent for a, b in pairwise(front))
    for curve in curves.values():
        for price, error in zip(curve.price, curve.error_percent, strict=True):
            assert any(p.luts <= price and p.error_percent <= error for p in front)
    loopback = FinnConfig(loopback=(2, 2)).program(design.network)
    with pytest.raises(InputError, match="a shared array"):
        compare_schedules(loopback, channels, images, labels)
