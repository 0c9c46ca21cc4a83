"""A spiking network's weights in ReRAM cells: faults of cells become faults of synapses.

Weights are rounded to the arrays' fixed point, sliced into cells and placed as those of any network. Spikes
are inputs of one bit. Sums are taken as digital and exact: a column's ADC does not clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_models.reram.chip import ReramChip
from accel_models.reram.config import ReramConfig
from accel_models.spiking.chip import SpikingChip
from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.network import SpikingNetwork, check_weights
from xbarsim.arrays import check_array
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.neurons import SpikingGeometry
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Input, MatMul, Node, Requantize
from xbarsim.graph.scales import finest_fraction
from xbarsim.hints import checked

FloatArray = NDArray[np.float64]


def place_weights(weights: Sequence[FloatArray], config: ReramConfig) -> ReramChip:
    """The arrays that hold (n, m) weights of every layer, each layer on the finest grid that holds it.

    Raises
    ------
    InputError : more arrays than the accelerator has.
    """
    form = config.array.format
    weights = [check_array("weights", matrix, ("n", "m"), remedy="train again") for matrix in weights]
    if not weights:
        raise InputError("weights", "at least one layer", "none")
    nodes: list[Node] = [Input(name="spikes", bits=1, signed=False, fraction=0)]
    for i, matrix in enumerate(weights):
        fraction = finest_fraction(float(matrix.min()), float(matrix.max()), form.weight_bits, True)
        integers = np.floor(matrix * 2.0**fraction + 0.5).clip(form.low, form.high).astype(np.int64)
        layer = MatMul(
            name=f"layer{i}",
            sources=(nodes[-1].name,),
            weights=integers[None],
            bias=np.zeros(matrix.shape[1], np.int64),
            weight_fraction=fraction,
            input_bits=1,
            input_signed=False,
        )
        nodes.append(layer)
        if i + 1 < len(weights):
            nodes.append(
                Requantize(name=f"spikes{i}", sources=(layer.name,), shift=fraction, bits=1, signed=False)
            )
    return config.program(IntegerGraph(tuple(nodes), (len(weights[0]),)))


def acting_weights(cells: ReramChip) -> list[FloatArray]:
    """(n, m) of every layer: what the cells act as, with their faults."""
    return [
        np.asarray(cells.matrices[layer.name, 0].effective * 2.0**-layer.weight_fraction, np.float64)
        for layer in cells.graph.layers
    ]


@checked
def program_on_cells(
    geometry: SpikingGeometry,
    weights: Sequence[FloatArray],
    config: ReramConfig,
    *,
    gain: Sequence[NDArray] | None = None,
    offset: Sequence[NDArray] | None = None,
) -> tuple[SpikingChip, ReramChip]:
    """A fault-free spiking chip with the weights that its cells hold, and these cells.

    Give `with_faulty_cells` both, and a fault map of the cells' geometry.
    """
    check_weights(geometry, weights)
    cells = place_weights(weights, config)
    network = SpikingNetwork(geometry=geometry, weights=acting_weights(cells), gain=gain, offset=offset)
    return replace(SpikingConfig().program(network), arrays=cells.placement.arrays), cells


@checked
def with_faulty_cells(chip: SpikingChip, cells: ReramChip, faults: FaultMap) -> SpikingChip:
    """The chip on cells with these faults; those of its neurons stay.

    Raises
    ------
    InputError : a fault map of other arrays.
    """
    return chip.with_acting(acting_weights(cells.inject(faults)))
