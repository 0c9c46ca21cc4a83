from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_models.reram.config import accelerator, accelerator_presets
from tests.helpers.chips import untrained_chip
from tests.twins.crossbar import closest_of_all_weights, closest_of_all_words, closest_with_every_flip
from xbarsim.cells.encoding import ENCODINGS, WeightFormat
from xbarsim.crossbar.closest import closest_weights, closest_with_flips, closest_writable, project_graph
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.errors import InputError
from xbarsim.faults.masks import CellMasks, masks_of_cells
from xbarsim.faults.sampling import mix_presets, sample_by_rate


@st.composite
def formats(draw):
    encoding = draw(st.sampled_from(ENCODINGS))
    cell_bits = 1 if encoding == "twos_complement" else draw(st.integers(1, 4))
    return WeightFormat(weight_bits=draw(st.integers(2, 5)), cell_bits=cell_bits, encoding=encoding)


def stuck_cells(shape, form, rate, rng):
    """Masks of cells stuck at random levels, each with probability `rate`."""
    faulty = rng.random((*shape, form.digits)) < rate
    weight, digit = np.divmod(np.flatnonzero(faulty), form.digits)
    return masks_of_cells(
        np.zeros(shape, np.int64),
        weight=weight,
        digit=digit,
        kind=np.full(len(weight), 2, np.uint8),
        value=rng.integers(0, form.levels, len(weight)).astype(np.int8),
        cell_bits=form.cell_bits,
    )


def random_weights(shape, form, rng):
    return rng.integers(form.low, form.high, shape, endpoint=True)


def acting(weights, form, masks):
    return form.decode(masks.apply(form.encode(weights)))


@given(form=formats(), rate=st.sampled_from([0.1, 0.4, 0.8]), seed=st.integers(0, 2**32 - 1))
def test_closest_weights_equal_those_of_all_words_and_all_weights(form, rate, seed):
    rng = np.random.default_rng(seed)
    q, masks = random_weights(6, form, rng), stuck_cells((6,), form, rate, rng)
    cells = list(zip(q.tolist(), masks.keep.tolist(), masks.force.tolist(), strict=True))
    config = ArrayConfig(format=form)
    best = [closest_of_all_words(*cell, config) for cell in cells]
    assert closest_weights(q, form, masks).tolist() == best
    writable = [closest_of_all_weights(*cell, config) for cell in cells]
    assert acting(closest_writable(q, form, masks), form, masks).tolist() == writable


@pytest.mark.parametrize(
    "form",
    [
        WeightFormat(weight_bits=16, cell_bits=2),
        WeightFormat(weight_bits=16, cell_bits=1),
        WeightFormat(weight_bits=16, cell_bits=4),
        WeightFormat(weight_bits=16, cell_bits=1, encoding="twos_complement"),
    ],
)
def test_without_spare_bits_the_closest_weights_are_their_own_fixed_point(form):
    rng = np.random.default_rng(0)
    q, masks = random_weights((30, 40), form, rng), stuck_cells((30, 40), form, 0.2, rng)
    found = closest_weights(q, form, masks)
    assert (acting(found, form, masks) == found).all()
    assert (closest_writable(q, form, masks) == found).all()
    assert (np.abs(found - q) <= np.abs(acting(q, form, masks) - q)).all()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_healthy_cells_keep_every_weight(encoding):
    form = WeightFormat(weight_bits=6, cell_bits=1, encoding=encoding)
    q = np.arange(form.low, form.high + 1)
    for closest in (closest_weights, closest_writable):
        assert (closest(q, form, CellMasks.none(q.shape)) == q).all()


def test_the_smaller_of_two_values_alike_far_is_taken():
    form = WeightFormat(weight_bits=4, cell_bits=1)
    stuck = replace(CellMasks.none((2,)), keep=np.full(2, ~0b0011), force=np.full(2, 0b0001))
    assert closest_weights(np.array([-1, 3]), form, stuck).tolist() == [-3, 1]


def test_the_healthy_half_of_a_pair_makes_up_for_a_stuck_cell():
    form = WeightFormat(weight_bits=4, cell_bits=1, encoding="differential")
    stuck = replace(CellMasks.none((1,)), keep=np.array([~0b100]), force=np.array([0b100]))
    q = np.array([-1])
    assert acting(q, form, stuck) == 3
    assert closest_weights(q, form, stuck) == -1
    assert closest_writable(q, form, stuck) == -5
    assert acting(closest_writable(q, form, stuck), form, stuck) == -1


