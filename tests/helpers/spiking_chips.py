"""A small spiking chip with weights of many sizes, and images for it."""

import numpy as np

from accel_models.spiking.chip import SpikingChip
from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.network import SpikingNetwork
from xbarsim.faults.neurons import SpikingGeometry

SMALL = SpikingGeometry(sizes=(9, 6, 8, 4), steps=7)


def program(geometry, weights, **neurons) -> SpikingChip:
    return SpikingConfig().program(SpikingNetwork(geometry=geometry, weights=weights, **neurons))


def chip(geometry=SMALL, seed=0, scale=1.0) -> SpikingChip:
    """Weights of many bits, also far smaller ones."""
    rng = np.random.default_rng(seed)
    shapes = zip(geometry.sizes, geometry.sizes[1:], strict=False)
    return program(
        geometry,
        [
            scale * rng.normal(0.25, 0.6, shape) * 10.0 ** rng.choice([-4, -2, 0, 0, 0], shape)
            for shape in shapes
        ],
        gain=[rng.uniform(0.5, 1.5, m) for m in geometry.sizes[1:]],
        offset=[rng.uniform(-0.1, 0.2, m) for m in geometry.sizes[1:]],
    )


def images(geometry=SMALL, count=12):
    x = np.random.default_rng(5).random((count, geometry.sizes[0]))
    x[0], x[1, ::2], x[2, 1::2] = 0, 0, 1
    return x
