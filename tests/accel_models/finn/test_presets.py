"""The shipped networks: their layers, foldings and data."""

from itertools import pairwise

import numpy as np
import pytest

from accel_models.finn.presets import preset, presets
from networks.datasets import load_dataset, pixels_of
from tests.helpers.finn_networks import random_network
from xbarsim.errors import InputError


@pytest.mark.parametrize("name", ["cnvW1A1", "lfcW1A1"])
def test_presets_know_their_data(name, data_folder):
    data = load_dataset(presets()[name].dataset, "test", limit=20)
    assert presets()[name].value_range == data.value_range
    network = random_network(name, np.random.default_rng(0))
    np.testing.assert_array_equal(network.to_pixels(data.images), pixels_of(data), strict=True)
    assert network.input_shape == data.images.shape[1:]


@pytest.mark.parametrize("board", presets().values(), ids=presets())
def test_layers_follow_on_one_another_and_foldings_divide_them(board):
    assert board.layers[0].input == board.pixels.stream
    for before, after in pairwise(board.layers):
        side = (before.shape[0] - before.kernel + 1) // before.pool
        assert after.shape in ((side, side, before.rows), (1, 1, side * side * before.rows))
        assert after.input == before.output
    for layer in board.layers:
        assert layer.rows % layer.pe == 0 and layer.columns % layer.simd == 0
    assert (board.layers[-1].output is None) == (board.head.kind == "first-maximum")


@pytest.mark.parametrize(
    ("name", "weights"), [("cnvW1A1", 1_570_496), ("cnvW2A2", 1_570_496), ("lfcW1A2", 3_014_656)]
)
def test_weights_by_hand(name, weights):
    """CNV: 27 x 64 + 9 (64 x 64 + 64 x 128 + 128 x 128 + 128 x 256 + 256 x 256) + fully connected ones."""
    assert sum(layer.rows * layer.columns for layer in preset(name).layers) == weights


def test_names_say_the_precision_and_others_are_refused():
    for name, board in presets().items():
        assert board.name == name
        assert name[-4:] == f"W{board.layers[1].weight_bits}A{board.layers[1].input.bits}"
    with pytest.raises(InputError, match="board network: expected one of cnvW1A1, cnvW1A2, cnvW2A2, lfcW1A1"):
        preset("cnvW4A4")
