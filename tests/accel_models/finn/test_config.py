"""The accelerator: its fields, what it programs, and how a command line or a file says it."""

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.finn.config import FinnConfig
from accel_models.finn.geometry import SharedArray
from tests.contracts.finn_chips import image_graph
from tests.helpers.finn_networks import small_network
from xbarsim.chip import Quantization
from xbarsim.errors import InputError
from xbarsim.registry import accelerators
from xbarsim.torch_bridge.quantize import quantize


@pytest.mark.filterwarnings("ignore::xbarsim.graph.saturation.SaturationWarning")  # values saturate here
def test_config_programs_networks_and_graphs():
    rng = np.random.default_rng(0)
    network, graph, config = small_network(rng), image_graph(rng), FinnConfig(loopback=(3, 4))
    assert config.program(network).network is network
    chip, images = config.program(graph), rng.normal(size=(5, 2, 6, 7))
    assert chip.accelerator is config and chip.shared == SharedArray(pe=3, simd=4)
    logits = graph.run(images)
    assert (np.ldexp(chip.run(images).scores.astype(float), -graph.fractions["fc"]) == logits).all()
    assert (chip.run(images).classes == logits.argmax(axis=1)).all()


def test_float_network_in_the_wanted_integers_is_programmed():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4)).eval()
    images = np.random.default_rng(0).normal(size=(8, 1, 8, 8))
    wanted = FinnConfig().quantization
    assert wanted == Quantization(weight_bits=4, activation_bits=4, scales="power-of-two")
    graph = quantize(module, images, weight_bits=4, activation_bits=4, scales=wanted.scales)
    chip = FinnConfig().program(graph)
    assert (chip.run(images).classes == graph.run(images).argmax(axis=1)).all()


def test_registry_says_every_field():
    assert accelerators.make("finn") == FinnConfig()
    assert accelerators.parse("finn:loopback=16+32,clock_MHz=200") == FinnConfig(
        loopback=(16, 32), clock_MHz=200.0
    )
    assert accelerators.make("finn", {"loopback": [16, 32]}, strict=True).loopback == (16, 32)
    assert accelerators.parse("finn:loopback=none").loopback is None
    assert accelerators.describe(FinnConfig(loopback=(2, 3)))["loopback"] == [2, 3]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"clock_MHz": 0}, "FinnConfig.clock_MHz"),
        ({"weight_bits": 1}, "FinnConfig.weight_bits: expected an integer in 2..8, got 1"),
        ({"activation_bits": 9}, "FinnConfig.activation_bits"),
        ({"loopback": (0, 1)}, "FinnConfig.loopback.pe: expected an integer in 1..65536, got 0"),
        ({"loopback": (1, 2**17)}, "FinnConfig.loopback.simd"),
        ({"loopback": (1, 2, 3)}, "FinnConfig.loopback: expected"),
        ({"loopback": "16,32"}, "FinnConfig.loopback: expected"),
    ],
)
def test_nonsense_is_refused(fields, words):
    with pytest.raises(InputError) as caught:
        FinnConfig(**fields)
    assert words in str(caught.value)


def test_other_things_than_networks_are_refused():
    with pytest.raises(InputError, match="network: expected a FinnNetwork"):
        FinnConfig().program(nn.Linear(3, 3))
