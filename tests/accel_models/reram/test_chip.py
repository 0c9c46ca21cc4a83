import numpy as np
import pytest
import torch
from torch import nn

from accel_models.reram.chip import program
from accel_models.reram.config import accelerator, accelerator_presets
from tests.helpers.torch_modules import IMAGES, Residual
from tests.twins.crossbar import bit_serial_product
from xbarsim import programs
from xbarsim.crossbar.config import AdcConfig
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import FaultMix, mix_presets, sample_by_rate
from xbarsim.torch_bridge.quantize import quantize

ALL_KINDS = FaultMix(stuck_hrs=1, stuck_lrs=1, stuck_at=1, flip=1, step=1)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return Residual().eval()


def faults(chip, rate=0.02, mix=ALL_KINDS, seed=0):
    return sample_by_rate(chip.geometry, rate, mix=mix, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("name", accelerator_presets())
def test_healthy_chip_equals_the_integer_graph(module, name):
    chip = programs.program(module, accelerator(name), calibrate=IMAGES)
    assert (chip.run(IMAGES).scores == chip.graph.run(IMAGES)).all()


@pytest.mark.parametrize("name", accelerator_presets())
@pytest.mark.parametrize("adc_bits", [5, 9])
def test_whole_faulty_network_equals_the_slow_reference(name, adc_bits):
    """A small network layer by layer through the reference, with faults of every kind and a narrow ADC."""
    from dataclasses import replace

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    config = accelerator(name)
    config = replace(config, array=replace(config.array, rows=20, adc=AdcConfig(bits=adc_bits)))
    healthy = programs.program(net, config, calibrate=IMAGES)
    chip = healthy.inject(faults(healthy, 0.05))
    in_cells = {place.layer: place for place in chip.placement.matrices}
    form = config.array.format

    def slow(layer, rows):
        place = in_cells[layer.name]
        per_array = config.array.columns // form.digits
        named = {}
        for array, row, column, kind, value in chip.faults:
            index = array - place.first
            block, across = divmod(index, place.column_blocks)
            k = block * config.array.rows + row
            m, digit = across * per_array + column // form.digits, column % form.digits
            if 0 <= index < place.arrays and k < place.inputs and m < place.outputs:
                named[k, m, digit] = (kind, value)
        return [bit_serial_product(layer.weights[0], rows[0], config.array, layer.input_signed, named)]

    assert (chip.run(IMAGES[:2]).scores == chip.graph.run(IMAGES[:2], multiply=slow)).all()


def test_refresh_leaves_the_stuck_cells(module):
    healthy = programs.program(module, accelerator("isaac"), calibrate=IMAGES)
    chip = healthy.inject(faults(healthy))
    fresh = chip.refresh()
    assert fresh.faults == chip.faults.permanent
    assert (fresh.run(IMAGES).scores == healthy.inject(chip.faults.permanent).run(IMAGES).scores).all()
    assert fresh.write_cost.cell_writes == chip.placement.used_cells


def test_soft_faults_alone_are_cured_by_refresh(module):
    healthy = programs.program(module, accelerator("isaac"), calibrate=IMAGES)
    chip = healthy.inject(faults(healthy, mix=mix_presets()["flip"]))
    assert (chip.run(IMAGES).scores != healthy.run(IMAGES).scores).any()
    assert (chip.refresh().run(IMAGES).scores == healthy.run(IMAGES).scores).all()


def test_update_equals_a_new_chip_where_columns_keep_their_inversion(module):
    healthy = programs.program(module, accelerator("isaac"), calibrate=IMAGES)
    layer = healthy.graph.layers[0]
    from dataclasses import replace

    weights = layer.weights.copy()
    weights[0, :3, :2] += 1
    graph = healthy.graph.with_layers([replace(layer, weights=weights)])
    updated = healthy.update(graph)
    assert (updated.run(IMAGES).scores == graph.run(IMAGES)).all()
    assert 6 <= updated.write_cost.cell_writes <= 6 * 8
    assert (updated.array_levels() != healthy.array_levels()).sum() == updated.write_cost.cell_writes


def test_update_cures_soft_faults_only_in_the_cells_it_writes(module):
    healthy = programs.program(module, accelerator("isaac"), calibrate=IMAGES)
    chip = healthy.inject(faults(healthy, mix=mix_presets()["flip"]))
    same = chip.update(chip.graph)
    assert same.faults == chip.faults
    assert same.write_cost.cell_writes == 0
    assert same.write_cost.latency_ns == 0


def test_update_with_another_network_is_refused(module):
    chip = programs.program(module, accelerator("isaac"), calibrate=IMAGES)
    other = quantize(nn.Sequential(nn.Flatten(), nn.Linear(432, 4)), IMAGES)
    with pytest.raises(InputError, match="program it into a new chip"):
        chip.update(other)


def test_fault_map_of_another_chip_is_refused(module):
    chip = programs.program(module, accelerator("isaac"), calibrate=IMAGES)
    with pytest.raises(InputError, match="fault map"):
        chip.inject(FaultMap.of(CellGeometry(arrays=99)))


def test_faults_add_up_over_injections(module):
    healthy = programs.program(module, accelerator("isaac"), calibrate=IMAGES)
    a, b = faults(healthy, seed=1), faults(healthy, seed=2)
    twice, once = healthy.inject(a).inject(b), healthy.inject(a.merge(b))
    assert twice.faults == once.faults
    assert (twice.run(IMAGES).scores == once.run(IMAGES).scores).all()
    assert len(healthy.faults) == 0


def test_batch_size_does_not_change_the_answer(module):
    chip = programs.program(module, accelerator("isaac"), calibrate=IMAGES)
    chip = chip.inject(faults(chip))
    for wrong in (0, -1, 1.5):
        with pytest.raises(InputError, match="batch_size"):
            chip.run(IMAGES, batch_size=wrong)
    assert (chip.run(IMAGES, batch_size=7).scores == chip.run(IMAGES).scores).all()


def test_graph_that_does_not_fit_is_refused(module):
    from dataclasses import replace

    graph = quantize(module, IMAGES)
    config = accelerator("isaac")
    with pytest.raises(InputError, match="at most 2 arrays"):
        program(graph, replace(config, arrays=2))
    narrow = replace(config, array=replace(config.array, input_bits=8))
    with pytest.raises(InputError, match="activation_bits"):
        program(graph, narrow)
    with pytest.raises(InputError, match="integers in"):
        program(
            graph,
            replace(config, array=replace(config.array, format=replace(config.array.format, weight_bits=8))),
        )


def test_cost_counts_products_and_writes(module):
    chip = programs.program(module, accelerator("isaac", cells="pipelayer"), calibrate=IMAGES)
    one, many = chip.cost(1), chip.cost(10)
    assert many.energy_pJ == pytest.approx(10 * one.energy_pJ)
    assert one.latency_ns < many.latency_ns < 10 * one.latency_ns
    assert chip.write_cost.energy_pJ == pytest.approx(3910 * chip.placement.used_cells)
    assert chip.write_cost.latency_ns == pytest.approx(128 * 50.88)
    unknown = programs.program(module, accelerator("isaac", cells="puma"), calibrate=IMAGES)
    assert np.isnan(unknown.write_cost.energy_pJ)
