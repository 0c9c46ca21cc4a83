"""The bit-serial product with a clipping ADC, for outputs that cannot be collapsed, by popcounts.

Slow, obvious twin: ``tests/reference.py``, `bit_serial_product`.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange, types
from numba.extending import intrinsic


@intrinsic
def _popcount(typing_context, word):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


@njit(cache=True)
def pack_planes(values, planes, words):  # type: ignore[no-untyped-def]
    """Pack bit planes along the last axis.

    Parameters
    ----------
    values : (n, k) int64, non-negative (two's complement bits of a signed input will do)
    planes : how many low bits
    words : 64-bit words a plane, at least ceil(k / 64)

    Returns
    -------
    (n, planes, words) uint64; bit r of the row is bit r % 64 of word r // 64.
    """
    n, k = values.shape
    packed = np.zeros((n, planes, words), np.uint64)
    for i in range(n):
        for r in range(k):
            word, bit = r // 64, np.uint64(r % 64)
            for p in range(planes):
                packed[i, p, word] |= np.uint64((values[i, r] >> p) & 1) << bit
    return packed


@njit(cache=True, parallel=True)
def add_clipped_products(  # type: ignore[no-untyped-def]
    total, inputs, cells, outputs, sign, significance, cell_bits, dac_bits, signed, full_scale
):
    """Add the shifted, clipped column sums of the unproven outputs of one row block to `total`.

    Parameters
    ----------
    total : (n, m) int64, changed in place
    inputs : (n, input_bits, words) uint64, bit planes of the block's rows
    cells : (u, digits * cell_bits, words) uint64, bit planes of the stored levels of u outputs
    outputs : (u,) int64, which column of `total` each belongs to
    sign : (u, digits) int64, -1 where the column is stored inverted, else 1
    significance : (digits,) int64
    signed : the top input bit counts negative (only with dac_bits == 1)
    full_scale : largest ADC code
    """
    n, input_bits, words = inputs.shape
    digits = len(significance)
    cycles = (input_bits + dac_bits - 1) // dac_bits
    for i in prange(n):
        for u in range(len(outputs)):
            result = np.int64(0)
            for d in range(digits):
                column = np.int64(0)
                for t in range(cycles):
                    current = np.int64(0)
                    for a in range(t * dac_bits, min((t + 1) * dac_bits, input_bits)):
                        for c in range(cell_bits):
                            hits = np.int64(0)
                            for w in range(words):
                                both = inputs[i, a, w] & cells[u, d * cell_bits + c, w]
                                hits += np.int64(_popcount(both))  # type: ignore[call-arg]
                            current += hits << (a - t * dac_bits + c)
                    code = min(current, full_scale) << (t * dac_bits)
                    column += -code if signed and t == cycles - 1 else code
                result += sign[u, d] * significance[d] * column
            total[i, outputs[u]] += result
