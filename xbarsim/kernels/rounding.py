"""Integers brought to few bits in one pass: y = clip(floor((x m + offset) / 2**n) + zero), exactly.

Integers are held in floats. The quotient is worked out in float64, with a bound on its error; where it lies
so near to an integer that the error could matter, the block is done again in integers. Slow, obvious twins:
the `forward` of the nodes that these kernels serve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xbarsim.kernels.launch import over_parts

VALUES = 4096  # that are done again at a time
ROUNDINGS = 2.0**-50  # more than the relative error of two roundings of float64
EXACT = 2**51  # what is multiplied is smaller

IntArray = NDArray[np.int64]
Floats = NDArray[np.floating]


class Limits(NamedTuple):
    """Smallest and largest result, and the results from which on, downwards and upwards, they are counted."""

    low: float
    high: float
    below: float = -np.inf
    above: float = np.inf


class Rounding(NamedTuple):
    """What a kernel makes of an integer x of a channel: floor((x m + offset) / 2**n) + zero.

    `multipliers`, `offsets` (halves included) and `shifts` are (channels,) int64; `scales` and `starts` the
    same as numbers in float64; `margin` is how far from an integer a quotient is beyond doubt.
    """

    multipliers: IntArray
    offsets: IntArray
    shifts: IntArray
    scales: NDArray[np.float64]
    starts: NDArray[np.float64]
    margin: float
    zero: int
    limits: Limits


def rounding(
    multipliers: IntArray,
    offsets: IntArray,
    shifts: IntArray,
    zero: int,
    limits: Limits,
    largest: float = 0.0,
) -> Rounding:
    """Prepare a `Rounding`, halves up, from (channels,) multipliers, offsets and shifts of at least 0.

    A sum of two products has one shift and one offset for both multipliers; `largest` is the magnitude of
    what is multiplied then, since the products may cancel.
    """
    multipliers, offsets, shifts = (np.ascontiguousarray(v, np.int64) for v in (multipliers, offsets, shifts))
    offsets = offsets + np.where(shifts > 0, np.int64(1) << np.maximum(shifts - 1, 0), 0)
    starts = np.ldexp(offsets.astype(np.float64), -shifts)
    # results beyond the limits saturate on the right side whatever the error; those within are no larger
    scales = np.ldexp(multipliers.astype(np.float64), -shifts)
    reach = max(abs(limits.low), abs(limits.high)) + abs(zero) + 2 + largest * np.abs(scales).sum()
    exact = _never_rounds(multipliers, offsets, shifts, largest or EXACT)
    margin = 0.0 if exact else 2 * float(reach + np.abs(starts).max(initial=0)) * ROUNDINGS
    return Rounding(multipliers, offsets, shifts, scales, starts, margin, zero, limits)


def _never_rounds(multipliers: IntArray, offsets: IntArray, shifts: IntArray, largest: float) -> bool:
    """Whether x m + offset, of |x| up to `largest`, fits float64 once common powers of two are left out."""
    bits = multipliers | offsets | (np.int64(1) << shifts)
    common = bits & -bits
    small = np.abs(multipliers) // common * float(largest) <= EXACT
    return bool(small.all() and (np.abs(offsets) // common < EXACT).all())


def round_channels(sums: Floats, to: Rounding) -> tuple[NDArray[np.float32], int]:
    """Bring (n, channels) integers, exact in float32 or float64, to a grid; and count what was limited."""
    sums = np.ascontiguousarray(sums)
    out = np.empty(sums.shape, np.float32)
    channels = sums.shape[1]
    tables = [to.multipliers, to.offsets, to.shifts, to.scales, to.starts]
    if len(to.scales) == 1:
        tables = [np.repeat(table, channels) for table in tables]
    ends = float(to.zero), *map(float, to.limits)

    def part(start: int, stop: int) -> int:
        return int(_channels(sums[start:stop], *tables, to.margin, *ends, out[start:stop]))

    return out, over_parts(part, len(sums), sums.size)


def round_pairs(
    first: NDArray[np.float32], second: NDArray[np.float32], to: Rounding
) -> tuple[NDArray[np.float32], int]:
    """Bring the sum of two (n,) tensors of integers, each times a multiplier of its own, to a grid."""
    out = np.empty(len(first), np.float32)
    place = int(to.offsets[0]), int(to.shifts[0]), float(to.starts[0])
    ends = float(to.zero), *map(float, to.limits)

    def part(start: int, stop: int) -> int:
        here = first[start:stop], second[start:stop]
        return int(_pairs(*here, to.multipliers, to.scales, *place, to.margin, *ends, out[start:stop]))

    return out, over_parts(part, len(out), len(out))


@njit(cache=True, nogil=True, error_model="numpy")
def _block_of_channels(  # type: ignore[no-untyped-def]
    sums, multipliers, offsets, shifts, scales, starts, margin, zero, low, high, below, above, out
):
    """How many results lie outside below..above."""
    rows, channels = sums.shape
    unsure, outside = 0, 0
    for i in range(rows):
        for c in range(channels):
            quotient = np.float64(sums[i, c]) * scales[c] + starts[c]
            down = np.floor(quotient)
            rest = quotient - down
            unsure += int(rest < margin) + int(rest > 1.0 - margin)
            found = down + zero
            outside += int(found < below) + int(found > above)
            out[i, c] = np.float32(min(max(found, low), high))
    if unsure == 0:
        return outside
    outside = 0
    for i in range(rows):
        for c in range(channels):
            exact = (np.int64(sums[i, c]) * multipliers[c] + offsets[c]) >> shifts[c]
            found = np.float64(exact) + zero
            outside += int(found < below) + int(found > above)
            out[i, c] = np.float32(min(max(found, low), high))
    return outside


@njit(cache=True, nogil=True)
def _channels(  # type: ignore[no-untyped-def]
    sums, multipliers, offsets, shifts, scales, starts, margin, zero, low, high, below, above, out
):
    """Block by block; how many results lie outside below..above."""
    rows, outside = max(1, VALUES // max(1, sums.shape[1])), 0
    for start in range(0, len(sums), rows):
        outside += _block_of_channels(
            sums[start : start + rows], multipliers, offsets, shifts, scales, starts, margin, zero, low, high,
            below, above, out[start : start + rows],
        )  # fmt: skip
    return outside


@njit(cache=True, nogil=True, error_model="numpy")
def _block_of_pairs(  # type: ignore[no-untyped-def]
    first, second, multipliers, scales, offset, shift, begin, margin, zero, low, high, below, above, out
):
    """How many results lie outside below..above."""
    unsure, outside = 0, 0
    one, two = scales[0], scales[1]
    for i in range(len(out)):
        quotient = np.float64(first[i]) * one + (np.float64(second[i]) * two + begin)
        down = np.floor(quotient)
        rest = quotient - down
        unsure += int(rest < margin) + int(rest > 1.0 - margin)
        found = down + zero
        outside += int(found < below) + int(found > above)
        out[i] = np.float32(min(max(found, low), high))
    if unsure == 0:
        return outside
    outside = 0
    for i in range(len(out)):
        here = np.int64(first[i]) * multipliers[0] + np.int64(second[i]) * multipliers[1]
        exact = (here + offset) >> shift
        found = np.float64(exact) + zero
        outside += int(found < below) + int(found > above)
        out[i] = np.float32(min(max(found, low), high))
    return outside


@njit(cache=True, nogil=True)
def _pairs(  # type: ignore[no-untyped-def]
    first, second, multipliers, scales, offset, shift, begin, margin, zero, low, high, below, above, out
):
    """Block by block; how many results lie outside below..above."""
    outside = 0
    for start in range(0, len(out), VALUES):
        stop = start + VALUES
        outside += _block_of_pairs(
            first[start:stop], second[start:stop], multipliers, scales, offset, shift, begin, margin, zero,
            low, high, below, above, out[start:stop],
        )  # fmt: skip
    return outside
