import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from accel_models.reram.chip import program
from accel_models.reram.config import accelerator, accelerator_presets
from tests.helpers.grouped import grouped_graph, small_arrays
from tests.helpers.placements import holding_cells
from tests.helpers.torch_modules import IMAGES, Residual
from tests.twins.crossbar import bit_serial_product, packed_product
from xbarsim import programs
from xbarsim.crossbar.closest import project_graph
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
    slow = product_of_cells(chip)
    assert (chip.run(IMAGES[:2]).scores == chip.graph.run(IMAGES[:2], multiply=slow)).all()


def product_of_cells(chip):
    """A chip's product by the slow twins, array by array, from its fault map."""
    config, form = chip.config.array, chip.config.array.format

    def slow(layer, x):
        rows, products = layer.rows(x, np.int64), []
        for place in chip.placement.of_layer(layer.name):
            named = {}
            for array, row, column, kind, value in chip.faults:
                block, across = divmod(array - place.first, place.column_blocks)
                if place.first <= array < place.first + place.arrays:
                    slot, digit = divmod(column, form.digits)
                    output = across * config.weights_per_row + slot
                    if slot < config.weights_per_row:
                        named[block * config.rows + row, output * form.digits + digit] = (kind, value)
            weights, own = layer.weights[place.of_groups], rows[place.of_groups]
            if place.groups > 1:
                products += list(packed_product(weights, own, config, layer.input_signed, named))
                continue
            cells = {(row, *divmod(column, form.digits)): fault for (row, column), fault in named.items()}
            products.append(bit_serial_product(weights[0], own[0], config, layer.input_signed, cells))
        return layer.gather(products, x.shape)

    return slow


@pytest.mark.parametrize("name", accelerator_presets())
@pytest.mark.parametrize("adc_bits", [4, 9])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rate=st.sampled_from([0.005, 0.1]))
def test_groups_that_share_arrays_equal_the_slow_reference(name, adc_bits, seed, rate):
    """Faults on and off the diagonal; collapsed, bit by bit, and as one of many copies."""
    graph = grouped_graph(seed)
    healthy = program(graph, small_arrays(name, adc_bits=adc_bits))
    assert max(place.groups for place in healthy.placement.matrices) >= 3
    images = np.random.default_rng(seed).random((2, *graph.input_shape))
    fault_map = faults(healthy, rate, seed=seed)
    chip = healthy.inject(fault_map)
    expected = graph.run(images, multiply=product_of_cells(chip), watched=False)
    np.testing.assert_array_equal(chip.run(images).scores, expected)
    np.testing.assert_array_equal(chip.run(images, fidelity="bit-serial").scores, expected)
    (one,) = healthy.run_each([fault_map], images)
    np.testing.assert_array_equal(one.scores, expected)
    if all(share.proven == 1 for share in healthy.collapse_shares().values()):
        np.testing.assert_array_equal(healthy.run(images).scores, graph.run(images))


def test_healthy_groups_that_share_arrays_are_those_that_do_not():
    graph = grouped_graph()
    images = np.random.default_rng(0).random((3, *graph.input_shape))
    for adc_bits in (4, 8):
        shared = program(graph, small_arrays(adc_bits=adc_bits))
        apart = program(graph, small_arrays(adc_bits=adc_bits, columns=16))
        own = [place.groups for place in apart.placement.matrices if place.layer == "pairs"]
        assert own == [1, 1] and shared.placement.arrays_of("pairs") == 1
        np.testing.assert_array_equal(shared.run(images).scores, apart.run(images).scores)
        same = (shared.run(images).scores == graph.run(images)).all()
        assert same == (adc_bits == 8)


