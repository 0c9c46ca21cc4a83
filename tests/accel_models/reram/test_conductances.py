"""A matrix as conductances: draws of its cells, the cells later, and what columns see of them."""

from dataclasses import replace

import numpy as np
import pytest

from accel_models.reram.conductances import Conductances, Draws
from xbarsim.cells.device import Device
from xbarsim.cells.effects import Additive
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.faults.kinds import FaultKind
from xbarsim.faults.masks import masks_of_cells

PLAIN = Device(name="plain", source="", g_off_uS=1, g_on_uS=7)
NOISY = replace(PLAIN, effects=(Additive(0.02),))
ARRAY = ArrayConfig(
    rows=4, columns=6, format=WeightFormat(weight_bits=4, cell_bits=2), inverted_storage=False
)


@pytest.fixture(scope="module")
def digital():
    """(6, 5) weights: two row blocks of 4 and 2, two arrays of 3 and 2 weights of two digits side by side."""
    return program_matrix(np.random.default_rng(0).integers(-8, 8, (6, 5)), ARRAY)


def cells_of(digital, device=PLAIN, *, column=False, seconds=0.0):
    draws = Draws.make(digital, device, np.random.default_rng(1))
    return Conductances(digital=digital, device=device, draws=draws, seconds=seconds, column=column)


def levels_of(digital):
    form = digital.config.format
    return np.stack([form.level(digital.stored, d) for d in range(form.digits)])


def test_draws_are_one_a_cell_and_one_a_reference_cell(digital):
    draws = Draws.make(digital, NOISY, np.random.default_rng(1))
    assert draws.cells.shape == (1, 2, 6, 5) and draws.reference.shape == (1, 6, 2)
    assert Draws.make(digital, PLAIN, np.random.default_rng(1)).cells.shape[0] == 0
    chosen = np.zeros((2, 6, 5), bool)
    chosen[1, 2, 3] = True
    again = draws.redrawn(chosen, np.random.default_rng(2))
    assert ((again.cells != draws.cells)[0] == chosen).all() and again.reference is draws.reference


def test_plain_cells_sit_at_their_levels(digital):
    cells = cells_of(digital)
    expected = 1 + 2 * levels_of(digital)
    np.testing.assert_allclose(cells.used_uS(), expected)
    assert cells.blocks == 2 and cells.block_uS(1).shape == (2, 2, 5)
    assert (cells.errors_uS() == 0).all()


def test_errors_are_distances_from_what_was_meant(digital):
    cells = cells_of(digital, NOISY)
    np.testing.assert_allclose(
        cells.errors_uS(), np.abs(cells.used_uS() - 1 - 2 * levels_of(digital)), atol=1e-6
    )
    assert 0 < cells.errors_uS().mean() < 1


def test_levels_differ_where_weights_do(digital):
    other = program_matrix(np.full((6, 5), 3), ARRAY)
    found = cells_of(digital).levels_differ(other)
    assert found.any()
    assert (found == (levels_of(digital) != levels_of(other))).all()
    assert not cells_of(digital).levels_differ(digital).any()


def test_arrays_hold_digits_side_by_side_and_idle_cells(digital):
    """The idle cells of array n are given the level n % 4."""
    cells, found = cells_of(digital), []
    for n, array in enumerate(cells.arrays(lambda n: np.full((4, 6), n % 4))):
        assert array.shape == (4, 6)
        found.append(array)
        idle = array.copy()
        rows, weights = (4, 2)[n // 2], (3, 2)[n % 2]
        own = levels_of(digital)[:, 4 * (n // 2) :, 3 * (n % 2) :][:, :rows, :weights]
        np.testing.assert_allclose(
            array[:rows, : 2 * weights], 1 + 2 * own.transpose(1, 2, 0).reshape(rows, -1)
        )
        idle[:rows, : 2 * weights] = 1 + 2 * (n % 4)
        np.testing.assert_allclose(idle, 1 + 2 * (n % 4))
    assert len(found) == 4


def test_wires_that_change_nothing_give_the_bare_cells(digital):
    cells = cells_of(digital, NOISY)
    behind = cells.behind_wires(cells.arrays(lambda n: np.zeros((4, 6), np.int64)))
    for (own, seen), (bare, same) in zip(behind, cells.bare(), strict=True):
        assert (own == bare).all() and (seen == own).all() and same is bare


def test_stuck_cells_stay_at_their_level(digital):
    place = {"weight": np.array([2 * 5 + 3]), "digit": np.array([1]), "cell_bits": 2}
    stuck = {"kind": np.array([FaultKind.stuck_lrs], np.uint8), "value": np.array([3], np.int8)}
    masks = masks_of_cells(digital.stored, **place, **stuck)
    cells = cells_of(replace(digital, masks=masks), NOISY)
    plain = cells_of(digital, NOISY)
    changed = cells.used_uS() != plain.used_uS()
    assert np.argwhere(changed).tolist() == [[1, 2, 3]] and cells.used_uS()[1, 2, 3] == 7


@pytest.mark.parametrize("column", [False, True])
def test_the_products_cells_are_in_levels_above_the_reference(digital, column):
    cells = cells_of(digital, column=column)
    matrix = cells.matrix(cells.bare())
    np.testing.assert_allclose(matrix.levels(), levels_of(digital), atol=1e-3)
