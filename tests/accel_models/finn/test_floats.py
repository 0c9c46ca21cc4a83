"""Floats and the bytes that stand for them: of data sets, of boards and QONNX files, of graphs."""

import dataclasses

import numpy as np
import pytest

from accel_models.finn.board import read_board, write_board
from accel_models.finn.floats import FloatPixels
from accel_models.finn.from_graph import from_graph, image_pixels
from accel_models.finn.network import FinnNetwork
from networks.datasets import Dataset, pixels_of
from tests.contracts.finn_chips import flat_graph, image_graph
from tests.helpers.finn_networks import random_network, small_network
from xbarsim.errors import InputError


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.5, 0.5), (-3, 7), (0, 255)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_are_those_of_the_data_sets(low, high, dtype):
    images = np.random.default_rng(0).uniform(low, high, (9, 3, 5, 4)).astype(dtype)
    data = Dataset(
        name="",
        split="test",
        images=images,
        labels=np.zeros(9, np.int64),
        value_range=(low, high),
        source="",
    )
    found = FloatPixels(low=low, high=high).pixels(images)
    np.testing.assert_array_equal(found.transpose(0, 2, 3, 1), pixels_of(data), strict=True)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.5, 0.5), (-3, 7)])
def test_every_byte_comes_back(low, high):
    pixel = np.arange(256)
    assert (FloatPixels(low=low, high=high).pixels(low + pixel * (high - low) / 255) == pixel).all()


def test_half_a_step_beyond_an_end_is_rounding_and_more_is_another_range():
    floats, half = FloatPixels(low=-1, high=1), 1 / 255
    assert floats.pixels(np.array([-1 - 0.99 * half, 1 + 0.99 * half])).tolist() == [0, 255]
    for outside in (-1 - 1.1 * half, 1 + 1.1 * half, 1e300):
        with pytest.raises(InputError, match=r"inputs: expected numbers in -1..1, got .*; say the range"):
            floats.pixels(np.array([0.0, outside]))


@pytest.mark.parametrize(("low", "high"), [(1, 0), (0, 0), (np.nan, 1), (0, np.inf), ("0", 1)])
def test_what_is_no_range_is_refused(low, high):
    with pytest.raises(InputError, match="FloatPixels"):
        FloatPixels(low=low, high=high)


def test_board_takes_another_range(tmp_path):
    network = random_network("lfcW1A1", np.random.default_rng(0))
    write_board(network, tmp_path)
    assert read_board(tmp_path, "lfcW1A1").floats == network.floats == FloatPixels(low=0, high=1)
    assert read_board(tmp_path, "lfcW1A1").first_layer_interval == 2
    other = read_board(tmp_path, "lfcW1A1", value_range=(-1, 1))
    assert other.floats == FloatPixels(low=-1, high=1)
    assert (other.to_pixels(np.zeros((1, 1, 28, 28))) == 128).all()


@pytest.mark.filterwarnings("ignore::xbarsim.graph.saturation.SaturationWarning")  # values saturate here
@pytest.mark.parametrize("make", [image_graph, flat_graph])
def test_networks_of_graphs_take_the_graphs_floats(make):
    rng = np.random.default_rng(1)
    graph = make(rng)
    network, images = from_graph(graph), rng.normal(size=(7, *graph.input_shape))
    assert network.input_shape == graph.input_shape
    pixels = network.to_pixels(images)
    np.testing.assert_array_equal(pixels, image_pixels(graph, images), strict=True)
    codes = network.pixels.codes[pixels].astype(int) + network.pixels.stream.low
    values = graph.quantize_input(images)
    assert (codes.transpose(0, 3, 1, 2).reshape(values.shape) == values).all()
    assert (network.folded([(1, 1)] * len(network.layers)).to_pixels(images) == pixels).all()


def test_images_are_no_flat_inputs():
    network = small_network(np.random.default_rng(0))
    assert isinstance(network, FinnNetwork) and network.input_shape == (3, 8, 8)
    with pytest.raises(InputError, match="flat inputs of shape"):
        dataclasses.replace(network, flat=True)
