"""Cost and worst case with the k most critical places protected."""

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from accel_models.finn.criticality import channel_criticality
from accel_models.finn.protection import ProtectionCurve, check_places, replicated_luts, worst_case_hits
from accel_models.finn.replication import replication_front
from accel_models.finn.resources import design_resources, replication_cost
from tests.helpers.finn_networks import small_network
from tests.helpers.finn_results import results_of
from xbarsim.errors import InputError


@pytest.fixture(scope="module", params=[(1, 1), (2, 2)], ids=["W1A1", "W2A2"])
def design(request):
    return FinnConfig().program(small_network(np.random.default_rng(1), *request.param))


def test_worst_case_is_the_worst_left_or_the_baseline():
    table = channel_criticality(results_of([(0, 0, 1, 70, 0), (0, 1, 1, 95, 0), (1, 0, 1, 80, 0)]))
    assert worst_case_hits(table).tolist() == [70, 80, 90, 90]


def test_channels_of_another_design_are_refused(design):
    with pytest.raises(InputError, match="layer 0, unit 8"):
        replication_front(design, results_of([(0, 8, 1, 70, 0)]))


def test_a_curve_is_relative_to_the_accelerator_as_it_is():
    table = channel_criticality(results_of([(0, 0, 1, 70, 0), (0, 1, 1, 80, 0), (1, 0, 1, 80, 0)]))
    curve = ProtectionCurve(table=table, unit="LUT", price=np.array([200, 250, 300, 310]))
    assert curve.cost.tolist() == [1, 1.25, 1.5, 1.55]
    assert curve.hits.tolist() == [70, 80, 80, 90]
    np.testing.assert_allclose(curve.error_percent, [30, 20, 20, 10])
    assert curve.front.tolist() == [0, 1, 3]  # two protected cost more than one, and save no image


def test_luts_grow_with_the_places_of_each_layer(design):
    table = channel_criticality(results_of([(0, 0, 1, 60, 0), (1, 4, 1, 62, 0), (0, 1, 1, 64, 0)]))
    layers, base = design.network.layers, design_resources(design.network).luts
    first, second = (replication_cost(layers[0], 2 * count).luts for count in (1, 2))
    other = replication_cost(layers[1], 3).luts
    found = replicated_luts(design.network, table, [2, 3, 1, 1])
    assert found.tolist() == [base, base + first, base + first + other, base + second + other]


def test_places_are_units_of_the_layers():
    table = channel_criticality(results_of([(1, 2, 1, 70, 0)]))
    check_places(table, [1, 3])
    for units in ([1, 2], [5]):
        with pytest.raises(InputError, match="results: expected places of the design's layers, got layer 1"):
            check_places(table, units)
