"""An operator of an ONNX file with its constants; whatever is read from it is checked.

Constants that a quantizer made keep their integers and their scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError, check_number

CLEAN = "run qonnx-cleanup on the file first"


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of the file: integers times a scale where a quantizer made it, plain numbers elsewhere.

    Parameters
    ----------
    numbers : any shape; integers if `scale` is given
    scale : of the same shape; None for plain numbers
    bits : of the integers; 0 if not known
    """

    numbers: NDArray
    scale: NDArray | None = None
    bits: int = 0

    @property
    def values(self) -> NDArray[np.float64]:
        """What the array means."""
        with np.errstate(invalid="ignore"):  # NaN, which is refused where it matters
            plain = self.numbers.astype(np.float64)
        return plain if self.scale is None else plain * self.scale

    def transposed(self, axes: list[int]) -> Constant:
        """The same with its axes in another order."""
        scale = None if self.scale is None else self.scale.transpose(axes)
        return Constant(self.numbers.transpose(axes), scale, self.bits)


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator of the line.

    Parameters
    ----------
    data : which of its inputs is the data
    constants : the others, by position; optional ones that are left out are missing
    """

    name: str
    kind: str
    data: int
    constants: dict[int, Constant]
    attributes: dict[str, Any]

    @property
    def where(self) -> str:
        """How errors call it."""
        return f"node {self.name!r} ({self.kind})"

    def constant(self, position: int) -> Constant:
        """An input that has to be a constant."""
        if position not in self.constants:
            raise InputError(self.where, f"a constant as input {position}", "none", CLEAN)
        return self.constants[position]

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """An attribute that is a list of whole numbers."""
        found = self.attributes.get(name, default)
        if not isinstance(found, list | tuple) or not all(isinstance(n, int) for n in found):
            raise InputError(f"{self.where}: {name}", "whole numbers", repr(found)[:60])
        return tuple(found)

    def integer(self, name: str, default: int) -> int:
        """An attribute that is a whole number (Gemm's alpha and beta may be 1.0)."""
        found = self.attributes.get(name, default)
        if not isinstance(found, int | float) or found != found // 1:
            raise InputError(f"{self.where}: {name}", "a whole number", repr(found)[:60])
        return int(found)

    def real(self, name: str, default: float) -> float:
        """An attribute that is a finite number."""
        return check_number(f"{self.where}: {name}", self.attributes.get(name, default), -1e30, 1e30)

    def text(self, name: str, default: str) -> str:
        """An attribute that is a word."""
        return str(self.attributes.get(name, default))

    def number(self, position: int) -> float:
        """A constant input that has to be one number."""
        values = self.constant(position).values.reshape(-1)
        if not values.size or (values != values[0]).any() or not np.isfinite(values[0]):
            expected = f"one finite number as input {position}"
            raise InputError(self.where, expected, f"shape {values.shape}", "quantize per tensor")
        return float(values[0])
