"""A small spiking network on digits, for the tests of its trainings."""

from networks.datasets import load_dataset
from networks.snn import Snn
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, SpikingGeometry
from xbarsim.training.recipe import Recipe

GEOMETRY = SpikingGeometry(sizes=(64, 32, 10))
UNIVERSE = FaultUniverse(geometry=GEOMETRY)
NASF = NeuronFaultKind.nasf
RECIPE = Recipe(epochs=4, batch_size=32)


def digits():
    data = load_dataset("digits", "train", limit=600)
    return data.images, data.labels


def build():
    return Snn((64, 32, 10))
