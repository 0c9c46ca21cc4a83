"""Groups of a convolution in one array: their matrices as blocks on its diagonal.

Block i has rows i K .. (i + 1) K and columns i M .. (i + 1) M. Rows of an array are driven together, so that
a column sees the inputs of all groups; its cells off the diagonal are written to level 0 and add nothing
while they are healthy. They hold no digit of a weight: level 0 in them is no weight, whatever the encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.faults.masks import CellMasks


def groups_an_array(config: ArrayConfig, inputs: int, outputs: int) -> int:
    """Return how many groups of (inputs, outputs) weights each go into one array; 1 if none fits twice.

    >>> groups_an_array(ArrayConfig(), inputs=9, outputs=1)
    14
    """
    return max(1, min(config.rows // inputs, config.weights_per_row // outputs))


def on_diagonal(blocks: NDArray) -> NDArray:
    """Put (groups, K, M) blocks on the diagonal of (groups K, groups M) zeros."""
    groups, k, m = blocks.shape
    found = np.zeros((groups, k, groups, m), blocks.dtype)
    at = np.arange(groups)
    found[at, :, at] = blocks
    return found.reshape(groups * k, groups * m)


def diagonal_blocks(values: NDArray, groups: int) -> NDArray:
    """Take the blocks of (..., groups K, groups M) values off their diagonal: (groups, ..., K, M)."""
    k, m = values.shape[-2] // groups, values.shape[-1] // groups
    return np.stack([values[..., i * k : (i + 1) * k, i * m : (i + 1) * m] for i in range(groups)])


def side_by_side(values: NDArray) -> NDArray:
    """Lay (groups, n, K) values out as (n, groups K); those of one group are not copied."""
    groups, n, k = values.shape
    return values[0] if groups == 1 else values.transpose(1, 0, 2).reshape(n, groups * k)


def by_group(weights: NDArray, groups: int) -> NDArray:
    """Turn what one unit of a block's inputs is worth, (blocks, M), into (sums, M).

    A matrix of one group has a sum of inputs for every row block, one of several a sum for every group.
    """
    return weights if groups == 1 else on_diagonal(weights.reshape(groups, 1, -1))


def rows_a_sum(config: ArrayConfig, inputs: int, groups: int) -> int:
    """Return how many of a matrix's inputs are summed at a time for `by_group`."""
    return config.rows if groups == 1 else inputs // groups


def faulty_blocks(masks: CellMasks, groups: int) -> Iterator[tuple[int, CellMasks]]:
    """Give the number and the masks of every block that has a stuck cell; those off the diagonal are none."""
    keep, force, flip = (diagonal_blocks(m, groups) for m in (masks.keep, masks.force, masks.flip))
    for i in np.flatnonzero((keep != -1).any(axis=(1, 2))):
        yield int(i), CellMasks(keep=keep[i], force=force[i], flip=flip[i])
