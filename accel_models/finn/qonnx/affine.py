"""What an integer of a quantized network means: gain * integer + offset a channel, in fractions.

Scales, biases and batch norms behind a product are such maps, so they are collected here and end up in the
thresholds of the quantizer behind them. A ReLU in between keeps what is above a floor.

Source: Streamlined Deployment for Quantized Neural Networks (Umuroglu and Jahre, 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.layer import IntArray, Stream
from xbarsim.errors import InputError
from xbarsim.graph.thresholds import ALWAYS, batch_norm_thresholds

Numbers = tuple[Fraction, ...]
ROOT_BITS = 256


@dataclass(frozen=True)
class Affine:
    """max(gain * integer + offset, floor) of every channel; a floor of None is none."""

    gain: Numbers
    offset: Numbers
    floor: tuple[Fraction | None, ...]

    @classmethod
    def of(cls, gain: Sequence[Fraction]) -> Affine:
        """Gains alone."""
        zero = Fraction(0)
        return cls(tuple(gain), (zero,) * len(gain), (None,) * len(gain))

    def scaled(self, where: str, factor: Numbers) -> Affine:
        """Times a number a channel; a negative one cannot follow a ReLU."""
        if any(f is not None and k <= 0 for f, k in zip(self.floor, factor, strict=True)):
            raise InputError(where, "factors above 0 behind a ReLU", "others", "train without them")
        floor = (None if f is None else f * k for f, k in zip(self.floor, factor, strict=True))
        return Affine(_times(self.gain, factor), _times(self.offset, factor), tuple(floor))

    def shifted(self, term: Numbers) -> Affine:
        """Plus a number a channel."""
        offset = (o + t for o, t in zip(self.offset, term, strict=True))
        floor = (None if f is None else f + t for f, t in zip(self.floor, term, strict=True))
        return replace(self, offset=tuple(offset), floor=tuple(floor))

    def rectified(self) -> Affine:
        """max(., 0)."""
        zero = Fraction(0)
        return replace(self, floor=tuple(zero if f is None else max(f, zero) for f in self.floor))

    def normalized(self, where: str, parts: Sequence[Numbers], eps: Fraction) -> Affine:
        """Batch norm with (gamma, beta, mean, var), in that order."""
        gamma, beta, mean, var = parts
        if min(v + eps for v in var) <= 0:
            raise InputError(where, "variances above 0", float(min(var)), "train or export it again")
        factor = tuple(g / root(v + eps) for g, v in zip(gamma, var, strict=True))
        return self.shifted(tuple(-m for m in mean)).scaled(where, factor).shifted(beta)


@dataclass(frozen=True)
class Quantizer:
    """Counts the cuts that a number passes; what comes out is scale * (a value of the stream).

    Parameters
    ----------
    cuts : (1, n) or (channels, n) fractions, ascending
    inclusive : (n,) whether a number at a cut passes it
    """

    stream: Stream
    scale: Fraction
    cuts: NDArray[np.object_]
    inclusive: tuple[bool, ...]

    def thresholds(self, before: Affine) -> tuple[IntArray, IntArray]:
        """(channels, n) thresholds on the integers whose meaning is `before`, and a sign a channel.

        The weights of channels with sign -1 must be negated; see `batch_norm_thresholds`.
        """
        rows = len(before.gain)
        cuts = np.broadcast_to(self.cuts, (rows, self.cuts.shape[1]))
        found, sign = batch_norm_thresholds(
            np.array(before.gain), np.array(before.offset), 0, 1, 0, cuts, 1, inclusive=self.inclusive
        )
        for row, floor in enumerate(before.floor):
            if floor is not None:
                pairs = zip(cuts[row], self.inclusive, strict=True)
                passed = sum(floor >= cut if reached else floor > cut for cut, reached in pairs)
                found[row, :passed] = ALWAYS
        return found, sign


def exact(where: str, values: NDArray, count: int) -> Numbers:
    """Numbers of a file as fractions, one a channel; a single one serves all."""
    flat = np.asarray(values).reshape(-1)
    if flat.size not in (1, count):
        raise InputError(where, f"1 or {count} numbers", flat.size)
    if not np.isfinite(flat).all():
        raise InputError(where, "finite numbers", "NaN or infinity", "train or export it again")
    numbers = tuple(Fraction(value) for value in flat.tolist())
    return numbers * count if len(numbers) == 1 else numbers


def root(square: Fraction) -> Fraction:
    """Square root to at least 256 significant bits; exact where it is a fraction itself.

    >>> root(Fraction(9, 4)), float(root(Fraction(2)))
    (Fraction(3, 2), 1.4142135623730951)
    """
    n, d = square.numerator, square.denominator
    return Fraction(isqrt(n * d << 2 * ROOT_BITS), d << ROOT_BITS)


def _times(numbers: Numbers, factor: Numbers) -> Numbers:
    return tuple(n * k for n, k in zip(numbers, factor, strict=True))
