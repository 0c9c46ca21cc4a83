"""The bit-serial product through an ADC, for outputs that cannot be collapsed: sums of levels by tables.

Four rows of a column have 16 possible sums for one input bit each. Tabled, a column of 128 rows is 32
additions of bytes a cycle, and a register of columns is added at once: fewer operations than a popcount
of every bit plane.

`kernels.bitserial` counts bits instead, where a processor does so for whole vectors.

Slow, obvious twin: ``tests/twins/crossbar.py``, `bit_serial_product`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from xbarsim.kernels.launch import ONE_LAUNCH
from xbarsim.kernels.tables import fill_table

LANES = 64
ROWS_AT_ONCE = 128


def add_tabled_codes(  # type: ignore[no-untyped-def]
    total, planes, cells, weights, cycle_bits, signed, rule, cell_bits
):
    """Add the shifted ADC codes of the column sums of one row block to `total`.

    Parameters
    ----------
    total : (n, stripes * LANES) int64, changed in place
    planes : (n, cycles, bits, words) int64, bit planes of the inputs
    cells : (stripes, digits, rows, LANES) uint8, stored levels
    weights : (digits, stripes * LANES) int64, what a column's codes are worth
    cycle_bits : input bits a cycle
    signed : the cycle whose code counts negative, or -1
    rule : (factor, offset, shift, full_scale): code = min((sum * factor + offset) >> shift, full_scale)
    cell_bits : bits of a level; decides how many rows add up within a byte
    """
    four_cycles = rule[3] * sum(1 << (k * cycle_bits) for k in range(4))
    most = max(len(cells[0, 0]) * ((1 << cell_bits) - 1) * ((1 << cycle_bits) - 1), four_cycles)
    all_cycles = rule[3] << (planes.shape[1] * cycle_bits + 1)
    sum_bits = next(bits for bits in (16, 32, 64) if most < 1 << (bits - 1))
    code_bits = 32 if all_cycles < 1 << 31 and sum_bits < 64 else 64
    groups = {1: 16, 2: 16, 3: 8, 4: 4}[cell_bits]
    kernel = _kernel(16 // groups, sum_bits, code_bits)
    numbers = np.array(rule, np.int64)
    rounding = None if tuple(rule[:3]) == (1, 0, 0) else numbers
    with ONE_LAUNCH:
        kernel(total, planes, cells, weights, cycle_bits, signed, rule[3], rounding)


@intrinsic
def _add_selected(context, sums, at, table, row, word, parts):  # type: ignore[no-untyped-def]
    """sums[at : at + LANES] += sum of table[row + 16 j + j-th nibble of word] over the nibbles of a part.

    A word of 16 nibbles has len(parts) parts.
    """

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        bytes_, int64 = ir.VectorType(ir.IntType(8), LANES), ir.IntType(64)
        lanes = ir.VectorType(ir.IntType(signature.args[0].dtype.bitwidth), LANES)
        target, source = (make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 2))
        found = None
        for j in range(16 // len(signature.args[5])):
            nibble = builder.and_(builder.lshr(arguments[4], int64(4 * j)), int64(15))
            chosen = builder.add(builder.add(arguments[3], int64(16 * j)), nibble)
            place = builder.gep(source, [builder.mul(chosen, int64(LANES))], inbounds=True)
            value = builder.load(builder.bitcast(place, bytes_.as_pointer()), align=1)
            found = value if found is None else builder.add(found, value)
        place = builder.bitcast(builder.gep(target, [arguments[1]], inbounds=True), lanes.as_pointer())
        widened = builder.zext(found, lanes)
        builder.store(builder.add(builder.load(place, align=2), widened), place, align=2)
        return context.get_dummy_value()

    return types.none(sums, types.int64, table, types.int64, types.int64, parts), codegen


@njit(cache=True)
def _column_sums(sums, table, planes, parts):  # type: ignore[no-untyped-def]
    """The sums of a stripe's columns, for each cycle; a byte holds those of a part of a word's rows."""
    cycles, bits, words = planes.shape
    groups = 16 // len(parts)
    sums[:] = 0
    for t in range(cycles):
        for bit in range(bits - 1, -1, -1):
            if bit < bits - 1:
                for lane in range(LANES):
                    sums[t * LANES + lane] *= 2
            for word in range(words):
                packed = planes[t, bit, word]
                for part in range(0, 16, groups):
                    row, nibbles = word * 256 + part * 16, packed >> (4 * part)
                    _add_selected(sums, t * LANES, table, row, nibbles, parts)  # type: ignore[call-arg]


@njit(cache=True)
def _code(current, top, rounding):  # type: ignore[no-untyped-def]
    """The ADC's code of a column sum; `rounding` is its rule, or None where a code is the sum itself."""
    if rounding is None:
        return min(current, top)
    return min((np.int64(current) * rounding[0] + rounding[1]) >> rounding[2], rounding[3])


