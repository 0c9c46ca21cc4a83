"""Column currents of conductances in fixed point, read noise, ADC, and shift-and-add.

Conductances are integers, so a column current is one number whatever the order of its sum. Four rows share a
table of their 16 possible partial sums: a column of 128 rows costs 32 additions a read instead of 128
multiplications. Lanes of columns lie side by side in memory. The noise of a read is a function of its
place and the seed alone (a counter-based generator and Box and Muller's transform), so that neither threads
nor batches can change it.

Slow, obvious twin: ``tests/twins/crossbar.py``, `analog_product`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from xbarsim.kernels.launch import ONE_LAUNCH
from xbarsim.kernels.tables import fill_table

LANES = 32
QUIET, UNIFORM, PER_CELL = 0, 1, 2
ROWS_AT_ONCE = 256

ZERO, HALF, ONE, MINUS_TWO = (np.float32(v) for v in (0, 0.5, 1, -2))
LN2, UNIT_23, UNIT_22 = (np.float32(v) for v in (np.log(2), 2.0**-23, 2.0**-22))
# ln(1.5 + y), cos(y pi / 2) and sin(y pi / 2) / y, the latter in y**2, |y| <= 1/2: least squares at Chebyshev
# points, highest power first, written out so that no library's last digit can change a read
LOG = tuple(
    np.float32(c)
    for c in (
        -0.006151470821350813,
        0.010243828408420086,
        -0.014338342472910881,
        0.025967329740524292,
        -0.049409616738557816,
        0.09879174828529358,
        -0.22222137451171875,
        0.6666661500930786,
        0.40546509623527527,
    )
)
COS = tuple(
    np.float32(c)
    for c in (
        0.00090362987248227,
        -0.02086007036268711,
        0.25366920232772827,
        -1.2337005138397217,
        1.0,
    )
)
SIN = tuple(
    np.float32(c)
    for c in (
        0.0001582065160619095,
        -0.004681266378611326,
        0.07969257980585098,
        -0.6459640860557556,
        1.5707963705062866,
    )
)


def add_analog_codes(  # type: ignore[no-untyped-def]
    total, planes, cells, worth, sign, cycle_bits, signed, step, full_scale, noise, scale, seed, first
):
    """Add the shifted ADC codes of noisy column currents of all row blocks to `total`.

    Parameters
    ----------
    total : (n, stripes * width) int64, changed in place
    planes : (blocks, n, cycles, bits, words) int64, bit planes of the inputs
    cells : (stripes, blocks, digits, rows, LANES) int32: conductances in fixed point; with noise PER_CELL the
        first half of the lanes, and the variances of their read noise the second
    worth : (digits,) int64, what a digit is worth
    sign : (blocks, digits, stripes * width) int64, +1 or -1: inverted columns count negative
    cycle_bits : input bits a cycle
    signed : the cycle whose code counts negative, or -1
    step, full_scale : of the ADC, the step in the units of `cells`; float32
    noise : QUIET, UNIFORM or PER_CELL
    scale : float32: what one unit of the variances is worth in units of `cells` squared; with UNIFORM
        the variance of every driven cell
    seed : 64 bits, of the noise
    first : number of the first input row since the seed was drawn
    """
    with ONE_LAUNCH:
        _kernel(noise)(
            total, planes, cells, worth, sign, cycle_bits, signed, step, full_scale, scale, seed, first
        )


@intrinsic
def _add_selected(context, sums, low, high, table, row, word):  # type: ignore[no-untyped-def]
    """Sum table[row + 16 j + j-th nibble of word] over the 16 nibbles; add half the lanes at each place.

    The places are sums[low : low + LANES / 2] and sums[high : high + LANES / 2].
    """

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        half, int64 = ir.VectorType(ir.IntType(32), LANES // 2), ir.IntType(64)
        target, source = (make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 3))

        def lanes(start, index):  # type: ignore[no-untyped-def]
            return builder.bitcast(builder.gep(start, [index], inbounds=True), half.as_pointer())

        places = [lanes(target, at) for at in arguments[1:3]]
        found = [builder.load(place, align=4) for place in places]
        for j in range(16):
            nibble = builder.and_(builder.lshr(arguments[5], int64(4 * j)), int64(15))
            chosen = builder.add(builder.add(arguments[4], int64(16 * j)), nibble)
            entry = builder.mul(chosen, int64(LANES))
            for part in range(2):
                at = lanes(source, builder.add(entry, int64(part * LANES // 2)))
                found[part] = builder.add(found[part], builder.load(at, align=4))
        for place, value in zip(places, found, strict=True):
            builder.store(value, place, align=4)
        return context.get_dummy_value()

    index = types.int64
    return types.none(sums, index, index, table, index, index), codegen


@njit(inline="always")
def _mix64(x):  # type: ignore[no-untyped-def]
    """SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@intrinsic
