"""Places of faults: each layer's own units, or those of an array that all layers share."""

import numpy as np

from accel_models.finn.geometry import SharedArray, finn_geometry
from tests.helpers.finn_networks import small_network


def test_layers_of_a_dataflow_have_their_own_folding():
    network = small_network(np.random.default_rng(0))
    found = finn_geometry(network)
    assert found.shared is None
    assert [(g.pe, g.simd) for g in found.layers] == [(m.pe, m.simd) for m in network.layers]
    assert [(g.rows, g.columns) for g in found.layers] == [(m.rows, m.columns) for m in network.layers]
    assert [g.values for g in found.layers] == [(-1, 1)] * 3 + [()]
    assert [g.pixels for g in found.layers] == [9, 4, 1, 0]


def test_shared_array_offers_what_every_layer_has():
    network = small_network(np.random.default_rng(0))
    found = finn_geometry(network, SharedArray(pe=5, simd=7))
    assert {(g.pe, g.simd) for g in found.layers} == {(5, 7)}
    shared = found.shared
    assert (shared.pe, shared.simd, shared.rows, shared.columns) == (5, 7, 16, 48)
    assert shared.values == (-1, 1) and shared.pixels == 0
    assert set(shared.products) == set.intersection(*(set(g.products) for g in found.layers))
    assert shared.accumulator_bits == min(m.accumulator_bits for m in network.layers)
