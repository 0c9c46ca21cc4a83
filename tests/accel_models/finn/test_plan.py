"""Layers as the arrays of the engine: packed words, raw sums, thresholds on them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_models.finn.plan import LayerPlan, aligned, blocks_of, pack, unpack
from tests.helpers.finn_networks import small_network
from tests.twins.finn import activation, run_layer


@given(st.integers(0, 2**32 - 1), st.integers(1, 130), st.integers(1, 8))
def test_packing_is_undone_by_unpacking(seed, channels, bits):
    codes = np.random.default_rng(seed).integers(0, 2**bits, (3, 4, channels)).astype(np.uint8)
    words = pack(codes, bits)
    assert words.shape == (3, 4 * bits * -(-channels // 64))
    np.testing.assert_array_equal(unpack(words, bits, channels), codes)


def test_a_code_is_spread_over_the_planes_of_its_pixel():
    """Two pixels of 65 channels, two bits: words of plane 0, then of plane 1, two words each."""
    codes = np.zeros((1, 2, 65), np.uint8)
    codes[0, 0, 3], codes[0, 1, 64] = 2, 3
    assert pack(codes, 2).tolist() == [[0, 0, 1 << 3, 0, 0, 1, 0, 1]]
    assert [blocks_of(channels) for channels in (1, 64, 65, 128)] == [1, 1, 2, 2]


@pytest.fixture(scope="module", params=[(1, 1), (1, 2), (3, 3)], ids=["W1A1", "W1A2", "W3A3"])
def network(request):
    return small_network(np.random.default_rng(3), *request.param)


def codes_into(layer, rng):
    return rng.integers(0, layer.input.top + 1, (3, *layer.shape))


def test_layers_alone_give_the_twins_sums_and_codes(network):
    for layer in network.layers[1:]:
        plan, codes = LayerPlan(layer), codes_into(layer, np.random.default_rng(4))
        words = pack(codes.reshape(3, -1, layer.shape[2]).astype(np.uint8), layer.input.bits)
        out, raw = plan.run(words, sums=True)
        sums, expected = run_layer(layer, codes)
        np.testing.assert_array_equal(plan.accumulators(raw), sums)
        if expected is not None:
            found = unpack(out, plan.planes, layer.rows)
            np.testing.assert_array_equal(found, expected.reshape(3, -1, layer.rows))
            without, nothing = plan.run(words)
            assert (without == out).all() and nothing.shape == (0, *raw.shape[1:])


def test_integers_enter_a_first_layer_as_they_are(network):
    layer = network.layers[0]
    plan, codes = LayerPlan(layer, integers=True), codes_into(layer, np.random.default_rng(5))
    values = (codes + layer.input.low).reshape(3, -1).astype(plan.dtype)
    assert values.shape[1] == plan.input_words
    _, raw = plan.run(values, sums=True)
    np.testing.assert_array_equal(plan.accumulators(raw), run_layer(layer, codes)[0])
    assert np.abs(raw).max() <= plan.bound


@pytest.mark.parametrize("inclusive", [False, True])
def test_raw_thresholds_are_passed_when_the_accumulator_passes(inclusive):
    layer = small_network(np.random.default_rng(6), 2, 2, inclusive=inclusive).layers[1]
    plan = LayerPlan(layer)
    for row in range(layer.rows):
        for raw in range(-plan.bound, plan.bound + 1, 3):
            value = plan.gain * raw + int(plan.offset[row])
            assert (raw > plan.raw_thresholds[:, row]).sum() == activation(layer, row, value)


def test_words_of_a_layer_by_hand(network):
    """8 x 8 x 3 images, 3 x 3 windows and a pool; 8 rows fill one word of 64."""
    first, second = (LayerPlan(layer) for layer in network.layers[:2])
    assert first.lanes == 64 and first.input_words == 64 * first.layer.input.bits
    assert LayerPlan(first.layer, integers=True).input_words == 64 * 3
    assert first.output_words == second.input_words == 9 * second.layer.input.bits
    assert LayerPlan(network.layers[-1]).output_words == 0
    rows, columns = first.corners  # windows that are pooled together stand together
    assert rows[:5].tolist() == [0, 0, 1, 1, 0] and columns[:5].tolist() == [0, 1, 0, 1, 2]


def test_aligned_copies_begin_at_a_cache_line():
    for size in (1, 63, 200):
        values = np.arange(size, dtype=np.int16)
        copy = aligned(values)
        assert copy.ctypes.data % 64 == 0 and (copy == values).all()
        copy[0] = 9
        assert values[0] == 0
