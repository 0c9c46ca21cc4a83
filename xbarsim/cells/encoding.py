"""Weights as digits in cells: SLC or MLC levels, three encodings, and their inverse.

A weight q of b bits becomes D digits of c bits that sit side by side on one word line. A *word* packs the
levels of these D cells into one integer, digit d at bit c * d, so that a fault in any cell is a bit
operation on the word. Every encoding is linear in the levels::

    q = sum_d significance[d] * level[d] - zero

Source: ISAAC (ISCA 2016), section 5, for the offset encoding; the others are textbook.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbarsim.arrays import INTEGERS, check_array
from xbarsim.errors import InputError, check_choice, check_int
from xbarsim.hints import check_fields

IntArray = NDArray[np.int64]
ENCODINGS = ("offset", "twos_complement", "differential")


@dataclass(frozen=True, kw_only=True)
class WeightFormat:
    """How a signed integer weight is stored in cells.

    Parameters
    ----------
    weight_bits : 2..16, -2**(b-1) <= q < 2**(b-1) (differential: |q| < 2**(b-1))
    cell_bits : 1 (SLC) .. 4
    encoding : 'offset', 'twos_complement' (SLC only) or 'differential'
    """

    weight_bits: int = 16
    cell_bits: int = 2
    encoding: str = "offset"

    def __post_init__(self) -> None:
        check_fields(self)
        check_int("WeightFormat.weight_bits", self.weight_bits, 2, 16)
        check_int("WeightFormat.cell_bits", self.cell_bits, 1, 4)
        check_choice("WeightFormat.encoding", self.encoding, ENCODINGS)
        if self.encoding == "twos_complement" and self.cell_bits > 1:
            raise InputError(
                "WeightFormat.cell_bits",
                "1 for twos_complement (a multi-bit top digit is not linear in its level)",
                self.cell_bits,
                "use offset or differential",
            )

    @property
    def levels(self) -> int:
        """Number of levels of a cell, L = 2**cell_bits."""
        return 1 << self.cell_bits

    @cached_property
    def digits(self) -> int:
        """Cells a weight takes; both halves of a differential pair count."""
        if self.encoding == "differential":
            return 2 * self._half_digits
        return -(-self.weight_bits // self.cell_bits)

    @cached_property
    def significance(self) -> IntArray:
        """(digits,) int64: what one level of digit d is worth in the result."""
        if self.encoding == "differential":
            half = np.int64(self.levels) ** np.arange(self._half_digits)
            return np.concatenate([half, -half])
        worth = np.int64(self.levels) ** np.arange(self.digits)
        if self.encoding == "twos_complement":
            worth[-1] = -worth[-1]
        return worth

    @property
    def zero(self) -> int:
        """The constant taken off the decoded sum: 2**(b-1) for offset, else 0."""
        return 1 << (self.weight_bits - 1) if self.encoding == "offset" else 0

    @property
    def low(self) -> int:
        """Smallest weight that can be stored."""
        top = 1 << (self.weight_bits - 1)
        return -top + 1 if self.encoding == "differential" else -top

    @property
    def high(self) -> int:
        """Largest weight that can be stored."""
        return (1 << (self.weight_bits - 1)) - 1

    @property
    def word_mask(self) -> int:
        """All cell bits of a word set."""
        return (1 << (self.digits * self.cell_bits)) - 1

    @property
    def _half_digits(self) -> int:
        return -(-(self.weight_bits - 1) // self.cell_bits)

    def encode(self, weights: NDArray[np.integer]) -> IntArray:
        """Turn integer weights into words of packed levels, same shape, int64.

        Raises
        ------
        InputError : a weight does not fit.

        >>> WeightFormat(weight_bits=4, cell_bits=2).encode(np.array([-8, 0, 7]))
        array([ 0,  8, 15])
        """
        q = check_array("weights", weights, ("...",), kinds=INTEGERS).astype(np.int64)
        if q.size and (q.min() < self.low or q.max() > self.high):
            raise InputError(
                "weights",
                f"integers in {self.low}..{self.high} ({self.weight_bits} bits, {self.encoding})",
                f"{q.min()}..{q.max()}",
                "quantize with the same number of bits",
            )
        return self.pack(q)

    def pack(self, q: Any) -> Any:
        """`encode` without checks, in operators alone: int64 arrays of numpy or torch, on any device."""
        if self.encoding == "offset":
            return q + self.zero
        if self.encoding == "twos_complement":
            return q & self.word_mask
        half = self._half_digits * self.cell_bits
        return q * (q > 0) | (-q * (q < 0) << half)

    def decode(self, words: Any) -> Any:
        """Turn words (with or without faults) back into the weights they act as; numpy or torch int64.

        >>> WeightFormat(weight_bits=4, cell_bits=2).decode(np.array([0, 8, 15]))
        array([-8,  0,  7])
        """
        if self.encoding == "offset":
            return words - self.zero
        if self.encoding == "twos_complement":
            return words - ((words >> (self.weight_bits - 1)) << self.weight_bits)
        half = self._half_digits * self.cell_bits
        return (words & ((1 << half) - 1)) - (words >> half)

    def level(self, words: NDArray[np.integer], digit: int) -> IntArray:
        """Levels of one digit of every word, same shape, 0..L-1."""
        return (np.asarray(words, dtype=np.int64) >> (digit * self.cell_bits)) & (self.levels - 1)
