import numpy as np
import pytest

from accel_models.reram.config import accelerator, accelerator_presets
from tests.helpers.chips import untrained_chip
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.crossbar.placement import place
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.sampling import mix_presets, sample_by_rate


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


def test_placement_of_groups_takes_arrays_of_their_own():
    import torch

    from xbarsim.torch_bridge.quantize import quantize

    module = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3, groups=2))
    graph = quantize(module, np.random.default_rng(0).random((4, 4, 6, 6)))
    config = accelerator("isaac").array
    placement = place(graph, config)
    assert placement.arrays == 2
    assert [m.group for m in placement.matrices] == [0, 1]
    assert placement.used_cells == 8 * 2 * 18 * 4
    matrices = {("0", g): program_matrix(graph.layers[0].weights[g], config) for g in range(2)}
    assert placement.array_levels(matrices).shape == (2, 128, 128)
