"""Fault-free batches with everything that faulty runs build on."""

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from accel_models.finn.healthy import run_healthy
from accel_models.finn.plan import unpack
from tests.helpers.finn_cases import CASES, lines, random_images, random_network_of
from tests.twins.finn import pixel_codes, run_layer, run_network


@pytest.mark.parametrize("name", ["w1a1", "w2a2", "w8a4", "w1a1 highest bit"])
def test_a_batch_keeps_every_layers_inputs_and_sums(name):
    rng = np.random.default_rng(1)
    network = random_network_of(CASES[name], rng)
    design, images = FinnConfig().program(network), random_images(network, 3, rng)
    found, (_, classes), codes = run_healthy(design, images), run_network(network, images), None
    codes = pixel_codes(network, images)
    for place, layer in enumerate(network.layers):
        if place:
            held = unpack(found.inputs[place], layer.input.bits, layer.shape[2])
            np.testing.assert_array_equal(held, codes.reshape(held.shape))
        sums, codes = run_layer(layer, codes)
        plan = design.plans[place]
        np.testing.assert_array_equal(plan.accumulators(found.raw(design, place)), sums)
    np.testing.assert_array_equal(found.scores, (sums if codes is None else codes).reshape(3, -1))
    assert found.classes.tolist() == classes
    assert found.words.shape[1] == sum(x.shape[1] for x in found.inputs[1:])
    assert (found.words == np.concatenate(found.inputs[1:], axis=1)).all()


def test_a_network_of_one_layer_has_no_words_behind_it():
    rng = np.random.default_rng(2)
    network = random_network_of(lines(1, (None,), (6,)), rng)
    found = run_healthy(FinnConfig().program(network), random_images(network, 2, rng))
    assert found.words.shape == (2, 0) and found.sums.shape == (2, 0)
    assert found.raw(FinnConfig().program(network), 0) is found.first_sums
