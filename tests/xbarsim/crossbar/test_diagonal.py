"""Blocks on a diagonal: how many there are, where they lie, and what is taken off them."""

import numpy as np
import pytest

from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.crossbar.diagonal import (
    by_group,
    diagonal_blocks,
    faulty_blocks,
    groups_an_array,
    on_diagonal,
    rows_a_sum,
    side_by_side,
)
from xbarsim.faults.masks import CellMasks


@pytest.mark.parametrize(
    ("inputs", "outputs", "groups"),
    [(9, 1, 14), (4, 1, 16), (36, 4, 3), (64, 8, 2), (65, 1, 1), (1, 9, 1), (128, 16, 1), (500, 90, 1)],
)
def test_rows_and_columns_bound_the_groups_of_an_array(inputs, outputs, groups):
    assert groups_an_array(ArrayConfig(), inputs, outputs) == groups


def test_columns_that_hold_no_whole_weight_hold_none():
    odd = ArrayConfig(columns=31, format=WeightFormat(weight_bits=16, cell_bits=2))
    assert groups_an_array(odd, 2, 1) == 3


def test_blocks_go_onto_the_diagonal_and_come_off_it():
    blocks = np.arange(1, 19).reshape(3, 3, 2)
    whole = on_diagonal(blocks)
    assert whole.shape == (9, 6) and (whole[3:6, 2:4] == blocks[1]).all()
    assert np.count_nonzero(whole) == 18
    np.testing.assert_array_equal(diagonal_blocks(whole, 3), blocks)
    digits = np.stack([whole, -whole])
    np.testing.assert_array_equal(diagonal_blocks(digits, 3), np.stack([blocks, -blocks], axis=1))


def test_rows_lie_side_by_side():
    rows = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(side_by_side(rows), np.hstack([rows[0], rows[1]]))
    assert np.shares_memory(side_by_side(rows[:1]), rows)


def test_sums_of_inputs_are_those_of_row_blocks_or_of_groups():
    config, rng = ArrayConfig(rows=8), np.random.default_rng(0)
    x, weights = rng.integers(0, 9, (2, 12)), rng.integers(-9, 9, (2, 6))
    assert by_group(weights, 1) is weights and rows_a_sum(config, 12, 1) == 8
    groups = by_group(weights[:1], 3)
    assert groups.shape == (3, 6) and rows_a_sum(config, 12, 3) == 4
    sums = x.reshape(2, 3, 4).sum(axis=2)
    expected = np.hstack([sums[:, [i]] * weights[:1, 2 * i : 2 * i + 2] for i in range(3)])
    np.testing.assert_array_equal(sums @ groups, expected)


def test_masks_off_the_diagonal_are_of_no_weight():
    masks = CellMasks.none((6, 3))
    masks.keep[2, 1], masks.force[2, 1] = ~3, 2
    masks.keep[0, 2], masks.flip[5, 2] = ~3, 1
    ((block, found),) = faulty_blocks(masks, 3)
    assert block == 1 and found.keep.tolist() == [[~3], [-1]] and found.force.tolist() == [[2], [0]]
    ((block, whole),) = faulty_blocks(masks, 1)
    assert block == 0 and (whole.keep == masks.keep).all() and (whole.flip == masks.flip).all()
