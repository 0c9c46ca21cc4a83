"""Small spiking networks with weights of few bits, and faults for them."""

import numpy as np
import torch

from networks.snn import Snn
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, NeuronFaults
from xbarsim.training.loop import initialise

ALL = ("input", "hidden", "output", "synapses")


def some_faults(geometry, seed, kinds=tuple(NeuronFaultKind), window=False, ratio=0.15):
    """A few of every kind, not two at a place."""
    rng, universe = np.random.default_rng(seed), FaultUniverse(geometry=geometry, scope=ALL)
    rows = [universe.sample(kind, ratio, rng).table for kind in kinds]
    table = np.concatenate(rows)
    rng.shuffle(table)
    places = [tuple(row) for row in table[["layer", "neuron", "target"]].tolist()]
    once = np.array([places.index(place) == i for i, place in enumerate(places)])
    faults = NeuronFaults(table[once])
    return faults.during(2, 5) if window else faults


def small(sizes, seed=0, *, engine="auto", dtype=torch.float64, **settings):
    """Weights of few bits, so that every sum is exact."""
    module = initialise(lambda: Snn(sizes, engine=engine, **settings), seed).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    for layer in module.layers:
        layer.weight.data = torch.randint(-40, 64, layer.weight.shape, generator=generator).to(dtype) / 128
    return module
