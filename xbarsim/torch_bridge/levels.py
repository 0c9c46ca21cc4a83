"""What a quantizer of activations gives, and where it decides."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True)
class Levels:
    """low + step * how many of `cuts` a number y has passed.

    Parameters
    ----------
    low, step : integers
    cuts : ascending numbers
    inclusive : for each cut, whether y = cut passes it
    bits, signed : what a product has to take as its inputs
    scale : what one step of the integers stands for in the module

    >>> Levels(low=-1, step=2, cuts=(Fraction(0),), inclusive=(True,), bits=2, signed=True).values
    (-1.0, 1.0)
    """

    low: int
    step: int
    cuts: tuple[Fraction, ...]
    inclusive: tuple[bool, ...]
    bits: int
    signed: bool
    scale: Fraction = Fraction(1)

    @property
    def values(self) -> tuple[float, ...]:
        """All that comes out in the module, ascending."""
        return tuple(float(self.scale * (self.low + self.step * i)) for i in range(len(self.cuts) + 1))
