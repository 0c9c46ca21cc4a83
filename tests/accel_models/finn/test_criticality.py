"""Rankings from counts: what is worst, in which order, and what FAT's Table I would print."""

import numpy as np
import pytest

from accel_models.finn.concurrent import FaultResults, simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.criticality import channel_criticality, layer_extremes, pe_criticality
from tests.helpers.finn_networks import small_network
from tests.helpers.finn_results import results_of
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFaultKind

ROWS = [
    (1, 0, 1, 85, 9),
    (1, 0, -1, 80, 20),
    (0, 1, -1, 80, 30),
    (0, 1, 1, 88, 40),
    (0, 0, -1, 91, 2),
    (0, 0, 1, 91, 3),
    (0, 2, 1, 70, 31),
    (0, 2, -1, 89, 1),
]


def test_channels_come_worst_first_with_ties_by_layer_and_channel():
    table = channel_criticality(results_of(ROWS))
    assert list(zip(table.layer.tolist(), table.unit.tolist(), strict=True)) == [
        (0, 2),
        (0, 1),
        (1, 0),
        (0, 0),
    ]
    assert table.worst_hits.tolist() == [70, 80, 80, 91]
    assert table.worst_value.tolist() == [1, -1, -1, -1]
    assert table.most_flips.tolist() == [31, 40, 20, 3]
    np.testing.assert_allclose(table.accuracy, [0.7, 0.8, 0.8, 0.91])
    np.testing.assert_allclose(table.drop, [0.2, 0.1, 0.1, -0.01])
    np.testing.assert_allclose(table.flip_rate, [0.31, 0.4, 0.2, 0.03])


def test_order_of_the_fault_list_does_not_matter():
    straight, back = (channel_criticality(results_of(rows)) for rows in (ROWS, ROWS[::-1]))
    for name in ("layer", "unit", "worst_hits", "worst_value", "most_flips"):
        np.testing.assert_array_equal(getattr(straight, name), getattr(back, name))


def test_extremes_of_each_layer_and_value():
    table = layer_extremes(results_of(ROWS))
    assert table.layer.tolist() == [0, 0, 1, 1] and table.value.tolist() == [-1, 1, -1, 1]
    assert table.places.tolist() == [3, 3, 1, 1]
    assert table.least_hits.tolist() == [80, 70, 80, 85] and table.most_hits.tolist() == [91, 91, 80, 85]
    np.testing.assert_allclose(table.lowest, [0.8, 0.7, 0.8, 0.85])
    np.testing.assert_allclose(table.highest, [0.91, 0.91, 0.8, 0.85])


def test_pes_are_ranked_alone():
    pes = results_of(ROWS, kind=PeFaultKind.pe)
    assert pe_criticality(pes).worst_hits.tolist() == [70, 80, 80, 91]
    assert layer_extremes(pes, kind=PeFaultKind.pe).places.sum() == len(ROWS)
    with pytest.raises(InputError, match="permanent faults of kind channel"):
        channel_criticality(pes)


def test_transient_faults_are_not_ranked():
    results = results_of(ROWS)
    struck = FaultResults(**{**vars(results), "faults": results.faults.struck(np.zeros(len(ROWS), np.int64))})
    with pytest.raises(InputError, match="got none"):
        layer_extremes(struck)


def test_ranking_of_a_simulated_design_is_what_a_loop_finds():
    rng = np.random.default_rng(3)
    design = FinnConfig().program(small_network(rng, 2, 2))
    images, labels = rng.integers(0, 256, (12, 8, 8, 3), np.uint8), rng.integers(0, 10, 12)
    results = simulate_faults(design, design.fault_list([PeFaultKind.channel]), images, labels)
    table = channel_criticality(results)
    worst = {}
    for fault, hits in zip(results.faults, results.hits.tolist(), strict=True):
        place = (fault.layer, fault.unit)
        worst[place] = min(hits, worst.get(place, hits))
    expected = sorted((hits, *place) for place, hits in worst.items())
    assert list(zip(table.worst_hits, table.layer, table.unit, strict=True)) == expected
