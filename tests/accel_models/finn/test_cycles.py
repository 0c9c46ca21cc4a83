"""Cycles of layers and networks: by hand, and what holds for every folding."""

from dataclasses import replace

import numpy as np
import pytest

from accel_models.finn.cycles import design_cycles, layer_cycles
from accel_models.finn.layer import BIPOLAR, Mvtu
from accel_models.finn.network import FinnNetwork, PixelInput
from tests.helpers.finn_networks import random_network, small_network
from xbarsim.errors import InputError


@pytest.fixture(scope="module")
def small():
    return small_network(np.random.default_rng(0))


def convolution(*, shape=(6, 6, 4), rows=8, kernel=(3, 3), stride=(1, 1), pool=1, pe=1, simd=1):
    columns = kernel[0] * kernel[1] * shape[2]
    return Mvtu(
        name="conv",
        weights=np.ones((rows, columns), np.int8),
        weight_bits=1,
        thresholds=np.zeros((rows, 1), np.int64),
        input=BIPOLAR,
        output=BIPOLAR,
        shape=shape,
        kernel=kernel,
        stride=stride,
        pool=pool,
        pe=pe,
        simd=simd,
    )


def chain(*layers):
    """A network of bipolar layers and a last one without thresholds."""
    height, width, rows = layers[-1].output_shape
    last = Mvtu(
        name="last",
        weights=np.ones((2, height * width * rows), np.int8),
        weight_bits=1,
        thresholds=None,
        input=BIPOLAR,
        output=None,
        shape=(height, width, rows),
        kernel=(height, width),
    )
    return FinnNetwork(
        name="chain",
        layers=(*layers, last),
        image=layers[0].shape,
        pixels=PixelInput(kind="bipolar"),
        head=replace(FinnNetwork.head, classes=2),
    )


def foldings(network, count, rng):
    """Random foldings of a network."""

    def divisor(whole):
        return int(rng.choice([d for d in range(1, whole + 1) if whole % d == 0]))

    for _ in range(count):
        yield network.folded((divisor(m.rows), divisor(m.columns)) for m in network.layers)