def test_masks_of_another_shape_are_refused():
    form = WeightFormat()
    for closest in (closest_weights, closest_writable):
        with pytest.raises(InputError, match=r"masks: expected shape \(3,\) of the weights"):
            closest(np.zeros(3, int), form, CellMasks.none((4,)))
    with pytest.raises(InputError, match="matrix"):
        closest_with_flips(np.zeros(3, int), ArrayConfig(), CellMasks.none((3,)))


@pytest.mark.parametrize("name", accelerator_presets())
def test_projected_weights_act_as_planned_on_the_faulty_chip(name):
    healthy = untrained_chip("digits-mlp", accelerator(name))
    rng = np.random.default_rng(3)
    chip = healthy.inject(sample_by_rate(healthy.geometry, 0.03, mix=mix_presets()["level"], rng=rng))
    form, masks = chip.config.array.format, chip.training_masks()
    projected = project_graph(chip.graph, form, masks)
    updated = chip.update(projected)
    for old, layer in zip(chip.graph.layers, projected.layers, strict=True):
        key, wanted = (layer.name, 0), old.weights[0]
        effective = updated.matrices[key].effective
        assert (effective == acting(layer.weights[0], form, masks[key])).all()
        bound = closest_weights(wanted, form, masks[key])
        if form.encoding == "differential":
            assert (np.abs(bound - wanted) <= np.abs(effective - wanted)).all()
        else:
            assert (effective == layer.weights[0]).all()
            assert (effective == bound).all()
        stuck = np.square(chip.matrices[key].effective - wanted).sum()
        assert np.square(effective - wanted).sum() < stuck


def test_layers_without_masks_stay_and_unknown_ones_are_refused():
    chip = untrained_chip("digits-mlp", accelerator("isaac"))
    form = chip.config.array.format
    for old, new in zip(chip.graph.layers, project_graph(chip.graph, form, {}).layers, strict=True):
        assert (old.weights == new.weights).all()
    with pytest.raises(InputError, match=r"masks: expected layers and groups .*'nowhere'"):
        project_graph(chip.graph, form, {("nowhere", 0): CellMasks.none((1, 1))})


@settings(max_examples=30)
@given(encoding=st.sampled_from(ENCODINGS), cell_bits=st.integers(1, 2), seed=st.integers(0, 2**32 - 1))
def test_flips_act_as_reported_and_lie_between_the_best_and_none(encoding, cell_bits, seed):
    form = WeightFormat(
        weight_bits=3, cell_bits=1 if encoding == "twos_complement" else cell_bits, encoding=encoding
    )
    config, rng = ArrayConfig(format=form, rows=2), np.random.default_rng(seed)
    q, masks = random_weights((3, 2), form, rng), stuck_cells((3, 2), form, 0.4, rng)
    found = closest_with_flips(q, config, masks)
    inversion, sign = (np.repeat(x, 2, axis=0)[:3] for x in (found.inversion, found.sign))
    again = closest_weights(sign * q, form, masks.logical(inversion))
    assert (found.weights == sign * again).all()
    none = closest_weights(q, form, masks)
    for m in range(2):
        for block in (slice(0, 2), slice(2, 3)):
            column = [x[block, m].tolist() for x in (q, masks.keep, masks.force)]
            error = np.square(found.weights - q)[block, m].sum()
            assert closest_with_every_flip(*column, config) <= error
            assert error <= np.square(none - q)[block, m].sum()


def test_program_matrix_takes_the_chosen_inversion():
    config, rng = ArrayConfig(rows=16), np.random.default_rng(0)
    q, masks = random_weights((40, 30), config.format, rng), stuck_cells((40, 30), config.format, 0.02, rng)
    found = closest_with_flips(q, config, masks)
    sign = np.repeat(found.sign, 16, axis=0)[:40]
    matrix = program_matrix(sign * found.weights, config, inversion=found.inversion).with_masks(masks)
    assert (matrix.effective == sign * found.weights).all()
    assert {-1, 1} == set(np.unique(found.sign))
    assert np.unique(found.inversion).size > 2


def test_flips_leave_healthy_columns_alone():
    config = ArrayConfig()
    q = random_weights((20, 5), config.format, np.random.default_rng(0))
    found = closest_with_flips(q, config, CellMasks.none(q.shape))
    assert (found.weights == q).all()
    assert (found.sign == 1).all()
    assert not found.inversion.any()