@njit(cache=True)
def _convert(codes, sums, full_scale, rounding, cycle_bits, signed):  # type: ignore[no-untyped-def]
    """The shifted codes of all cycles, in the types of the arrays, which hold them."""
    sum_type, code_type = sums.dtype.type, codes.dtype.type
    codes[:] = 0
    top, one, two, three = sum_type(full_scale), cycle_bits, 2 * cycle_bits, 3 * cycle_bits
    for t in range(0, len(sums) // LANES, 4):
        shift = code_type(t * cycle_bits)
        s0, s1, s2, s3 = (
            sums[t * LANES : (t + 1) * LANES],
            sums[(t + 1) * LANES : (t + 2) * LANES],
            sums[(t + 2) * LANES : (t + 3) * LANES],
            sums[(t + 3) * LANES : (t + 4) * LANES],
        )
        for lane in range(LANES):
            c0 = sum_type(_code(s0[lane], top, rounding))
            c1 = sum_type(_code(s1[lane], top, rounding))
            c2 = sum_type(_code(s2[lane], top, rounding))
            c3 = sum_type(_code(s3[lane], top, rounding))
            low = sum_type(c0 + sum_type(c1 << one))
            high = sum_type(sum_type(c2 << two) + sum_type(c3 << three))
            codes[lane] += code_type(code_type(sum_type(low + high)) << shift)
    if signed >= 0:
        shift = code_type(signed * cycle_bits + 1)
        for lane in range(LANES):
            code = code_type(_code(sums[signed * LANES + lane], top, rounding))
            codes[lane] -= code_type(code << shift)


@cache
def _kernel(parts_of_a_word: int, sum_bits: int, code_bits: int) -> Callable[..., None]:
    """The kernel for so many parts of a word's rows, and for sums and codes of so many bits.

    It closes over plain values and types, so that numba finds it in its cache on disk.
    """
    parts = (0,) * parts_of_a_word
    sum_type: Any = {16: np.int16, 32: np.int32, 64: np.int64}[sum_bits]
    code_type: Any = {32: np.int32, 64: np.int64}[code_bits]

    @njit(cache=True, parallel=True, error_model="numpy")
    def kernel(  # type: ignore[no-untyped-def]
        total, planes, cells, weights, cycle_bits, signed, full_scale, rounding
    ):
        n, cycles, _, words = planes.shape
        stripes, digits, _, _ = cells.shape
        chunks = (n + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE
        for unit in prange(stripes * chunks):
            stripe, start = unit // chunks, (unit % chunks) * ROWS_AT_ONCE
            table = np.zeros((words * 256, LANES), np.uint8)
            sums = np.zeros(cycles * LANES, sum_type)
            codes = np.zeros(LANES, code_type)
            for digit in range(digits):
                fill_table(table, cells[stripe, digit])
                for i in range(start, min(n, start + ROWS_AT_ONCE)):
                    _column_sums(sums, table, planes[i], parts)
                    _convert(codes, sums, full_scale, rounding, cycle_bits, signed)
                    for lane in range(LANES):
                        m = stripe * LANES + lane
                        total[i, m] += weights[digit, m] * np.int64(codes[lane])

    return kernel
