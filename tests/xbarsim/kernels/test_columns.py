"""Codes by tables of row sums: the definitions, one row and one cycle at a time."""

import numpy as np
import pytest

from xbarsim.kernels import analog, bitserial, columns, mvtu
from xbarsim.kernels.bitserial import pack_planes
from xbarsim.kernels.columns import LANES, add_tabled_codes


@pytest.mark.parametrize(
    ("rule", "cell_bits"),
    [
        *((rule, bits) for rule in ((1, 0, 0, 60), (5, 8, 4, 31)) for bits in (1, 2, 3, 4)),
        ((1, 0, 0, 2**20), 3),  # wider sums and codes, which have no part in how a level is read
    ],
)
@pytest.mark.parametrize("cycle_bits", [1, 2])
def test_codes_are_those_of_every_column_and_cycle(cell_bits, rule, cycle_bits):
    rng = np.random.default_rng(cell_bits)
    rows, stripes, digits, cycles, n = int(rng.integers(1, 130)), 2, 2, 8, 3
    words = -(-rows // 64)
    levels = np.zeros((stripes, digits, words * 64, LANES), np.uint8)
    levels[:, :, :rows] = rng.integers(0, 1 << cell_bits, (stripes, digits, rows, LANES))
    driven = rng.integers(0, 1 << cycle_bits, (n, cycles, rows))
    planes = pack_planes(driven.reshape(-1, rows), words * 64, cycle_bits, cycle_bits)[0]
    worth = rng.integers(-9, 9, (digits, stripes * LANES))
    for signed in (-1, 3, 7):
        total = rng.integers(-50, 50, (n, stripes * LANES))
        expected = total.copy()
        for stripe, d, t in np.ndindex(stripes, digits, cycles):
            currents = driven[:, t] @ levels[stripe, d, :rows].astype(np.int64)
            codes = np.minimum((currents * rule[0] + rule[1]) >> rule[2], rule[3])
            value = (-codes if t == signed else codes) << (t * cycle_bits)
            lanes = slice(stripe * LANES, (stripe + 1) * LANES)
            expected[:, lanes] += worth[d, lanes] * value
        add_tabled_codes(
            total,
            planes.reshape(n, cycles, cycle_bits, words),
            levels,
            worth,
            cycle_bits,
            signed,
            rule,
            cell_bits,
        )
        np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize(
    ("module", "kind"),
    [(analog, (0,)), (bitserial, ((0, 1), True)), (columns, (1, 16, 32)), (mvtu, (0,))],
    ids=["analog", "bitserial", "columns", "mvtu"],
)
def test_another_process_finds_the_kernel_of_a_kind_in_the_cache(module, kind):
    """What a kernel closes over goes into its key on disk; other kernels would have a new key every time."""
    keys = []
    for _ in range(2):
        kernel = module._kernel.__wrapped__(*kind)
        keys.append(kernel._cache._index_key((), kernel.targetctx.codegen()))
    assert keys[0] == keys[1]
