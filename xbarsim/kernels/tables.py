"""Tables of the sums of four rows, which a nibble of input bits selects from."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def fill_table(table, rows):  # type: ignore[no-untyped-def]
    """All sums of each four of (rows, lanes) rows; entry 16 g + e of group g has the rows in e's bits."""
    lanes = rows.shape[1]
    for r in range(len(rows)):
        group, bit = (r // 4) * 16, 1 << (r & 3)
        for e in range(bit):
            for lane in range(lanes):
                table[group + bit + e, lane] = table[group + e, lane] + rows[r, lane]