def _scramble(context, key, number):  # type: ignore[no-untyped-def]
    """A 32-bit finaliser of low bias (Wellons, "Prospecting for hash functions", 2018) of key + number c.

    In the compiler's own terms, because numba widens 32-bit products to 64 bits, which halves the lanes.
    """

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        int32 = ir.IntType(32)
        counter = builder.mul(builder.trunc(arguments[1], int32), int32(0x9E3779B1))
        x = builder.add(arguments[0], counter)
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            x = builder.mul(builder.xor(x, builder.lshr(x, int32(shift))), int32(factor))
        return builder.xor(x, builder.lshr(x, int32(16)))

    return types.uint32(types.uint32, types.int64), codegen


@intrinsic
def _leading_zeros(context, number):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctlz(arguments[0], ir.IntType(1)(True))

    return types.uint32(types.uint32), codegen


@njit(cache=True, error_model="numpy")
def _draw(key, radius, turn):  # type: ignore[no-untyped-def]
    """Draw a point for len(turn) pairs: -2 ln u into `radius`, the bits of the angle into `turn`."""
    low, high = np.uint32(key), np.uint32(key >> np.uint64(32))
    for j in range(len(turn)):
        # u = chosen / 2**25 with an odd number: never 0 or 1
        chosen = np.uint32(_scramble(low, j) >> np.uint32(7))  # type: ignore[call-arg]
        chosen = np.uint32(chosen | np.uint32(1))
        zeros = _leading_zeros(chosen)
        mantissa = np.int32((np.uint32(chosen << zeros) >> np.uint32(8)) & np.uint32(0x7FFFFF))
        y = np.float32(mantissa) * UNIT_23 - HALF
        log = (((LOG[0] * y + LOG[1]) * y + LOG[2]) * y + LOG[3]) * y + LOG[4]
        log = (((log * y + LOG[5]) * y + LOG[6]) * y + LOG[7]) * y + LOG[8]
        radius[j] = max(MINUS_TWO * (np.float32(np.int32(6 - zeros)) * LN2 + log), ZERO)
        turn[j] = _scramble(high, j)


@njit(cache=True, error_model="numpy")
def _add_noise(first, second, first_variance, second_variance, radius, turn, scale):  # type: ignore[no-untyped-def]
    """Add Gaussian noise of these variances to two halves of currents, which share draws in the plane."""
    for j in range(len(turn)):
        quarter = np.uint32(turn[j] >> np.uint32(30))
        y = np.float32(np.int32((turn[j] >> np.uint32(8)) & np.uint32(0x3FFFFF))) * UNIT_22 - HALF
        square = y * y
        cos = (((COS[0] * square + COS[1]) * square + COS[2]) * square + COS[3]) * square + COS[4]
        sin = ((((SIN[0] * square + SIN[1]) * square + SIN[2]) * square + SIN[3]) * square + SIN[4]) * y
        odd = np.float32(np.int32(quarter & np.uint32(1)))
        even, sign = ONE - odd, ONE - np.float32(np.int32(quarter & np.uint32(2)))
        here, there = sign * (odd * sin + even * cos), sign * (odd * cos + even * sin)
        first[j] += np.sqrt(first_variance[j] * scale * radius[j]) * here
        second[j] += np.sqrt(second_variance[j] * scale * radius[j]) * there


