"""A spiking network's weights in ReRAM cells: faults of cells become faults of synapses."""

import numpy as np
import pytest

from accel_models.reram.config import accelerator
from accel_models.spiking.cells import acting_weights, place_weights, program_on_cells, with_faulty_cells
from accel_models.spiking.chip import run_many
from tests.helpers.spiking_chips import program
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, SpikingGeometry
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.rng import stream


@pytest.mark.parametrize("name", ["isaac", "isaac-slc", "differential"])
def test_faults_of_cells_become_faults_of_synapses(name):
    rng = np.random.default_rng(1)
    weights = [rng.normal(0, 0.3, (40, 30)), rng.normal(0, 0.4, (30, 5))]
    geometry = SpikingGeometry(sizes=(40, 30, 5))
    base, cells = program_on_cells(geometry, weights, accelerator(name))
    step = 2.0 ** -cells.graph.layers[0].weight_fraction
    assert np.abs(base.weights[0] - weights[0]).max() <= step / 2
    x = rng.random((30, 40))
    assert base.run(x).scores.any()
    chips, universe = [], FaultUniverse(geometry=geometry)
    for trial in range(4):
        faults = StuckCells(rate=0.02).draw(cells.geometry, stream(0, "faults", trial))
        acting = acting_weights(cells.inject(faults))
        keys = [(layer.name, 0) for layer in cells.graph.layers]
        masks = cells.inject(faults).training_masks()
        form = cells.config.array.format
        for layer, key, found in zip(cells.graph.layers, keys, acting, strict=True):
            words = form.pack(layer.weights[0])
            forced = form.decode((words & masks[key].keep) | masks[key].force)
            assert (found == forced * 2.0**-layer.weight_fraction).all()
        one = with_faulty_cells(base, cells, faults)
        chips.append(one.inject(universe.sample(NeuronFaultKind.hsf, 0.1, np.random.default_rng(trial))))
    together = run_many(base, chips, x)
    for one, counts in zip(chips, together, strict=True):
        alone = program(geometry, one.acting).inject(one.faults)
        assert (alone.run(x).scores == counts).all()
    assert (together != base.run(x).scores).any()


def test_weights_are_rounded_to_the_finest_grid_that_holds_them():
    weights = [np.array([[0.3, -0.7], [0.1, 0.9]]), np.array([[5.0], [-3.3]])]
    cells = place_weights(weights, accelerator("isaac"))
    for layer, given, held in zip(cells.graph.layers, weights, acting_weights(cells), strict=True):
        step = 2.0**-layer.weight_fraction
        np.testing.assert_allclose(held, np.floor(given / step + 0.5) * step, rtol=0, atol=0)
        assert np.abs(given).max() < 2**15 * step <= 2 * np.abs(given).max() + step
        assert layer.input_bits == 1 and not layer.input_signed


def test_no_faults_change_nothing():
    weights, geometry = [np.ones((3, 2)), np.ones((2, 2))], SpikingGeometry(sizes=(3, 2, 2))
    base, cells = program_on_cells(geometry, weights, accelerator("isaac"))
    again = with_faulty_cells(base, cells, FaultMap.of(cells.geometry))
    assert all((a == b).all() for a, b in zip(again.acting, base.weights, strict=True))
    assert base.arrays == cells.placement.arrays > 0


def test_weights_that_are_no_numbers_and_faults_of_other_arrays_are_refused():
    with pytest.raises(InputError, match="weights: expected finite numbers"):
        place_weights([np.array([[np.nan]])], accelerator("isaac"))
    weights, geometry = [np.ones((3, 2))], SpikingGeometry(sizes=(3, 2))
    base, cells = program_on_cells(geometry, weights, accelerator("isaac"))
    other = FaultMap.of(CellGeometry(arrays=cells.geometry.arrays + 1))
    with pytest.raises(InputError, match="fault map: expected"):
        with_faulty_cells(base, cells, other)
