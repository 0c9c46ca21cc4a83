"""Networks of torch become plain data for spiking chips."""

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.spiking.config import SpikingConfig
from networks.snn import Snn
from xbarsim.errors import InputError
from xbarsim.faults.neurons import SpikingGeometry
from xbarsim.rng import stream
from xbarsim.torch_bridge.spiking import spiking_network


class OfMine(nn.Module):
    """Not an `Snn`, but it has what is needed."""

    def __init__(self):
        super().__init__()
        self.geometry = SpikingGeometry(sizes=(6, 3), steps=4)
        self.weights = [nn.Parameter(torch.arange(18.0).reshape(3, 6) / 16)]
        self.register_buffer("gain0", torch.tensor([1.0, 0.5, 2.0]))
        self.register_buffer("offset0", torch.tensor([0.0, 0.25, 0.0]))


def test_numbers_of_a_network_arrive_in_the_chips_order():
    torch.manual_seed(0)
    module = Snn((8, 5, 3))
    module.gain0[2], module.offset1[1] = 0.5, 0.125
    network = spiking_network(module)
    assert network.geometry == module.geometry
    for found, weight in zip(network.weights, module.weights, strict=True):
        np.testing.assert_array_equal(found, weight.detach().numpy().T)
    assert network.gains[0].tolist() == [1, 1, 0.5, 1, 1] and network.offsets[1].tolist() == [0, 0.125, 0]


def test_chip_answers_as_its_module():
    torch.manual_seed(1)
    module, x = Snn((8, 5, 3)).double(), np.random.default_rng(0).random((30, 8))
    with torch.no_grad():
        for weight in module.weights:
            weight.copy_((weight * 1024).round() / 256)  # of few bits, so that sums are exact
        key = int(stream(9, "spikes").integers(2**63))
        expected = module(torch.from_numpy(x), seed=key).numpy()
    chip = SpikingConfig().program(spiking_network(module))
    found = chip.run(x, seed=9).scores
    np.testing.assert_array_equal(found, expected)
    assert found.any()


def test_any_module_with_the_same_parts_will_do():
    network = spiking_network(OfMine())
    assert network.weights[0].shape == (6, 3) and network.gains[0].tolist() == [1, 0.5, 2]
    assert SpikingConfig().program(network).run(np.ones((2, 6))).scores.shape == (2, 3)


def without_offset():
    module = OfMine()
    del module.offset0
    return module


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear(3, 2), "a spiking network, with a `geometry`, got Linear"),
        (without_offset, "gains and offsets of every layer"),
    ],
)
def test_other_modules_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        spiking_network(make())