@cache
def _kernel(noise: int) -> Callable[..., None]:
    """The kernel for one kind of noise. It closes over integers only, so that numba caches it on disk."""
    width = LANES // 2 if noise == PER_CELL else LANES

    @njit(cache=True, parallel=True, error_model="numpy")
    def kernel(  # type: ignore[no-untyped-def]
        total, planes, cells, worth, sign, cycle_bits, signed, step, full_scale, scale, seed, first
    ):
        blocks, n, cycles, _, words = planes.shape
        stripes, _, digits, _, _ = cells.shape
        reads = cycles * width
        chunks = (n + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE
        for unit in prange(stripes * chunks):
            stripe, start = unit // chunks, (unit % chunks) * ROWS_AT_ONCE
            table = np.zeros((words * 256, LANES), np.int32)
            sums = np.zeros(cycles * LANES, np.int32)
            current, variance = np.zeros(reads, np.float32), np.zeros(reads, np.float32)
            radius, turn = np.zeros(reads // 2, np.float32), np.zeros(reads // 2, np.uint32)
            codes = np.zeros(width, np.int64)
            for block in range(blocks):
                for digit in range(digits):
                    fill_table(table, cells[stripe, block, digit])
                    key = _mix64(np.uint64(seed) + np.uint64((stripe * blocks + block) * digits + digit))
                    for i in range(start, min(n, start + ROWS_AT_ONCE)):
                        _sum_currents(sums, table, planes[block, i], width)
                        for j in range(reads):
                            current[j] = np.float32(sums[j])
                        if noise == UNIFORM:
                            _count_driven(variance, planes[block, i], width)
                        if noise == PER_CELL:
                            for j in range(reads):
                                variance[j] = np.float32(sums[reads + j])
                        if noise != QUIET:
                            half = len(turn)
                            _draw(_mix64(key + np.uint64(first + i)), radius, turn)
                            _add_noise(
                                current[:half],
                                current[half:],
                                variance[:half],
                                variance[half:],
                                radius,
                                turn,
                                scale,
                            )
                        _convert(codes, current, step, full_scale, cycle_bits, signed)
                        for lane in range(width):
                            m = stripe * width + lane
                            total[i, m] += worth[digit] * sign[block, digit, m] * codes[lane]

    return kernel


@njit(cache=True)
def _sum_currents(sums, table, planes, width):  # type: ignore[no-untyped-def]
    """Column currents of every cycle: (cycles * LANES,) from (cycles, bits, words) input planes."""
    cycles, bits, words = planes.shape
    second = LANES // 2 if width == LANES else cycles * width
    sums[:] = 0
    for t in range(cycles):
        low = t * width
        for bit in range(bits - 1, -1, -1):
            if bit < bits - 1:
                for lane in range(width):
                    sums[low + lane] *= 2
            for word in range(words):
                at, row = second + low, word * 256
                _add_selected(sums, low, at, table, row, planes[t, bit, word])  # type: ignore[call-arg]


@njit(cache=True)
def _count_driven(variance, planes, width):  # type: ignore[no-untyped-def]
    """How many rows each cycle drives, for every lane, from (cycles, 1, words) input planes."""
    for t in range(len(planes)):
        driven = 0
        for word in planes[t, 0]:
            while word != 0:
                word &= word - 1
                driven += 1
        variance[t * width : (t + 1) * width] = np.float32(driven)


@njit(cache=True, error_model="numpy")
def _convert(codes, current, step, full_scale, cycle_bits, signed):  # type: ignore[no-untyped-def]
    """Convert the currents of all cycles; the codes, shifted and added, one a lane."""
    for j in range(len(current)):
        current[j] = min(max(np.floor(current[j] / step + HALF), ZERO), full_scale)
    width = len(codes)
    codes[:] = 0
    for t in range(len(current) // width):
        worth = -(1 << (t * cycle_bits)) if t == signed else 1 << (t * cycle_bits)
        for lane in range(width):
            codes[lane] += worth * np.int64(current[t * width + lane])
