"""Requantization, slow and obvious: fractions and integers of Python, one number at a time."""

from fractions import Fraction
from math import floor


def rounded(number):
    """The nearest integer to a fraction, halves up."""
    return floor(number + Fraction(1, 2))


def clipped(number, bits, signed):
    """The nearest integer of so many bits."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return min(max(number, low), high)


def rescaled(x, multiplier, shift, offset, source_zero, zero):
    """((x - source_zero) * m + offset) / 2**n rounded half up, + zero: before it saturates."""
    return rounded(Fraction((x - source_zero) * multiplier + offset, 2**shift)) + zero


def sloped(x, above, below, source_zero, zero):
    """x - source_zero by (m, n), m / 2**n, of its sign, rounded half up, + zero: before it saturates."""
    multiplier, shift = below if x < source_zero else above
    return rescaled(x, multiplier, shift, 0, source_zero, zero)


def weighted_sum(values, multipliers, shift, source_zeros, zero):
    """The sum of (x - zero) * m over 2**n rounded half up, + zero: before it saturates."""
    terms = zip(values, multipliers, source_zeros, strict=True)
    return rounded(Fraction(sum((x - z) * m for x, m, z in terms), 2**shift)) + zero


def saturated(numbers, bits, signed, meant):
    """How many lie beyond the integers of so many bits by more than one, where that is not meant."""
    below = 0 if meant[0] else sum(n < clipped(n, bits, signed) - 1 for n in numbers)
    return below + (0 if meant[1] else sum(n > clipped(n, bits, signed) + 1 for n in numbers))
