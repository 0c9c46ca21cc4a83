"""What chips whose cells can be written again keep, and what chips that differ from specimen to specimen."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from accel_models.reram.analog import AnalogChip, write_analog
from accel_models.reram.chip import ReramChip
from tests.contracts.reram_chips import analog_ideal, analog_noisy, graph, reram_clipping, reram_isaac
from tests.contracts.spiking_chips import spiking
from xbarsim.cells.device import device
from xbarsim.chip import Varied, Writable
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap

MAKE = {
    "reram isaac": reram_isaac,
    "reram clipping": reram_clipping,
    "analog ideal": analog_ideal,
    "analog noisy": analog_noisy,
}


@cache
def built(name):
    return MAKE[name]()


@pytest.fixture(params=MAKE)
def case(request):
    return built(request.param)


@pytest.fixture
def noisy():
    return built("analog noisy")


def scores(chip, inputs):
    return chip.run(inputs, seed=3).scores


def retrained(chip):
    """The same network with three weights of the first layer changed."""
    layer = chip.graph.layers[0]
    weights = layer.weights.copy()
    weights[0, :3, 0] += 5
    return chip.graph.with_layers([replace(layer, weights=weights)])


def conductances(chip):
    return {key: chip.conductances_uS(*key) for key in chip.draws}


def assert_same_cells(chip, other):
    found, expected = conductances(chip), conductances(other)
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key])


def test_who_is_what():
    for name in MAKE:
        chip = built(name).chip
        assert isinstance(chip, Writable) and isinstance(chip, Varied) == isinstance(chip, AnalogChip)
    chip = spiking().chip
    assert not isinstance(chip, Writable) and not isinstance(chip, Varied)


def test_refresh_cures_soft_faults_only(case):
    chip, inputs, a, b = case.chip, case.inputs, case.first, case.second
    faults = a.merge(b)
    assert len(faults.soft) and len(faults.permanent)
    fresh = chip.inject(faults).refresh(7)
    assert fresh.faults == faults.permanent
    expected = chip.refresh(7).inject(faults.permanent)
    np.testing.assert_array_equal(scores(fresh, inputs), scores(expected, inputs))
    assert fresh.write_cost.cell_writes == chip.placement.written_cells > chip.resources["used_cells"]
    assert chip.inject(faults).faults == faults


def test_update_gives_the_new_network_and_counts_changed_cells(case):
    chip, inputs = case.chip, case.inputs
    new = retrained(chip)
    updated = chip.update(new)
    assert updated.graph is new
    digits = chip.accelerator.quantization.weight_bits // 2
    assert 3 <= updated.write_cost.cell_writes <= 3 * digits
    assert (scores(updated, inputs) != scores(chip, inputs)).any()
    back = updated.update(chip.graph)
    assert back.write_cost.cell_writes == updated.write_cost.cell_writes
    assert chip.update(chip.graph).write_cost.cell_writes == 0


def test_update_keeps_stuck_cells_and_soft_faults_elsewhere(case):
    chip, a = case.chip, case.first
    faulty = chip.inject(a)
    assert faulty.update(chip.graph).faults == a
    left = faulty.update(graph(seed=5)).faults
    assert left.permanent == a.permanent and len(left.soft) < len(a.soft)


def test_update_refuses_other_layers(case):
    chip = case.chip
    other = chip.graph.with_layers(
        [replace(chip.graph.layers[-1], weights=np.zeros((1, 12, 4), int), bias=np.zeros(4, int))]
    )
    with pytest.raises(InputError, match="program it into a new chip"):
        chip.update(other)


def test_training_masks_are_of_the_stuck_cells(case):
    chip, a, b = case.chip, case.first, case.second
    assert chip.training_masks() == {}
    assert chip.inject(a.soft).training_masks() == {}
    faulty = chip.inject(a.merge(b))
    stuck = chip.inject(a.merge(b).permanent).training_masks()
    digital = faulty if isinstance(faulty, ReramChip) else faulty.chip
    assert stuck.keys() == faulty.training_masks().keys() and stuck
    for key, masks in faulty.training_masks().items():
        np.testing.assert_array_equal(masks.keep, stuck[key].keep)
        np.testing.assert_array_equal(masks.force, stuck[key].force)
        layer = next(one for one in chip.graph.layers if one.name == key[0])
        form = digital.config.array.format
        acting = form.decode((form.pack(layer.weights[key[1]]) & masks.keep) | masks.force)
        permanent = digital.inject(FaultMap.of(chip.geometry)).refresh()
        np.testing.assert_array_equal(acting, permanent.effective_weights(key[0])[key[1]])


def test_another_specimen_differs_and_a_seed_names_it(noisy):
    chip, inputs, a = noisy.chip, noisy.inputs, noisy.first
    faulty = chip.inject(a)
    first, again, other = faulty.another(1), faulty.another(np.random.default_rng(1)), faulty.another(2)
    assert_same_cells(first, again)
    np.testing.assert_array_equal(scores(first, inputs), scores(again, inputs))
    assert (scores(first, inputs) != scores(other, inputs)).any()
    assert (scores(first, inputs) != scores(faulty, inputs)).any()
    assert first.faults == a and first.seconds == faulty.seconds == 100
    assert first.accelerator == chip.accelerator


def test_another_specimen_is_a_fresh_write_as_old(noisy):
    chip = noisy.chip
    assert_same_cells(chip.another(4), chip.refresh(4).age(100))


def test_faults_before_and_after_the_write_give_the_same_cells(noisy):
    chip, inputs, a, b = noisy.chip, noisy.inputs, noisy.first, noisy.second
    faults = a.merge(b)
    before = write_analog(chip.chip.inject(faults), device("hfo2-wan"), np.random.default_rng(9)).age(50)
    after = write_analog(chip.chip, device("hfo2-wan"), np.random.default_rng(9)).age(50).inject(faults)
    assert_same_cells(before, after)
    assert_same_cells(chip.inject(faults).another(4), chip.another(4).inject(faults))
    np.testing.assert_array_equal(scores(before, inputs), scores(after, inputs))


def test_update_draws_the_changed_cells_anew_and_no_others(noisy):
    chip, a = noisy.chip, noisy.first
    faulty = chip.inject(a.permanent)
    updated = faulty.update(retrained(chip))
    before, after = conductances(faulty), conductances(updated)
    changed = {key: before[key] != after[key] for key in before}
    assert sum(int(c.sum()) for c in changed.values()) <= updated.write_cost.cell_writes
    key = next(iter(before))
    assert changed[key].any() and not changed[key][:, 3:].any() and not changed[key][:, :, 1:].any()
    assert updated.seconds == chip.seconds and updated.faults == faulty.faults


def test_updates_of_specimens_and_of_seeds_differ_and_repeat(noisy):
    chip = noisy.chip
    new, key = retrained(chip), next(iter(chip.draws))
    cell = tuple(np.argwhere(conductances(chip)[key] != conductances(chip.update(new))[key])[0])
    once = chip.update(new)
    chips = chip, once, chip.update(new, 1), chip.another(1).update(new), once.update(chip.graph)
    assert len({tuple(one.draws[key].cells[:, *cell]) for one in chips}) == 5
    assert_same_cells(chip.update(new), chip.update(new))
    assert_same_cells(chip.update(new, 1), chip.update(new, 1))
    rng = np.random.default_rng
    assert_same_cells(chip.update(new, rng(1)), chip.update(new, rng(1)))


def test_verified_writes_leave_the_chip_as_it_was(noisy):
    chip = noisy.chip
    before = {key: value.copy() for key, value in conductances(chip).items()}
    written, report = chip.write_verify(2.0, 5)
    assert report.iterations > 1
    for key, expected in before.items():
        np.testing.assert_array_equal(conductances(chip)[key], expected)
    again, same = chip.write_verify(2.0, np.random.default_rng(5))
    assert same == report
    assert_same_cells(written, again)
