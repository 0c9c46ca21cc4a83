"""Selective replication: the voter, the exact front, the smallest plan."""

from itertools import combinations

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from accel_models.finn.criticality import channel_criticality
from accel_models.finn.protection import worst_case_hits
from accel_models.finn.replication import ReplicationPlan, disagreement, replication_front, vote
from accel_models.finn.resources import design_resources, replication_cost
from tests.helpers.finn_networks import small_network
from tests.helpers.finn_results import results_of
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFaultKind

CHANNEL = PeFaultKind.channel


@pytest.fixture(scope="module", params=[(1, 1), (2, 2)], ids=["W1A1", "W2A2"])
def design(request):
    return FinnConfig().program(small_network(np.random.default_rng(1), *request.param))


def synthetic(design, rng, few=7):
    """Random counts for some channels of a design."""
    places = [(m, int(c)) for m in range(3) for c in rng.choice(design.network.layers[m].rows, few // 3 + 1)]
    rows = [(m, c, v, int(rng.integers(60, 96)), 5) for m, c in dict.fromkeys(places) for v in (-1, 1)]
    return results_of(rows)


def test_vote_is_the_boards_rule_for_all_codes():
    copies = np.indices((4, 4, 4)).reshape(3, -1)
    for c0, c1, c2, out in zip(*copies, vote(*copies), strict=True):
        assert out == (c2 if c1 == c2 else c0)
        if len({c0, c1, c2}) < 3:
            assert [c0, c1, c2].count(out) >= 2
    np.testing.assert_array_equal(disagreement(*copies), [len(set(c)) > 1 for c in copies.T.tolist()])


def test_unrolled_cost_is_a_channels_macs(design):
    """Layer 0: 36 windows of 27; layer 2: one window of 48; the whole triplicated costs 3 - 2 last layer."""
    results = results_of([(0, 3, 1, 70, 0), (2, 5, 1, 80, 0)])
    curve, total = replication_front(design, results), sum(m.macs for m in design.network.layers)
    assert curve.unit == "MAC"
    assert curve.price.tolist() == [total, total + 2 * 36 * 27, total + 2 * (36 * 27 + 48)]
    np.testing.assert_allclose(curve.error_percent, [30, 20, 10])
    every = [(m, c, 1, 50, 0) for m in range(3) for c in range(design.network.layers[m].rows)]
    last = design.network.layers[-1].macs
    assert replication_front(design, results_of(every)).price[-1] == 3 * total - 2 * last


def test_folded_cost_is_that_of_the_layers(design):
    rows = [(0, 0, 1, 60, 0), (0, 1, 1, 61, 0), (1, 4, 1, 62, 0)]
    curve, layers = replication_front(design, results_of(rows), cost="folded"), design.network.layers
    base = design_resources(design.network).luts
    two, one = replication_cost(layers[0], 2).luts, replication_cost(layers[1], 1).luts
    first = replication_cost(layers[0], 1).luts
    assert curve.price.tolist() == [base, base + first, base + two, base + two + one]
    assert curve.cost[0] == 1


@pytest.mark.parametrize("cost", ["unrolled", "folded"])
@pytest.mark.parametrize("seed", range(5))
def test_front_beats_every_set_of_channels(design, cost, seed):
    results = synthetic(design, np.random.default_rng(seed))
    curve = replication_front(design, results, cost=cost)
    table, layers = curve.table, design.network.layers
    front = [(int(curve.price[k]), int(curve.hits[k])) for k in curve.front]
    for size in range(len(table) + 1):
        for kept in combinations(range(len(table)), size):
            left = np.delete(table.worst_hits, list(kept))
            hits = min([*left.tolist(), results.baseline_hits])
            count = np.bincount(table.layer[list(kept)], minlength=4)
            if cost == "folded":
                added = sum(replication_cost(m, int(c)).luts for m, c in zip(layers, count, strict=True))
            else:
                added = sum(2 * int(c) * m.macs // m.rows for m, c in zip(layers, count, strict=True))
            assert any(p <= curve.price[0] + added and h >= hits for p, h in front)


def test_plan_for_an_accuracy_is_the_smallest(design):
    results = synthetic(design, np.random.default_rng(8))
    table = channel_criticality(results)
    for hits in range(55, 91):
        plan = ReplicationPlan.for_accuracy(table, hits / 100)
        k = len(plan.channels)
        assert plan == ReplicationPlan.most_critical(table, k)
        assert worst_case_hits(table)[k] >= hits and (k == 0 or worst_case_hits(table)[k - 1] < hits)
    with pytest.raises(InputError, match="at most the fault-free"):
        ReplicationPlan.for_accuracy(table, 0.91)
