"""Spiking networks as data: shapes and numbers that chips can hold."""

import numpy as np
import pytest

from accel_models.spiking.network import SpikingNetwork
from xbarsim.errors import InputError
from xbarsim.faults.neurons import SpikingGeometry

SMALL = SpikingGeometry(sizes=(4, 3, 2))
WEIGHTS = (np.ones((4, 3)), np.ones((3, 2)))
NEURONS = (np.ones(3), np.ones(2))


def test_gains_and_offsets_are_float64_of_every_layer():
    network = SpikingNetwork(geometry=SMALL, weights=WEIGHTS, offset=[n.astype(np.float32) for n in NEURONS])
    assert [o.dtype for o in network.offsets] == [np.float64] * 2
    assert [g.tolist() for g in network.gains] == [[1, 1, 1], [1, 1]]


@pytest.mark.parametrize("name", ["gain", "offset"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gains_and_offsets_are_finite(name, bad):
    with pytest.raises(InputError, match=f"{name}: expected finite numbers"):
        SpikingNetwork(geometry=SMALL, weights=WEIGHTS, **{name: [np.ones(3), np.array([1, bad])]})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": WEIGHTS[::-1]}, "weights: expected matrices of"),
        ({"weights": WEIGHTS[:1]}, "weights: expected matrices of"),
        ({"weights": [np.full((4, 3), np.nan), WEIGHTS[1]]}, "weights: expected finite"),
        ({"gain": NEURONS[::-1]}, "gain: expected one a neuron"),
        ({"geometry": (4, 3, 2)}, "geometry: expected a SpikingGeometry"),
    ],
)
def test_nonsense_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        SpikingNetwork(**{"geometry": SMALL, "weights": WEIGHTS, **change})
