"""The closest value that stuck cells can act as: a repair without training.

A weight's value is linear in the bits of its word, and every bit is worth a power of two, up or down. The
largest value not above a weight is therefore found greedily: start from the smallest value the stuck cells
allow and take the free bits, the worthiest first, as long as they do not overshoot. Greedy is exact because
of two worths one always divides the other, also where both halves of a differential pair give the same
worth twice. From the other side the same steps give the smallest value not below; the nearer one wins.

A chip writes weights, not words: of a differential pair `WeightFormat.encode` fills one half, and it leaves
levels above a weight's bits alone. `closest_weights` is the bound over all words, `closest_writable` what a
weight handed to the chip can reach; they differ for `differential` and where `cell_bits` does not divide
the bits of a word. Masks are those of stuck cells alone: writing cures a soft fault, so `flip` is ignored.

Source: closest value mapping with sign-flip and bit-flip, Malhotra and Gupta, arXiv 2512.18459. The paper
finds the best inversion with a look-up table; `closest_with_flips` decides slice by slice instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.errors import InputError
from xbarsim.faults.masks import CellMasks
from xbarsim.graph.integer_graph import IntegerGraph

IntArray = NDArray[np.int64]


class FlippedColumns(NamedTuple):
    """What `closest_with_flips` chose.

    Attributes
    ----------
    weights : (K, M) int64, what the columns act as, signs undone
    inversion : (blocks, M) int64, which bits of the words of a row block are stored inverted
    sign : (blocks, M) int64, -1 where a column of a row block holds the negated weights, else +1
    """

    weights: IntArray
    inversion: IntArray
    sign: IntArray


def closest_weights(weights: NDArray[np.integer], form: WeightFormat, masks: CellMasks) -> IntArray:
    """The values closest to these weights that their cells can act as, over all words; the smaller of two.

    Parameters
    ----------
    weights : (K, M) integers, or any shape
    masks : the stuck cells, in that shape, on words before inverted storage (`CellMasks.logical`)

    Returns
    -------
    int64, same shape; a spare level of a top digit counts, so some may exceed `form.high`.

    Raises
    ------
    InputError : masks of another shape.

    >>> form = WeightFormat(weight_bits=4, cell_bits=2)
    >>> stuck = replace(CellMasks.none((3,)), keep=np.full(3, ~0b1100))  # top digit at level 0: -8..-5
    >>> closest_weights(np.array([-7, -5, 6]), form, stuck)
    array([-7, -5, -5])
    """
    q = _same_shape(weights, masks)
    return form.decode(_closest_words(q, form, masks, form.word_mask))


def closest_writable(weights: NDArray[np.integer], form: WeightFormat, masks: CellMasks) -> IntArray:
    """Weights to write so that their cells act as close to `weights` as any weight can make them.

    Parameters and errors as for `closest_weights`.

    Returns
    -------
    int64, same shape, in form.low..form.high: to be written, not what the cells then act as. The two are
    the same for `offset` and `twos_complement` unless a stuck spare level lies above the weight's bits.
    """
    q = _same_shape(weights, masks)
    ways = [(bits, _closest_words(q, form, masks, bits)) for bits in _writable_bits(form)]
    miss = np.stack([form.decode(words) - q for _, words in ways])
    written = np.stack([form.decode(words & bits) for bits, words in ways])
    best = np.argmin(2 * np.abs(miss) + (miss > 0), axis=0)
    return np.take_along_axis(written, best[None], axis=0)[0]


def project_graph(
    graph: IntegerGraph, form: WeightFormat, masks: Mapping[tuple[str, int], CellMasks]
) -> IntegerGraph:
    """The network with the closest writable weights, for `chip.update`.

    Parameters
    ----------
    graph, form : the network on the chip and how its weights are stored
    masks : by (layer, group), as `chip.training_masks()` gives them; layers left out stay as they are

    Raises
    ------
    InputError : masks of another layer, group or shape.
    """
    known = {(layer.name, group) for layer in graph.layers for group in range(layer.groups)}
    unknown = [key for key in masks if key not in known]
    if unknown:
        raise InputError("masks", "layers and groups of this network", repr(unknown[0]))
    changed = []
    for layer in graph.layers:
        weights = layer.weights.copy()
        for group in range(layer.groups):
            if (layer.name, group) in masks:
                weights[group] = closest_writable(weights[group], form, masks[layer.name, group])
        changed.append(replace(layer, weights=weights))
    return graph.with_layers(changed)


def closest_with_flips(weights: NDArray[np.integer], config: ArrayConfig, masks: CellMasks) -> FlippedColumns:
    """`closest_weights` with a sign for every column and an inversion for every slice, chosen for the faults.

    For both signs, slices are inverted one by one, the most significant first, where that lowers the
    squared error of the column's weights in a row block; then the better sign is taken.

    Parameters
    ----------
    weights : (K, M) integers, K cut into row blocks of `config.rows`
    masks : the stuck cells, (K, M), on words as stored: inversion is chosen here

    Raises
    ------
    InputError : not two dimensions, or masks of another shape.

    Assumes an ADC that takes the columns either way: ISAAC's 8 bits rely on the inversion that the level
    sums ask for. Chips do not store signs; `program_matrix` takes the inversion.
    """
    q = _same_shape(weights, masks)
    if q.ndim != 2 or 0 in q.shape:
        raise InputError("weights", "a (K, M) matrix", f"shape {q.shape}")
    plain, inversion, error = _choose_slices(q, config, masks)
    negated, other_inversion, other_error = _choose_slices(-q, config, masks)
    negate = other_error < error
    return FlippedColumns(
        weights=np.where(_spread(negate, config, len(q)), -negated, plain),
        inversion=np.where(negate, other_inversion, inversion),
        sign=np.where(negate, -1, 1),
    )


def _choose_slices(q: IntArray, config: ArrayConfig, masks: CellMasks) -> tuple[IntArray, IntArray, IntArray]:
    """Closest weights (K, M), the inversion and the squared error, (blocks, M) each."""
    form, top = config.format, config.format.levels - 1
    starts = np.arange(0, len(q), config.rows)

    def closest(inversion: IntArray) -> tuple[IntArray, IntArray]:
        found = closest_weights(q, form, masks.logical(_spread(inversion, config, len(q))))
        return found, np.add.reduceat((found - q) ** 2, starts, axis=0)

    inversion = np.zeros((len(starts), q.shape[1]), np.int64)
    found, error = closest(inversion)
    for digit in np.argsort(-np.abs(form.significance), kind="stable"):
        tried = inversion ^ (top << int(digit) * form.cell_bits)
        new, new_error = closest(tried)
        better = new_error < error
        inversion, error = np.where(better, tried, inversion), np.where(better, new_error, error)
        found = np.where(_spread(better, config, len(q)), new, found)
    return found, inversion, error


def _spread(per_block: NDArray, config: ArrayConfig, rows: int) -> NDArray:
    return np.repeat(per_block, config.rows, axis=0)[:rows]


def _closest_words(q: IntArray, form: WeightFormat, masks: CellMasks, bits: int) -> IntArray:
    """The words whose values are closest to q, where only free cells' bits among `bits` can be set."""
    worth = [int(s) << bit for s in form.significance for bit in range(form.cell_bits)]
    negative = sum(1 << j for j, w in enumerate(worth) if w < 0)
    free = masks.keep & ~masks.force & bits
    lowest, highest = masks.force | (free & negative), masks.force | (free & ~negative)
    below = _approach(lowest, q - form.decode(lowest), free, worth)
    above = _approach(highest, form.decode(highest) - q, free, worth)
    return np.where(q - form.decode(below) <= np.abs(form.decode(above) - q), below, above)


def _approach(words: IntArray, distance: IntArray, free: IntArray, worth: list[int]) -> IntArray:
    """Move the words by at most `distance` (not at all if negative): flip free bits, the worthiest first."""
    left = distance
    for j in sorted(range(len(worth)), key=lambda j: -abs(worth[j])):
        flipped = ((free >> j) & 1) * (left >= abs(worth[j]))
        words = words ^ (flipped << j)
        left = left - flipped * abs(worth[j])
    return words


def _writable_bits(form: WeightFormat) -> tuple[int, ...]:
    """The bits that writing some weight can set: one set of them, or one for each half of a pair."""
    if form.encoding == "differential":
        return form.high, form.high << (form.digits // 2 * form.cell_bits)
    return ((1 << form.weight_bits) - 1,)


def _same_shape(weights: NDArray[np.integer], masks: CellMasks) -> IntArray:
    q = np.asarray(weights, dtype=np.int64)
    if masks.keep.shape != q.shape:
        raise InputError("masks", f"shape {q.shape} of the weights", f"shape {masks.keep.shape}")
    return q
