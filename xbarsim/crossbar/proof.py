"""The proof that an ADC cannot change an output, so that it collapses to a product.

A column's possible sums are those of its stored levels, faults included, times input digits. The code stands
for the sum exactly, whatever the input, if and only if the largest sum fits the codes and every level is a
multiple of the step (each level alone is a possible sum).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.config import ArrayConfig

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class CollapseProof:
    """What the ADC may do to each output, (blocks, M) each.

    Attributes
    ----------
    may_clip : a column's largest sum exceeds the largest code
    may_round : some sum of a column lies between two codes
    largest_sum : the largest sum of any of the output's columns
    adc_limit : the largest sum that the ADC passes, one number
    """

    may_clip: NDArray[np.bool_]
    may_round: NDArray[np.bool_]
    largest_sum: IntArray
    adc_limit: float

    @property
    def proven(self) -> NDArray[np.bool_]:
        """(blocks, M): the output is a product with the effective weights over this row block."""
        return ~(self.may_clip | self.may_round)


@dataclass(frozen=True, kw_only=True)
class CollapseShares:
    """What the proofs of a layer come to: shares of its (row block, output) pairs.

    Attributes
    ----------
    proven : collapsed to a product
    may_clip, may_round : simulated bit by bit, and why; a pair can be both
    largest_sum, adc_limit : the largest column sum there can be, and the largest that every group's ADC
        passes, in levels
    """

    proven: float
    may_clip: float
    may_round: float
    largest_sum: int
    adc_limit: float

    @property
    def reason(self) -> str:
        """Why not everything collapses, in words; empty if it does."""
        causes = []
        if self.may_clip:
            causes.append(
                f"{self.may_clip:.1%} may clip: sums up to {self.largest_sum}, ADC {self.adc_limit:g}"
            )
        if self.may_round:
            causes.append(f"{self.may_round:.1%} may fall between two codes")
        return "; ".join(causes)


def collapse_shares(proofs: Sequence[CollapseProof]) -> CollapseShares:
    """Add up the proofs of a layer's matrices."""

    def share(pairs: Callable[[CollapseProof], NDArray[np.bool_]]) -> float:
        return float(np.mean(np.concatenate([pairs(p).ravel() for p in proofs])))

    return CollapseShares(
        proven=share(lambda p: p.proven),
        may_clip=share(lambda p: p.may_clip),
        may_round=share(lambda p: p.may_round),
        largest_sum=max(int(p.largest_sum.max()) for p in proofs),
        adc_limit=min(p.adc_limit for p in proofs),
    )


def prove(words: IntArray, config: ArrayConfig) -> CollapseProof:
    """Look at the (K, M) words that the cells hold, row block by row block."""
    largest = level_sums(words, config).max(axis=0) * ((1 << config.dac_bits) - 1)
    may_round = np.zeros(largest.shape, np.bool_)
    if config.step.numerator > 1:
        form, starts = config.format, _block_starts(words, config)
        for digit in range(form.digits):
            between = form.level(words, digit) % config.step.numerator != 0
            may_round |= np.logical_or.reduceat(between, starts, axis=0)
    return CollapseProof(
        may_clip=largest * config.step.denominator > config.adc.full_scale * config.step.numerator,
        may_round=may_round,
        largest_sum=largest,
        adc_limit=float(config.adc.full_scale * config.step),
    )


def level_sums(words: IntArray, config: ArrayConfig) -> IntArray:
    """Sum of the levels of every column: (digits, blocks, M) int64 of (K, M) words."""
    starts, form = _block_starts(words, config), config.format
    return np.stack([np.add.reduceat(form.level(words, d), starts, axis=0) for d in range(form.digits)])


def _block_starts(words: IntArray, config: ArrayConfig) -> IntArray:
    return np.arange(0, len(words), config.rows)
