"""What integers stand for: scales and zero points."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The numbers scale * (integer - zero).

    Parameters
    ----------
    scale : above 0; of accumulators perhaps one a channel, (channels,)
    zero : the integer that stands for 0
    axis : of the channels in a tensor, where there is a scale for each

    >>> Grid(scale=0.5, zero=3).to_numbers(np.array([3, 5]))
    array([0., 1.])
    """

    scale: float | FloatArray
    zero: int = 0
    axis: int = 1

    @property
    def fraction(self) -> int:
        """Binary places after the point.

        Raises
        ------
        InputError : a scale that is no power of two, a zero point, a scale per channel.
        """
        expected, remedy = "one power of two", "quantize with scales='power-of-two'"
        if np.ndim(self.scale):
            raise InputError("scale", expected, "one a channel", remedy)
        mantissa, exponent = frexp(float(self.scale))
        if mantissa != 0.5 or self.zero:
            got = f"{self.scale:g}" + (f" with zero at {self.zero}" if self.zero else "")
            raise InputError("scale", expected, got, remedy)
        return 1 - exponent

    @property
    def is_fixed_point(self) -> bool:
        """Whether it is a power of two without a zero point."""
        return not np.ndim(self.scale) and not self.zero and frexp(float(self.scale))[0] == 0.5

    def along(self, dimensions: int) -> float | FloatArray:
        """The scale, shaped to multiply a tensor of so many dimensions."""
        if not np.ndim(self.scale):
            return self.scale
        shape = [1] * dimensions
        shape[self.axis] = -1
        return np.reshape(self.scale, shape)

    def to_numbers(self, integers: IntArray) -> FloatArray:
        """What integers (N, ...) stand for: float64."""
        return (integers - self.zero).astype(np.float64) * self.along(integers.ndim)

    def to_integers(self, numbers: NDArray, low: int, high: int) -> IntArray:
        """The nearest integers in low..high, halves up; NaN becomes the zero point."""
        scaled = np.asarray(numbers, np.float64) / self.along(np.ndim(numbers))
        rounded = np.clip(np.floor(scaled + (self.zero + 0.5)), low, high)
        return np.nan_to_num(rounded, nan=self.zero).astype(np.int64)


def free_grid(low: float, high: float, bits: int) -> Grid:
    """The finest grid of unsigned integers of `bits` bits that reaches from low to high, and holds 0.

    >>> found = free_grid(-1.0, 3.0, 2)
    >>> found.zero, round(found.scale, 3)
    (1, 1.333)
    """
    low, high = min(low, 0.0), max(high, 0.0)
    top = (1 << bits) - 1
    if high == low:
        return Grid(scale=1.0)
    scale = (high - low) / top
    if not np.isfinite(scale) or scale < np.finfo(np.float64).tiny:
        raise InputError("scale", "a range that floats can divide", f"{low:g}..{high:g}", "scale the network")
    return Grid(scale=scale, zero=int(np.floor(-low / scale + 0.5)))
