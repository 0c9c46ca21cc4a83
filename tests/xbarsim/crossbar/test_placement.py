import numpy as np
import pytest

from accel_models.reram.config import accelerator, accelerator_presets
from tests.helpers.chips import untrained_chip
from xbarsim.crossbar.matrix import program_groups
from xbarsim.crossbar.placement import place
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.sampling import mix_presets, sample_by_rate
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Input, MatMul
from xbarsim.graph.window import Window


@pytest.mark.parametrize("name", accelerator_presets())
def test_faults_reach_the_weights_whose_cells_they_are_in(name):
    """Faults in the arrays' cells change the arrays' levels and the decoded weights in the same way."""
    chip = untrained_chip("digits-mlp", accelerator(name))
    fault_map = sample_by_rate(chip.geometry, 0.05, mix=mix_presets()["even"], rng=np.random.default_rng(0))
    levels = chip.array_levels().reshape(-1)
    expected = levels.copy()
    expected[fault_map.cell] = fault_map.value
    faulty = chip.inject(fault_map)
    used = chip.placement.array_levels({k: _all_ones(m) for k, m in chip.matrices.items()}).reshape(-1) > 0
    found = faulty.placement.array_levels(faulty.matrices).reshape(-1)
    assert (found[used] == expected[used]).all()
    assert (found[~used] == levels[~used]).all()
    assert used.sum() == chip.placement.used_cells
    assert chip.placement.used_faults(fault_map) == used[fault_map.cell].sum()


def _all_ones(matrix):
    """The matrix with every used cell stuck at its highest level."""
    from xbarsim.faults.masks import CellMasks

    top = matrix.config.format.word_mask
    shape = matrix.stored.shape
    return matrix.with_masks(
        CellMasks(keep=np.zeros(shape, np.int64), force=np.full(shape, top), flip=np.zeros(shape, np.int64))
    )


def test_neighbouring_digits_of_a_weight_sit_in_one_row():
    chip = untrained_chip("digits-mlp", accelerator("isaac"))
    column_of_second_weight = 8
    one = FaultMap.of(chip.geometry, array=0, row=5, column=column_of_second_weight + 7, kind="stuck_lrs")
    ((key, masks),) = chip.placement.masks(one, chip.matrices).items()
    changed = np.argwhere(masks.keep != -1)
    assert key == (chip.graph.layers[0].name, 0)
    assert changed.tolist() == [[5, 1]]
    assert masks.force[5, 1] == 3 << 14


def grouped(groups, k, m):
    """A network of one layer of so many groups of (k, m) weights."""
    weights = np.random.default_rng(0).integers(-100, 100, (groups, k, m))
    layer = MatMul(
        name="g",
        sources=("x",),
        weights=weights,
        bias=np.zeros(groups * m, np.int64),
        weight_fraction=0,
        input_bits=8,
        input_signed=False,
        window=Window(kernel=(1, 1)),
    )
    return IntegerGraph((Input(name="x", bits=8, signed=False, fraction=0), layer), (groups * k, 1, 1))


@pytest.mark.parametrize(
    ("shape", "counts"),
    [
        ((512, 9, 1), [14] * 36 + [8]),  # rows allow 14, columns 16
        ((40, 4, 1), [16, 16, 8]),  # columns allow 16
        ((2, 36, 4), [2]),
        ((5, 64, 8), [2, 2, 1]),
        ((2, 65, 4), [1, 1]),  # no two fit the rows
        ((2, 4, 9), [1, 1]),  # nor the columns
        ((2, 129, 17), [1, 1]),
    ],
)
def test_groups_share_arrays_as_many_as_fit(shape, counts):
    graph, config = grouped(*shape), accelerator("isaac").array
    placement = place(graph, config)
    assert [m.groups for m in placement.matrices] == counts
    assert [m.group for m in placement.matrices] == np.cumsum([0, *counts[:-1]]).tolist()
    arrays = 4 if shape[1] > 128 else 1
    assert placement.arrays == arrays * len(counts) == placement.arrays_of("g")
    assert [m.first for m in placement.matrices] == list(range(0, placement.arrays, arrays))
    groups, k, m = shape
    assert placement.used_cells == 8 * groups * k * m
    assert placement.written_cells == 8 * k * m * sum(n * n for n in counts)
    for group in (0, groups - 1):
        found = placement.place_of("g", group)
        assert found.group <= group < found.group + found.groups
    assert placement.of_layer("g") == placement.matrices


def test_cells_off_the_diagonal_hold_level_0_and_their_faults_count():
    graph, config = grouped(3, 5, 2), accelerator("isaac").array
    placement = place(graph, config)
    matrices = {("g", 0): program_groups(graph.layers[0].weights, config)}
    levels = placement.array_levels(matrices)
    assert levels.shape == (1, 128, 128)
    on = np.zeros((128, 128), bool)
    for group in range(3):
        on[5 * group : 5 * group + 5, 16 * group : 16 * group + 16] = True
    assert (levels[0][~on] == 0).all() and levels[0][on].any()
    row, column = np.indices((128, 128)).reshape(2, -1)
    everywhere = FaultMap.of(placement.geometry, array=0, row=row, column=column, kind="stuck_lrs")
    assert placement.used_faults(everywhere) == placement.written_cells == 15 * 48
    ((key, masks),) = placement.masks(everywhere, matrices).items()
    assert key == ("g", 0) and (masks.force == 0xFFFF).all() and masks.force.shape == (15, 6)


def test_what_a_place_multiplies_is_its_groups_rows_side_by_side():
    placement = place(grouped(5, 64, 8), accelerator("isaac").array)
    rows = np.arange(5 * 3 * 64).reshape(5, 3, 64)
    second = placement.matrices[1].rows(rows)
    np.testing.assert_array_equal(second, np.hstack([rows[2], rows[3]]))
    assert np.shares_memory(placement.matrices[2].rows(rows), rows)
