"""The bit-serial product through an ADC, for outputs that cannot be collapsed, by popcounts.

For processors that count the bits of whole vectors; `kernels.columns` is for the others, and for columns of
more terms.

A column sum is a weighted sum of popcounts, one for every *term*: a word of 64 rows, a bit plane of the cells
and a bit plane of the input digit. Outputs lie side by side in memory, so that the compiler counts several at
once, and four cycles share every cell word that is loaded.

Slow, obvious twin: ``tests/twins/crossbar.py``, `bit_serial_product`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit, prange, types
from numba.extending import intrinsic

from xbarsim.kernels.launch import ONE_LAUNCH

CYCLES_AT_ONCE = 4
MOST_TERMS = 8


@intrinsic
def _popcount(typing_context, word):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        # LLVM halves vectors on server processors; popcounts gain from their full width. llvmlite lists few
        # attributes, so its check is stepped around; processors without such vectors ignore this one.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), codegen


def pack_planes(values, rows, bits, planes):  # type: ignore[no-untyped-def]
    """Pack bit planes along the last axis, which is cut into blocks.

    Parameters
    ----------
    values : (n, k) int64, C-contiguous; of a negative number the bits of its two's complement count
    rows : of a block; the last one may have fewer
    bits : how many low bits to pack
    planes : how many planes to make; those from `bits` on are empty

    Returns
    -------
    (blocks, n, planes, words) int64; bit r of a block's rows is bit r % 64 of word r // 64.
    """
    blocks = -(-values.shape[1] // rows)
    packed = np.zeros((blocks, len(values), planes, -(-min(rows, values.shape[1]) // 64)), np.int64)
    with ONE_LAUNCH:
        _pack(values, rows, bits, packed)
    return packed


@njit(cache=True, parallel=True)
def _pack(values, rows, bits, packed):  # type: ignore[no-untyped-def]
    blocks, n, _, words = packed.shape
    for i in prange(n):
        for block in range(blocks):
            stop = min((block + 1) * rows, values.shape[1])
            for word in range(words):
                first = block * rows + word * 64
                for p in range(bits):
                    found = np.int64(0)
                    for r in range(first, min(stop, first + 64)):
                        found |= ((values[i, r] >> p) & 1) << (r - first)
                    packed[block, i, p, word] = found


def add_counted_codes(  # type: ignore[no-untyped-def]
    total, inputs, cells, shifts, significance, negative, cycle_bits, signed, rule
):
    """Add the shifted ADC codes of the column sums of one row block to `total`.

    Parameters
    ----------
    total : (n, u) int64, changed in place
    inputs : (n, cycles, terms) int64, bit planes; cycles padded with zeros to a multiple of CYCLES_AT_ONCE
    cells : (digits, terms, u) int64, bit planes of the stored levels
    shifts : for each term, log2 of what its bits are worth in the column sum; at most MOST_TERMS
    significance : (digits,) int64, log2 of what a digit is worth
    negative : (digits, u) int64, -1 where a column counts negative, else 0
    cycle_bits : input bits a cycle
    signed : the cycle whose code counts negative, or -1
    rule : (factor, offset, shift, full_scale): code = min((sum * factor + offset) >> shift, full_scale)
    """
    kernel = _kernel(tuple(shifts), tuple(rule[:3]) != (1, 0, 0))
    with ONE_LAUNCH:
        kernel(total, inputs, cells, significance, negative, cycle_bits, signed, np.array(rule, np.int64))


@njit(inline="always")
def _code(inputs, cells, shifts, i, t, d, u, rounds, rule):  # type: ignore[no-untyped-def]
    """The ADC's code of one column in one cycle."""
    current = np.int64(0)
    for shift in range(len(shifts)):
        hits = np.int64(0)
        for j in range(len(shifts)):
            if shifts[j] == shift:
                hits += _popcount(inputs[i, t, j] & cells[d, j, u])  # type: ignore[call-arg]
        current += hits << shift
    if rounds:
        current = (current * rule[0] + rule[1]) >> rule[2]
    return min(current, rule[3])


@cache
def _kernel(shifts: tuple[int, ...], rounds: bool) -> Callable[..., None]:
    """The kernel for terms with these shifts; it closes over plain values, so that numba can cache it."""

    @njit(cache=True, parallel=True, error_model="numpy")
    def kernel(  # type: ignore[no-untyped-def]
        total, inputs, cells, significance, negative, cycle_bits, signed, rule
    ):
        n, cycles, _ = inputs.shape
        digits, _, outputs = cells.shape
        for i in prange(n):
            for d in range(digits):
                for t in range(0, cycles, 4):
                    shift = significance[d] + t * cycle_bits
                    # -1 for the last cycle of signed inputs: (code ^ -1) - -1 is minus the code
                    m0, m1 = -np.int64(signed == t), -np.int64(signed == t + 1)
                    m2, m3 = -np.int64(signed == t + 2), -np.int64(signed == t + 3)
                    for u in range(outputs):
                        c0 = _code(inputs, cells, shifts, i, t, d, u, rounds, rule)
                        c1 = _code(inputs, cells, shifts, i, t + 1, d, u, rounds, rule)
                        c2 = _code(inputs, cells, shifts, i, t + 2, d, u, rounds, rule)
                        c3 = _code(inputs, cells, shifts, i, t + 3, d, u, rounds, rule)
                        low = ((c0 ^ m0) - m0) + (((c1 ^ m1) - m1) << cycle_bits)
                        high = ((c2 ^ m2) - m2) + (((c3 ^ m3) - m3) << cycle_bits)
                        four = low + (high << 2 * cycle_bits)
                        total[i, u] += ((four ^ negative[d, u]) - negative[d, u]) << shift

    return kernel
