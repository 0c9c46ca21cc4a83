"""From one grid to another in integers: multiply, shift, round half up, saturate.

y = clamp(((x - zero_x) * m + offset) / 2**n rounded half up + zero_y), with an m and an n a channel that
stand for scale_x / scale_y: what the requantization units of integer accelerators do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbarsim.errors import InputError
from xbarsim.graph.grid import FloatArray, Grid, IntArray
from xbarsim.graph.nodes import Node, integer_range

MOST_BITS, FEWEST_BITS, WORD = 31, 15, 62


def multipliers(ratios: FloatArray, largest: int, where: str = "scale") -> tuple[IntArray, IntArray]:
    """(m, n) with m / 2**n nearest to every ratio: as many bits of m as keep largest * m in 63 bits with
    sign.

    Parameters
    ----------
    ratios : (channels,) above 0
    largest : magnitude of the integers that are multiplied

    Raises
    ------
    InputError : integers so large that m had fewer than 15 bits; ratios that no m and n stand for.

    >>> multipliers(np.array([0.75]), 100)
    (array([1610612736]), array([31]))
    """
    bits = min(MOST_BITS, WORD - int(largest).bit_length())
    if bits < FEWEST_BITS:
        expected = f"sums of at most {WORD - FEWEST_BITS} bits"
        raise InputError(where, expected, f"{int(largest).bit_length()} bits", "quantize to fewer bits")
    mantissa, exponent = np.frexp(np.asarray(ratios, np.float64))
    shift = bits - exponent.astype(np.int64)
    places = np.where(shift > WORD, bits - (shift - WORD), bits)  # so small that fewer bits matter
    found = np.floor(np.ldexp(mantissa, np.maximum(places, -1)) + 0.5).astype(np.int64)
    shift = np.minimum(shift, WORD)
    if (shift < 0).any():
        got = f"{float(np.max(ratios)):.3g}"
        raise InputError(where, f"scales of a ratio below 2**{bits}", got, "scale the network or the inputs")
    return found, shift


def affine_multipliers(
    gains: FloatArray, shifts: FloatArray, largest: int, where: str = "scale"
) -> tuple[IntArray, IntArray, IntArray]:
    """(m, n, offset) with (x m + offset) / 2**n nearest to gain x + shift, channel by channel; see
    `multipliers`.

    Parameters
    ----------
    gains, shifts : (channels,) or (1,), of any sign, in steps of the output
    """
    gains, shifts = np.broadcast_arrays(np.atleast_1d(gains), np.atleast_1d(shifts))
    factors, places = multipliers(gains, largest, where)
    # the sum has to fit as well: with an offset far above the gain, fewer bits of the gain matter
    room = WORD - 2 - np.frexp(np.abs(shifts))[1].astype(np.int64)
    if (room < 0).any():
        raise InputError(
            where, f"shifts below 2**{WORD - 2} steps", f"{np.abs(shifts).max():.3g}", "scale it"
        )
    less = np.maximum(places - room, 0)
    factors, places = round_shifts(factors, less), places - less
    return factors, places, np.floor(np.ldexp(shifts, places) + 0.5).astype(np.int64)


def _per_channel(values: IntArray, dimensions: int, axis: int) -> IntArray:
    if values.size == 1:
        return values.reshape(())
    shape = [1] * dimensions
    shape[axis] = -1
    return values.reshape(shape)


def round_shifts(values: IntArray, shifts: IntArray) -> IntArray:
    """values / 2**shifts rounded half up, elementwise; shifts of at least 0."""
    half = np.where(shifts > 0, np.int64(1) << np.maximum(shifts - 1, 0), 0)
    return (values + half) >> shifts


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantizer(Node):
    """A node whose integers are of few bits: what does not fit saturates.

    Parameters
    ----------
    scale, zero : what its integers stand for
    bits, signed : of them
    meant : whether it is the network that cuts off at the low and at the high end (ReLU, ReLU6)
    """

    scale: float
    zero: int = 0
    bits: int
    signed: bool = False
    meant: tuple[bool, bool] = (False, False)

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """Its own."""
        return Grid(scale=self.scale, zero=self.zero)

    def forward(self, *values: IntArray) -> IntArray:
        """Round, then saturate."""
        unbounded = self.unbounded(*values)
        return np.clip(unbounded, *integer_range(self.bits, self.signed), out=unbounded)

    def unbounded(self, *values: IntArray) -> IntArray:
        """The integers before they saturate."""
        raise TypeError(f"{type(self).__name__} has no integers to round")

    def saturated(self, *values: IntArray) -> int:
        """How many values saturate by more than a rounding where the network does not mean it."""
        low, high = integer_range(self.bits, self.signed)
        found = self.unbounded(*values)
        below = 0 if self.meant[0] else int(np.count_nonzero(found < low - 1))
        return below + (0 if self.meant[1] else int(np.count_nonzero(found > high + 1)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Rescale(Quantizer):
    """One tensor on another grid, perhaps by another factor a channel and with something added.

    Parameters
    ----------
    multipliers, shifts : (channels,) or (1,), from `multipliers`
    offsets : what is added, in 2**-shift of a step of the output; the same shape
    source_zero : the source's zero point
    axis : of the channels
    """

    multipliers: IntArray
    shifts: IntArray
    offsets: IntArray
    source_zero: int = 0
    axis: int = 1

    def unbounded(self, *values: IntArray) -> IntArray:
        """Multiply, add, shift."""
        x = values[0] - self.source_zero if self.source_zero else values[0]
        m, n, b = (_per_channel(v, x.ndim, self.axis) for v in (self.multipliers, self.shifts, self.offsets))
        found = round_shifts(x * m + b, n)
        found += self.zero
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Slopes(Quantizer):
    """One tensor on another grid, by another factor below zero, perhaps one a channel: PReLU.

    Parameters
    ----------
    multipliers, shifts : (channels,) or (1,), of what is not below zero; from `multipliers`
    multipliers_below, shifts_below : the same of what is
    source_zero : the source's zero point
    axis : of the channels
    """

    multipliers: IntArray
    shifts: IntArray
    multipliers_below: IntArray
    shifts_below: IntArray
    source_zero: int = 0
    axis: int = 1

    def unbounded(self, *values: IntArray) -> IntArray:
        """Multiply by the factor of the sign, shift."""
        x = values[0] - self.source_zero
        above, n, below, n_below = (
            _per_channel(v, x.ndim, self.axis)
            for v in (self.multipliers, self.shifts, self.multipliers_below, self.shifts_below)
        )
        found = np.where(x < 0, round_shifts(x * below, n_below), round_shifts(x * above, n))
        return found + self.zero


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedSum(Quantizer):
    """The sum of tensors on grids of their own, broadcast against each other, some perhaps negative.

    Parameters
    ----------
    multipliers : one a source; their ratio to the output's scale is multiplier / 2**shift
    source_zeros : one a source
    """

    multipliers: tuple[int, ...]
    shift: int
    source_zeros: tuple[int, ...]

    def unbounded(self, *values: IntArray) -> IntArray:
        """Multiply, add up, shift."""
        weighed = zip(values, self.multipliers, self.source_zeros, strict=True)
        total = sum((x - zero) * m for x, m, zero in weighed)
        found = round_shifts(np.asarray(total), np.asarray(self.shift))
        return found + self.zero


def shared_multipliers(
    ratios: Sequence[float], largest: int, where: str = "scale"
) -> tuple[tuple[int, ...], int]:
    """Multipliers with one shift for all ratios, negative ones among them; see `multipliers`."""
    top = max(map(abs, ratios))
    (_,), (shift,) = multipliers(np.array([top]), largest * len(ratios), where)
    return tuple(int(np.floor(np.ldexp(ratio, shift) + 0.5)) for ratio in ratios), int(shift)
