"""What the contract of chips is tested with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A healthy chip and what is done to it.

    Attributes
    ----------
    inputs : (N, *input_shape) floats, N of 4 or more
    first, second : faults of the chip's kind, each of which changes some score of `inputs`
    elsewhere : faults of the same kind at places that the chip does not have
    """

    chip: Any
    inputs: NDArray
    first: Any
    second: Any
    elsewhere: Any