def test_a_cell_off_the_diagonal_is_no_weight_but_a_cell():
    """Its fault changes answers and is counted, is in no mask, and a refresh cures it, no update."""
    healthy = program(grouped_graph(), small_arrays())
    images = np.random.default_rng(0).random((3, *healthy.input_shape))
    off = {"array": 0, "row": 1, "column": 4 * 8 + 5}  # the first row of outputs of the second group
    for kind, value, permanent in (("stuck_lrs", 3, True), ("step", -1, False), ("flip", 2, False)):
        one = FaultMap.of(healthy.geometry, **off, kind=kind, value=value)
        chip = healthy.inject(one)
        assert chip.used_faults(one) == 1 and chip.training_masks() == {}
        assert (chip.run(images).scores != healthy.run(images).scores).any()
        np.testing.assert_array_equal(chip.effective_weights("pairs"), healthy.graph.layers[0].weights)
        assert chip.array_levels()[0, 1, off["column"]] == {"stuck_lrs": 3, "step": 1, "flip": 2}[kind]
        fresh = chip.refresh()
        same = (fresh.run(images).scores == healthy.run(images).scores).all()
        assert same != permanent and fresh.write_cost.cell_writes == healthy.placement.written_cells
        updated = chip.update(grouped_graph(1))
        assert updated.faults == one
        digits = 8 * sum(layer.weights.size for layer in healthy.graph.layers)
        assert 0 < updated.write_cost.cell_writes <= digits == healthy.placement.used_cells
    harmless = FaultMap.of(healthy.geometry, **off, kind="stuck_hrs")
    assert healthy.used_faults(harmless) == 1
    np.testing.assert_array_equal(healthy.inject(harmless).run(images).scores, healthy.run(images).scores)


@pytest.mark.parametrize("name", accelerator_presets())
def test_updated_groups_act_as_the_new_network_and_faults_off_the_diagonal_stay(name):
    healthy, new = program(grouped_graph(), small_arrays(name, adc_bits=9)), grouped_graph(1)
    images = np.random.default_rng(0).random((3, *new.input_shape))
    np.testing.assert_array_equal(healthy.update(new).run(images).scores, new.run(images))
    fault_map = faults(healthy, 0.1)
    elsewhere = fault_map.take(~holding_cells(healthy.placement).reshape(-1)[fault_map.cell])
    chip = healthy.inject(fault_map)
    updated = chip.update(new)
    assert (np.isin(elsewhere.cell, updated.faults.cell)).all()
    assert len(updated.faults.soft) < len(chip.faults.soft)
    assert updated.faults.permanent == chip.faults.permanent
    again = healthy.update(new).inject(updated.faults)
    np.testing.assert_array_equal(updated.run(images).scores, again.run(images).scores)


def test_masks_of_groups_that_share_an_array_are_by_group():
    healthy = program(grouped_graph(), small_arrays())
    place = healthy.placement.place_of("depthwise", 6)
    row, digit = 4 * (6 - place.group) + 2, 3
    column = 8 * (6 - place.group) + digit
    one = FaultMap.of(healthy.geometry, array=place.first, row=row, column=column, kind="stuck_lrs")
    chip = healthy.inject(one)
    ((key, masks),) = chip.training_masks().items()
    assert key == ("depthwise", 6) and masks.keep.shape == (4, 1)
    assert np.argwhere(masks.keep != -1).tolist() == [[2, 0]] and masks.keep[2, 0] == ~(3 << 6)
    form = chip.weight_format
    acting = masks.force[2, 0] | (form.encode(chip.graph.layers[1].weights[6])[2, 0] & masks.keep[2, 0])
    assert chip.effective_weights("depthwise")[6, 2, 0] == form.decode(acting)
    closest = project_graph(chip.graph, form, chip.training_masks())
    written = chip.update(closest)
    np.testing.assert_array_equal(written.effective_weights("depthwise"), closest.layers[1].weights)
    assert written.write_cost.cell_writes <= 8


def test_refresh_leaves_the_stuck_cells(module):
    healthy = programs.program(module, accelerator("isaac"), calibrate=IMAGES)
    chip = healthy.inject(faults(healthy))
    fresh = chip.refresh()
    assert fresh.faults == chip.faults.permanent
    assert (fresh.run(IMAGES).scores == healthy.inject(chip.faults.permanent).run(IMAGES).scores).all()
    assert fresh.write_cost.cell_writes == chip.placement.written_cells


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
    assert chip.write_cost.energy_pJ == pytest.approx(3910 * chip.placement.written_cells)
    assert chip.write_cost.latency_ns == pytest.approx(128 * 50.88)
    unknown = programs.program(module, accelerator("isaac", cells="puma"), calibrate=IMAGES)
    assert np.isnan(unknown.write_cost.energy_pJ)
