"""LUT and BRAM estimates: FINN-R's formulas worked by hand, and what replication costs."""

from dataclasses import replace

import numpy as np
import pytest

from accel_models.finn.resources import (
    PYNQ_Z1,
    Resources,
    _bram18,
    design_resources,
    layer_resources,
    pe_cost,
    replication_cost,
)
from tests.helpers.finn_networks import random_network, small_network
from xbarsim.errors import InputError


@pytest.fixture(scope="module")
def board():
    return random_network("cnvW1A1", np.random.default_rng(0))


def test_luts_of_a_layer_by_hand(board):
    """cnvW1A1's layer 2: SIMD 32, PE 16, 1 + 1 bits, 16-bit accumulators, 8 rows and 144 words a PE."""
    layer = board.layers[2]
    mult, tree, acc, thr, cmp = 32 * 1 * 2, 2 * 63, 16, 16 * 1, 16
    assert pe_cost(layer) == pytest.approx(1.1 * (mult + tree + acc + thr + cmp))
    assert layer_resources(layer).luts == np.ceil(300 + 1.1 * 16 * 238)
    in_luts = layer_resources(layer, weights_in="LUTRAM")
    assert in_luts == Resources(luts=int(np.ceil(300 + 1.1 * 16 * 238)) + 16 * 32 * 3, bram18=0)
    assert pe_cost(layer, weights_in="LUTRAM") == pytest.approx(1.1 * 238 + 32 * 3)


def test_a_layer_without_thresholds_pays_for_none(board):
    assert pe_cost(board.layers[8]) == pytest.approx(1.1 * (1 * 1 * 2 + 2 * 1 + 16))


def test_two_bit_activations_have_three_thresholds_in_the_formula():
    layer = random_network("cnvW2A2", np.random.default_rng(0)).layers[2]
    mult, tree = 16 * 1 * 4, 4 * 31
    assert pe_cost(layer) == pytest.approx(1.1 * (mult + tree + 16 + 3 * 16 + 3 * 16))


def test_wide_multipliers_take_more_than_one_lut_a_bit():
    """8 + 8 bits: 2 ceil(16 / 6) - 1 = 5 LUTs for each of 16 bits."""
    layer = small_network(np.random.default_rng(0), 8, 8).layers[3]
    assert pe_cost(layer) == pytest.approx(1.1 * (4 * 5 * 16 + 16 * 7 + layer.accumulator_bits))


@pytest.mark.parametrize(
    ("width", "depth", "blocks"),
    [
        (1, 16384, 1),
        (1, 16385, 2),
        (2, 8193, 2),
        (4, 4096, 1),
        (9, 2049, 2),
        (18, 1024, 1),
        (36, 512, 1),
        (36, 513, 2),
        (37, 512, 2),
        (1024, 144, 29),
        (32, 18432, 36),
    ],
)
def test_bram_blocks_by_width_and_depth(width, depth, blocks):
    assert _bram18(width, depth) == blocks


def test_weights_of_a_board_layer_in_bram(board):
    """Layer 5: 32 bits wide, 18,432 words deep."""
    assert layer_resources(board.layers[5]).bram18 == 18 * 2


def test_bram_holds_all_weights(board):
    for layer in board.layers:
        assert layer_resources(layer).bram18 * 18 * 1024 >= layer.weights.size * layer.weight_bits


def test_a_design_is_the_sum_of_its_layers(board):
    parts = [layer_resources(layer) for layer in board.layers]
    whole = design_resources(board)
    assert (whole.luts, whole.bram18) == (sum(p.luts for p in parts), sum(p.bram18 for p in parts))


def test_replicating_no_channel_costs_nothing(board):
    for memory in ("BRAM", "LUTRAM"):
        assert replication_cost(board.layers[0], 0, weights_in=memory) == Resources(luts=0, bram18=0)


def test_triplicating_every_channel_adds_twice_the_pes_and_a_voter_each(board):
    layer = board.layers[2]
    added = replication_cost(layer, layer.rows, weights_in="LUTRAM")
    pes = layer_resources(layer, weights_in="LUTRAM").luts - 300
    assert added.luts == pytest.approx(2 * pes + layer.pe, abs=2)


def test_replication_costs_more_the_more_channels(board):
    layer = board.layers[3]
    costs = [replication_cost(layer, n).luts for n in range(0, layer.rows + 1, 8)]
    assert costs == sorted(costs) and costs[-1] > costs[1]
    assert replication_cost(layer, 8, copies=2).luts < replication_cost(layer, 8).luts


def test_unrolled_layer_pays_for_each_channel_alone(board):
    layer = replace(board.layers[0], pe=64)
    assert replication_cost(layer, 1).luts == np.ceil(round(2 * pe_cost(layer), 6)) + 1


def test_voters_of_wider_codes_cost_a_comparison_and_a_multiplexer():
    layer = replace(small_network(np.random.default_rng(0), 1, 4).layers[1], pe=12)
    assert replication_cost(layer, 1).luts == np.ceil(round(2 * pe_cost(layer), 6)) + 2 + 4


def test_published_designs_have_the_presets_names():
    assert sorted(PYNQ_Z1) == ["cnvW1A1", "cnvW1A2", "cnvW2A2", "lfcW1A1", "lfcW1A2"]


def test_mistakes_are_named(board):
    layer = board.layers[0]
    with pytest.raises(
        InputError, match=r"layer 0: replicated channels: expected an integer in 0\.\.64, got 65"
    ):
        replication_cost(layer, 65)
    for function in (pe_cost, layer_resources):
        with pytest.raises(InputError, match="weights_in: expected one of BRAM, LUTRAM, got 'URAM'"):
            function(layer, weights_in="URAM")
    with pytest.raises(InputError, match=r"copies: expected an integer in 2\.\.9"):
        replication_cost(layer, 1, copies=1)
