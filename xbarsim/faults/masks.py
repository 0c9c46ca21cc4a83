"""Faults of a layer's cells as three integer masks on its words.

A weight's cells are the digits of its word, so any set of stuck cells is ``(word & keep) | force``, and any
set of soft faults is an XOR before it::

    faulty = ((word ^ flip) & keep) | force

The masks act on *stored* words. `logical` turns them into masks on the words before ISAAC's inverted
storage, which is what training needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.faults.kinds import FaultKind, are_permanent

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CellMasks:
    """Keep, force and flip masks of one layer, int64, in the shape of its words."""

    keep: IntArray
    force: IntArray
    flip: IntArray

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> CellMasks:
        """Masks of a layer without faults."""
        return cls(keep=np.full(shape, -1), force=np.zeros(shape, np.int64), flip=np.zeros(shape, np.int64))

    def apply(self, words: IntArray) -> IntArray:
        """The words that the faulty cells hold."""
        return ((words ^ self.flip) & self.keep) | self.force

    def logical(self, inversion: IntArray) -> CellMasks:
        """The same faults as masks on words before inverted storage (`inversion`: bits stored inverted).

        Exact because an inverted digit is L - 1 - level = level XOR (L - 1) for L a power of two.
        """
        return CellMasks(keep=self.keep, force=(self.force ^ inversion) & ~self.keep, flip=self.flip)


def masks_of_cells(
    words: IntArray,
    *,
    weight: IntArray,
    digit: IntArray,
    kind: NDArray[np.uint8],
    value: NDArray[np.int8],
    cell_bits: int,
) -> CellMasks:
    """Build the masks of a layer from its faulty cells.

    Parameters
    ----------
    words : any shape: what the cells hold before the faults (a `step` fault depends on it)
    weight, digit : (n,) flat index into `words`, and which digit of it
    kind, value : (n,) as in `FaultMap`
    cell_bits : bits a cell
    """
    masks = CellMasks.none(words.shape)
    keep, force, flip = masks.keep.reshape(-1), masks.force.reshape(-1), masks.flip.reshape(-1)
    top = (1 << cell_bits) - 1
    shift = digit * cell_bits
    held = (words.reshape(-1)[weight] >> shift) & top
    stuck = are_permanent(kind)
    np.bitwise_and.at(keep, weight[stuck], ~(top << shift[stuck]))
    np.bitwise_or.at(force, weight[stuck], value[stuck].astype(np.int64) << shift[stuck])
    moved = held + value
    moved = np.where((moved < 0) | (moved > top), held - value, moved)
    change = np.where(kind == FaultKind.step, held ^ moved, value.astype(np.int64))
    np.bitwise_or.at(flip, weight[~stuck], change[~stuck] << shift[~stuck])
    return masks
