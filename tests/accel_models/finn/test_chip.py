"""The engine against slow twins: every accumulator and class of every precision, and the boards' counts."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from accel_models.finn.board import read_board
from accel_models.finn.config import FinnConfig
from accel_models.finn.cycles import design_cycles
from accel_models.finn.presets import presets
from accel_models.finn.resources import design_resources
from networks.datasets import load_dataset, pixels_of
from tests.helpers.finn_networks import random_network, small_network
from tests.twins.finn import pixel_codes, run_network
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFaultKind

RIGHT = {"cnvW1A1": 7922, "cnvW1A2": 8266, "lfcW1A1": 9840}


def accumulators_of(design, images):
    """Every layer's accumulators, and the classes."""
    x, found = design.encode(images), []
    for plan in design.plans:
        x, raw = plan.run(x, sums=True)
        found.append(plan.accumulators(raw))
    return found, design.classify(images)


def accumulators_by_products(network, images):
    """The same by one plain product a window: the definitions on whole matrices, in exact float64."""
    with threadpool_limits(1):  # threads that wait for each other take most of the time of small products
        return list(_products(network, pixel_codes(network, images)))


def _products(network, codes):
    for layer in network.layers:
        values = (layer.input.low + layer.input.step * codes).astype(np.float64)
        (kh, kw), (down, across) = layer.kernel, layer.positions
        sums, matrix = np.empty((len(codes), down, across, layer.rows)), layer.weights.T.astype(np.float64)
        for y, x in np.ndindex(down, across):
            window = values[:, y : y + kh, x : x + kw].reshape(len(codes), -1)
            sums[:, y, x] = window @ matrix
        agrees = layer.accumulates == "agreement"
        sums = (sums + layer.columns) / 2 if agrees else sums * 2**layer.accumulator_shift
        yield sums.astype(np.int64)
        if layer.thresholds is not None:
            above = (layer.thresholds < sums[..., None]).sum(axis=-1)
            p = layer.pool
            codes = above.reshape(len(codes), down // p, p, across // p, p, layer.rows).max(axis=(2, 4))


def images_for(network, count, rng):
    return rng.integers(0, 256, (count, *network.image), dtype=np.uint8)


@pytest.mark.parametrize("name", presets())
def test_every_accumulator_equals_plain_products_on_50_images(name):
    rng = np.random.default_rng(7)
    network = random_network(name, rng)
    images = images_for(network, 50, rng)
    for ours, slow in zip(
        accumulators_of(FinnConfig().program(network), images)[0],
        accumulators_by_products(network, images),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, slow)


@pytest.mark.parametrize("name", RIGHT)
def test_shipped_boards_reach_their_published_counts(name, data_folder):
    preset = presets()[name]
    design = FinnConfig().program(read_board(data_folder / "bnn-pynq" / preset.dataset / name))
    data = load_dataset(preset.dataset, "test")
    images = pixels_of(data)
    assert (design.classify(images) == data.labels).sum() == RIGHT[name]
    some = images[:50]
    slow = accumulators_by_products(design.network, some)
    for ours, expected in zip(accumulators_of(design, some)[0], slow, strict=True):
        np.testing.assert_array_equal(ours, expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 8), st.booleans())
def test_small_networks_of_any_precision_equal_the_slow_twin(seed, weight_bits, activation_bits, inclusive):
    rng = np.random.default_rng(seed)
    network = small_network(rng, weight_bits, activation_bits, inclusive=inclusive)
    images = images_for(network, 2, rng)
    slow, classes = run_network(network, images)
    ours, found = accumulators_of(FinnConfig().program(network), images)
    for a, b in zip(ours, slow, strict=True):
        np.testing.assert_array_equal(a, b)
    assert found.tolist() == classes


def test_batches_change_nothing():
    rng = np.random.default_rng(3)
    network = small_network(rng, 2, 3)
    design, images = FinnConfig().program(network), images_for(network, 23, rng)
    steps = []
    whole = design.scores(images)
    np.testing.assert_array_equal(
        design.scores(images, batch_size=4, on_batch=lambda *s: steps.append(s)), whole
    )
    assert steps[-1] == (23, 23)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 8, 8, 3)), "uint8"),
        (np.zeros((2, 9, 8, 3), np.uint8), "shape"),
        (np.zeros((0, 8, 8, 3), np.uint8), "at least one"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, words):
    design = FinnConfig().program(small_network(np.random.default_rng(0)))
    with pytest.raises(ValueError, match=words):
        design.classify(images)


def test_run_gives_what_scores_and_classify_give_of_the_same_bytes():
    rng = np.random.default_rng(0)
    design, floats = FinnConfig().program(small_network(rng, 2, 3)), rng.random((23, 3, 8, 8), np.float32)
    pixels, steps = design.network.to_pixels(floats), []
    found = design.run(floats, batch_size=4, on_batch=lambda *s: steps.append(s))
    np.testing.assert_array_equal(found.scores, design.scores(pixels)[:, :10])
    np.testing.assert_array_equal(found.classes, design.classify(pixels))
    assert steps[-1] == (23, 23)


@pytest.mark.parametrize("name", RIGHT)
def test_shipped_boards_run_on_the_data_sets_floats(name, data_folder):
    preset = presets()[name]
    chip = FinnConfig().program(read_board(data_folder / "bnn-pynq" / preset.dataset / name))
    data = load_dataset(preset.dataset, "test", limit=200)
    found = chip.run(data.images)
    np.testing.assert_array_equal(found.classes, chip.classify(pixels_of(data)))
    assert found.accuracy(data.labels) > 0.7


def test_cost_is_a_latency_and_intervals_at_the_clock():
    network = random_network("lfcW1A1", np.random.default_rng(0))
    cycles = design_cycles(network, first_layer_interval=2)
    chip = FinnConfig(clock_MHz=200.0).program(network)
    assert chip.cost(1).latency_ns == 5 * cycles.latency_cycles
    assert chip.cost(11).latency_ns == 5 * (cycles.latency_cycles + 10 * cycles.interval_cycles)
    assert isnan(chip.cost(1).energy_pJ)
    loopback = FinnConfig(loopback=(4, 8)).program(network)
    assert isnan(loopback.cost(1).latency_ns)


def test_resources_are_the_estimate_of_all_layers():
    network = small_network(np.random.default_rng(0))
    found, estimate = FinnConfig().program(network).resources, design_resources(network)
    assert found == {"pes": 13, "lanes": 52, "luts": estimate.luts, "bram18": estimate.bram18}
    shared = FinnConfig(loopback=(4, 8)).program(network).resources
    assert (shared["pes"], shared["lanes"]) == (4, 32) and isnan(shared["luts"])


def test_injected_faults_come_last_in_any_form():
    design = FinnConfig().program(small_network(np.random.default_rng(0)))
    every = design.fault_list([PeFaultKind.channel])
    for some in (every, list(every), iter(every)):
        found = design.inject(every.take(np.arange(3))).inject(some).faults
        np.testing.assert_array_equal(found.table[3:], every.table, strict=True)
        np.testing.assert_array_equal(found.table[:3], every.table[:3])
    with pytest.raises(InputError, match="faults: expected faults of processing elements, got str"):
        design.inject("channel")


def test_chips_of_a_network_share_what_faults_do_not_change():
    design = FinnConfig().program(small_network(np.random.default_rng(0)))
    faulty = design.inject(design.fault_list([PeFaultKind.channel]))
    assert faulty.plans is design.plans and faulty.plans[0].arrays is design.plans[0].arrays
