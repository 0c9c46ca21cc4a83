"""Bit planes, and codes by popcounts: the definitions, one row and one cycle at a time."""

import numpy as np
import pytest

from xbarsim.kernels.bitserial import CYCLES_AT_ONCE, add_counted_codes, pack_planes


@pytest.mark.parametrize(("rows", "k"), [(5, 5), (5, 12), (64, 64), (66, 200), (128, 1)])
def test_planes_hold_the_low_bits_block_by_block(rows, k):
    values = np.random.default_rng(k).integers(-8, 8, (3, k))
    packed = pack_planes(values, rows, 4, 6)
    assert packed.shape == (-(-k // rows), 3, 6, -(-min(rows, k) // 64))
    expected = np.zeros(packed.shape, object)
    for i in range(3):
        for column in range(k):
            block, row = divmod(column, rows)
            for plane in range(4):
                bit = int(values[i, column]) >> plane & 1
                expected[block, i, plane, row // 64] |= bit << (row % 64)
    assert (packed.astype(np.uint64) == expected.astype(np.uint64)).all()


# bits of a cell and of a cycle, and whether the ADC rounds: each a kernel, and those of the crossbar's tests
KINDS = [
    (1, 1, False),
    (1, 1, True),
    (1, 2, True),
    (1, 3, True),
    (2, 1, False),
    (2, 2, False),
    (3, 1, True),
    (4, 1, False),
    (4, 2, True),
]


@pytest.mark.parametrize("seed", range(12))
def test_codes_are_those_of_every_column_and_cycle(seed):
    rng = np.random.default_rng(seed)
    rows, outputs, digits, cycles = int(rng.integers(1, 65)), int(rng.integers(1, 20)), 2, CYCLES_AT_ONCE
    cell_bits, cycle_bits, rounds = KINDS[seed % len(KINDS)]
    levels = rng.integers(0, 1 << cell_bits, (digits, outputs, rows))
    driven = rng.integers(0, 1 << cycle_bits, (4, cycles, rows))
    worth, negative = rng.integers(0, 6, digits), -rng.integers(0, 2, (digits, outputs))
    rule = (3, 2, 2, 25) if rounds else (1, 0, 0, 40)
    signed = int(rng.integers(-1, cycles))

    shifts = [p + q for p in range(cycle_bits) for q in range(cell_bits)]
    inputs = np.stack(
        [pack_planes(driven.reshape(-1, rows), 64, cycle_bits, cycle_bits)[0, :, p, 0]
         for p in range(cycle_bits) for _ in range(cell_bits)], axis=-1,
    ).reshape(4, cycles, -1)  # fmt: skip
    planes = pack_planes(levels.reshape(-1, rows), 64, cell_bits, cell_bits)[0, :, :, 0]
    cells = np.stack([planes[:, q] for _ in range(cycle_bits) for q in range(cell_bits)], axis=1)
    cells = np.ascontiguousarray(cells.reshape(digits, outputs, -1).transpose(0, 2, 1))

    total = rng.integers(-50, 50, (4, outputs))
    expected = total.copy()
    for i, m, d, t in np.ndindex(4, outputs, digits, cycles):
        current = int(driven[i, t] @ levels[d, m])
        code = min((current * rule[0] + rule[1]) >> rule[2], rule[3])
        sign = (-1 if t == signed else 1) * (-1 if negative[d, m] else 1)
        expected[i, m] += sign * code << (int(worth[d]) + t * cycle_bits)
    add_counted_codes(total, inputs, cells, shifts, worth, negative, cycle_bits, signed, rule)
    np.testing.assert_array_equal(total, expected)
