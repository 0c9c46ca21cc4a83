"""Small spiking chips for the contracts: chip, inputs, two fault lists, and one of another network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accel_models.reram.config import isaac
from accel_models.spiking.cells import program_on_cells
from accel_models.spiking.chip import SpikingChip
from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.network import SpikingNetwork
from tests.contracts.case import Case
from xbarsim.faults.neurons import FaultUniverse, NeuronFault, NeuronFaultKind, NeuronFaults, SpikingGeometry

GEOMETRY = SpikingGeometry(sizes=(9, 8, 5), steps=8)


def spiking() -> Case:
    """Neurons with gains and offsets of their own."""
    rng = np.random.default_rng(0)
    network = SpikingNetwork(
        geometry=GEOMETRY,
        weights=_weights(rng),
        gain=[rng.uniform(0.5, 1.5, m) for m in GEOMETRY.sizes[1:]],
        offset=[rng.uniform(-0.1, 0.2, m) for m in GEOMETRY.sizes[1:]],
    )
    return _parts(SpikingConfig().program(network))


def spiking_on_cells() -> Case:
    """Weights that ReRAM cells hold."""
    chip, _ = program_on_cells(GEOMETRY, _weights(np.random.default_rng(2)), isaac())
    return _parts(chip)


def _weights(rng: np.random.Generator) -> list[NDArray]:
    return [rng.normal(0.25, 0.6, shape) for shape in ((9, 8), (8, 5))]


def _parts(chip: SpikingChip) -> Case:
    rng, kinds = np.random.default_rng(1), NeuronFaultKind
    universe = FaultUniverse(geometry=GEOMETRY, scope=("input", "hidden", "output"))
    a, b = universe.sample(kinds.nasf, 0.2, rng), universe.sample(kinds.hsf, 0.4, rng)
    elsewhere = NeuronFaults.of([NeuronFault(kind=kinds.dead, layer=1, neuron=99)])
    return Case(chip=chip, inputs=rng.random((6, 9)), first=a, second=b, elsewhere=elsewhere)
