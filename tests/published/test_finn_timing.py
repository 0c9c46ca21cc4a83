"""The shipped FINN bitstreams: cycles, latency and rates measured on boards, and FINN-R's tables."""

import numpy as np
import pytest

from accel_models.finn.cycles import design_cycles
from accel_models.finn.presets import preset
from accel_models.finn.resources import PYNQ_Z1, design_resources
from tests.helpers.finn_networks import random_network

NAMES = ("cnvW1A1", "cnvW1A2", "cnvW2A2", "lfcW1A1", "lfcW1A2")
W1_CYCLES = [32400, 28224, 20736, 28800, 20736, 18432, 32768, 32768, 8192]
W2_CYCLES = [64800, 112896, 82944, 115200, 82944, 73728, 65536, 65536, 8192]


@pytest.fixture(scope="module")
def networks():
    rng = np.random.default_rng(0)
    return {name: random_network(name, rng) for name in NAMES}


@pytest.fixture(scope="module")
def designs(networks):
    return {
        name: design_cycles(network, first_layer_interval=preset(name).first_layer_interval)
        for name, network in networks.items()
    }


@pytest.mark.parametrize(
    ("name", "cycles"), [("cnvW1A1", W1_CYCLES), ("cnvW1A2", W1_CYCLES), ("cnvW2A2", W2_CYCLES)]
)
def test_cycles_of_every_layer_of_the_shipped_bitstreams(designs, name, cycles):
    assert [layer.matrix for layer in designs[name].layers] == cycles


@pytest.mark.parametrize(
    ("name", "model", "measured", "margin"),
    [("cnvW1A1", 32768, 32786, 0.001), ("cnvW2A2", 115200, 116265, 0.01), ("lfcW1A1", 832, 841, 0.011)],
)
def test_interval_against_the_board(designs, name, model, measured, margin):
    assert designs[name].interval_cycles == model
    assert designs[name].interval_cycles == pytest.approx(measured, rel=margin)


@pytest.mark.parametrize(
    ("name", "model", "measured", "margin", "too_long"),
    [("cnvW1A1", 154_502, 158_100, 0.023, 1.41), ("cnvW2A2", 451_286, 486_600, 0.073, 1.38)],
)
def test_latency_by_lines_is_close_and_finns_sum_is_not(designs, name, model, measured, margin, too_long):
    assert designs[name].latency_cycles == model
    assert designs[name].latency_cycles == pytest.approx(measured, rel=margin)
    assert designs[name].sum_cycles / measured == pytest.approx(too_long, abs=0.005)


@pytest.mark.parametrize(
    ("name", "pynq_z1", "ultra96"),
    [
        ("cnvW1A1", 3050, 9150),
        ("cnvW1A2", 3050, 9150),
        ("cnvW2A2", 860, 2580),
        ("lfcW1A1", 118_900, 356_600),
        ("lfcW1A2", 118_900, 356_600),
    ],
)
def test_published_rates(designs, name, pynq_z1, ultra96):
    assert designs[name].images_per_s(100) == pytest.approx(pynq_z1, rel=0.012)
    assert designs[name].images_per_s(300) == pytest.approx(ultra96, rel=0.012)


def test_lfc_without_the_boards_quirk_takes_512_cycles(networks):
    assert design_cycles(networks["lfcW1A1"]).interval_cycles == 512


@pytest.mark.parametrize("name", ["cnvW1A1", "cnvW1A2"])
def test_luts_of_the_shipped_designs_with_binary_weights(networks, name):
    assert design_resources(networks[name]).luts == pytest.approx(PYNQ_Z1[name].luts, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_brams_of_the_weights_fit_in_the_published_designs(networks, name):
    assert design_resources(networks[name]).bram18 < 2 * PYNQ_Z1[name].bram36
