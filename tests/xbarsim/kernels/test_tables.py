"""Tables of the sums of four rows hold every subset's sum."""

import numpy as np
import pytest

from xbarsim.kernels.tables import fill_table


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 64, 66])
@pytest.mark.parametrize("kind", [np.uint8, np.int32])
def test_every_entry_is_the_sum_of_the_rows_in_its_bits(rows, kind):
    levels = np.random.default_rng(rows).integers(0, 4, (rows, 7)).astype(kind)
    table = np.zeros((-(-rows // 4) * 16, 7), kind)
    fill_table(table, levels)
    for group in range(-(-rows // 4)):
        held = levels[4 * group : 4 * group + 4]
        for entry in range(1 << len(held)):
            chosen = [row for bit, row in enumerate(held) if entry >> bit & 1]
            expected = np.sum([*chosen, np.zeros(7, kind)], axis=0)
            assert table[16 * group + entry].tolist() == expected.tolist()
