"""A spiking accelerator programs networks that are plain data."""

import numpy as np
import pytest

from accel_models.spiking.chip import on_grid
from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.network import SpikingNetwork
from xbarsim.errors import InputError
from xbarsim.faults.neurons import SpikingGeometry
from xbarsim.registry import accelerators

SMALL = SpikingGeometry(sizes=(4, 3, 2))


def test_program_puts_weights_on_the_grid_and_fills_gains_and_offsets():
    weights = [np.full((4, 3), 0.1), np.full((3, 2), np.float32(-0.7))]
    chip = accelerators.make("spiking").program(SpikingNetwork(geometry=SMALL, weights=weights))
    for found, given in zip(chip.weights, weights, strict=True):
        assert (found == on_grid(given.astype(float))).all()
    assert [g.tolist() for g in chip.gain] == [[1, 1, 1], [1, 1]]
    assert [o.tolist() for o in chip.offset] == [[0, 0, 0], [0, 0]]
    assert chip.accelerator == SpikingConfig() and not len(chip.faults)


def test_it_wants_spikes_of_one_bit():
    assert SpikingConfig().name == "spiking" and SpikingConfig().quantization.activation_bits == 1


def test_what_is_no_network_is_refused():
    with pytest.raises(InputError, match="network: expected a SpikingNetwork"):
        SpikingConfig().program("network")