def test_layer_cycles_of_a_convolution_by_hand():
    cycles = layer_cycles(convolution(pe=2, simd=4))
    assert cycles.matrix == 16 * (36 // 4) * (8 // 2)
    assert cycles.window == 2 * 6 + 3 + 16 * 9  # a word a pixel
    assert cycles.threshold == 16 * 4
    assert cycles.slowest == cycles.matrix


def test_window_unit_is_no_faster_than_its_input():
    """One word a window, but six of each line have to come in; stride 2 needs two lines a row."""
    assert layer_cycles(convolution(pe=8, simd=36)).window == 15 + 4 * 6
    strided = convolution(shape=(7, 7, 4), stride=(2, 2), pe=8, simd=36)
    assert layer_cycles(strided).window == 2 * 7 + 3 + 3 * 14


def test_fully_connected_layer_has_no_window_unit_and_a_last_layer_no_thresholds(small):
    cycles = layer_cycles(small.layers[3])
    assert (cycles.matrix, cycles.window, cycles.threshold) == (4 * 3, 0, 0)


def test_a_simd_that_does_not_divide_the_channels_takes_whole_words():
    assert layer_cycles(convolution(simd=3)).window == (2 * 6 + 3) * 2 + 16 * 12


def test_latency_of_one_convolution_and_a_last_layer_by_hand():
    """5 x 3 x 2, kernel 3 x 3, so three rows of one window; the last layer's window covers them.

    A line is 3 pixels of 1 word, so that lines end at 3, 6, 9, 12, 15. A window has 9 words and 4 folds of
    rows: 36 cycles from 9, 45 and 81. Nothing else waits: 117. The last layer takes 2 rows of 12 words.
    """
    network = chain(convolution(shape=(5, 3, 2), rows=4, simd=2))
    cycles = design_cycles(network)
    assert cycles.latency_cycles == 9 + 3 * 36 + 2 * 12
    assert cycles.interval_cycles == 3 * 36
    assert cycles.sum_cycles == 3 * 36 + 2 * 3 * 4


def test_latency_of_fully_connected_layers_overlaps_their_first_row():
    """4 words come in 4 cycles; 8 rows of 4 words end one step and 7 rows later; so does the next layer."""
    network = chain(convolution(shape=(1, 1, 4), kernel=(1, 1), rows=8))
    assert design_cycles(network).latency_cycles == (4 + 1 + 7 * 4) + 1 + 8


def test_pooled_lines_pass_when_all_their_rows_are_done():
    plain = design_cycles(chain(convolution(shape=(6, 6, 4), pe=8, simd=4)))
    pooled = design_cycles(chain(convolution(shape=(6, 6, 4), pe=8, simd=4, pool=2)))
    own = 3 * 6 + 4 * 4 * 9
    assert plain.latency_cycles == own + 2 * 16 * 8
    assert pooled.latency_cycles == own + 2 + 2 * 4 * 8


@pytest.mark.parametrize("name", ["cnvW1A1", "lfcW1A1"])
def test_latency_lies_between_the_interval_and_the_sum_of_the_layers(name):
    cycles = design_cycles(random_network(name, np.random.default_rng(0)))
    assert cycles.interval_cycles == max(layer.slowest for layer in cycles.layers)
    assert cycles.sum_cycles == sum(layer.slowest for layer in cycles.layers)
    assert cycles.interval_cycles <= cycles.latency_cycles <= cycles.sum_cycles


def test_latency_is_never_below_the_interval_for_any_folding(small):
    for network in foldings(small, 300, np.random.default_rng(1)):
        cycles = design_cycles(network)
        assert cycles.interval_cycles <= cycles.latency_cycles


def test_matrix_cycles_times_lanes_are_the_multiplications(small):
    for network in foldings(small, 50, np.random.default_rng(2)):
        for layer, cycles in zip(network.layers, design_cycles(network).layers, strict=True):
            assert cycles.matrix * layer.pe * layer.simd == layer.macs


def test_more_pes_never_make_a_design_slower(small):
    rng = np.random.default_rng(3)
    for network in foldings(small, 100, rng):
        place = int(rng.integers(len(network.layers)))
        pairs = [(m.pe, m.simd) for m in network.layers]
        pairs[place] = (network.layers[place].rows, pairs[place][1])
        before, after = design_cycles(network), design_cycles(network.folded(pairs))
        assert after.interval_cycles <= before.interval_cycles
        assert after.latency_cycles <= before.latency_cycles


def test_first_layer_interval_slows_the_first_layer_alone(small):
    once, twice = design_cycles(small), design_cycles(small, first_layer_interval=2)
    assert twice.layers[0].matrix == 2 * once.layers[0].matrix
    assert twice.layers[1:] == once.layers[1:]
    assert twice.latency_cycles > once.latency_cycles


def test_rate_and_latency_at_a_clock(small):
    cycles = design_cycles(small)
    assert cycles.images_per_s(100) == pytest.approx(1e8 / cycles.interval_cycles)
    assert cycles.latency_us(100) == pytest.approx(cycles.latency_cycles / 100)


@pytest.mark.parametrize("clock", [0, -1, float("nan"), float("inf"), "fast"])
def test_a_clock_that_is_none_is_refused(small, clock):
    with pytest.raises(InputError, match="clock_MHz: expected a finite number above 0"):
        design_cycles(small).images_per_s(clock)


@pytest.mark.parametrize("interval", [0, -1, 1.5, "2"])
def test_a_first_layer_interval_that_is_none_is_refused(small, interval):
    with pytest.raises(InputError, match="first_layer_interval: expected an integer"):
        design_cycles(small, first_layer_interval=interval)
