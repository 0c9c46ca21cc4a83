"""Chips for tests of what hardware does, whatever the network has learned."""

import numpy as np

from networks.catalogue import network
from xbarsim.programs import program
from xbarsim.rng import stream
from xbarsim.training.loop import initialise


def untrained_chip(name, accelerator):
    """A named network with its initial weights on a fault-free chip."""
    entry = network(name)
    images = stream(0, "placeholder images").random((8, *entry.input_shape), np.float32)
    return program(initialise(entry.build, 0), accelerator, calibrate=images)
