"""Matrix-vector-threshold units on packed activations: products, thresholds, pooling and packing in one pass.

A pixel's activations are bit planes: word p * blocks + b of a pixel holds bit p of the codes of channels
64 b .. 64 b + 63. A window is a list of word offsets from its first pixel, so that convolutions and fully
connected layers are the same code and no window is ever copied. Products are popcounts: of the words that
differ for weights of -1 and +1, of the common bits of every pair of planes for wider weights. With three
activations (-1, 0, +1) one popcount does for both planes: of the signs that differ where it is not 0. The
first layer of a network may take integers instead.

Slow, obvious twin: ``tests/twins/finn.py``, `run_layer`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from xbarsim.kernels.lanes import (
    MOST_WORDS,
    add_to_lanes,
    bits_of,
    copy_lanes,
    count_common,
    count_differing,
    count_differing_unmasked,
    keep_larger,
    lanes_above,
    multiply_add,
)
from xbarsim.kernels.launch import ONE_LAUNCH

INTEGERS, BINARY, TERNARY, PLANES = 0, 1, 2, 3


class LayerArrays(NamedTuple):
    """One layer, ready for the kernel; T is int16 or int32, whichever holds every sum.

    Attributes
    ----------
    starts : (P,) int64, first word of each window in an image; the windows that are pooled together follow
        each other
    offsets : (K,) int64, words of a window after its first, for bit plane 0
    plane_words : words between the bit planes of a pixel
    factors : (input planes, weight planes) int64, what a popcount is worth
    weights : (weight planes, lanes / 64, K, 8, 64) uint8, bytes of words; (lanes / 64, K, 64) T where the
        inputs are integers
    initial : (lanes,) T, the sum before the first product
    thresholds : (thresholds, lanes) T, to be exceeded; none in a layer that hands out its sums
    planes : bit planes of the output codes
    pool : windows whose largest activation is kept
    """

    starts: np.ndarray
    offsets: np.ndarray
    plane_words: int
    factors: np.ndarray
    weights: np.ndarray
    initial: np.ndarray
    thresholds: np.ndarray
    planes: int
    pool: int


def run_layer(x, layer, kind, sums, out):
    """Run images through a layer, in parallel over images.

    Parameters
    ----------
    x : (n, words) int64, or (n, values) T for INTEGERS
    layer : its `LayerArrays`
    kind : INTEGERS; BINARY weights of -1 and +1; TERNARY inputs, codes 0..2, with such weights; or PLANES
    sums : (n, P, lanes) T, filled; or (0, P, lanes) if nobody wants them
    out : (n, P / pool * planes * lanes / 64) int64, filled; (n, 0) in a layer without thresholds
    """
    kernel = _kernel(kind)
    with ONE_LAUNCH:
        kernel(x, layer, sums, out)


def look_up(pixels, table, out):
    """out[i, k] = table[pixels[i, k]], in parallel over images.

    Parameters
    ----------
    pixels : (n, k) uint8
    table : (256,) T
    out : (n, k) T, filled
    """
    with ONE_LAUNCH:
        _look_up(pixels, table, out)


@njit(cache=True, parallel=True)
def _look_up(pixels, table, out):
    for i in prange(len(pixels)):
        for k in range(pixels.shape[1]):
            out[i, k] = table[pixels[i, k]]


@njit(cache=True)
def write_codes(out, out_at, sums, sums_at, thresholds, thresholds_at, count, lanes, planes):
    """Count the thresholds that each lane exceeds; write the counts as bit planes. All arrays are flat."""
    blocks = lanes // 64
    for word in range(planes * blocks):
        out[out_at + word] = 0
    for block in range(blocks):
        for j in range(count):
            row = thresholds_at + j * lanes + block * 64
            carry = lanes_above(sums, sums_at + block * 64, thresholds, row)
            place = out_at + block
            while carry:
                before = out[place]
                out[place] = before ^ carry
                carry &= before
                place += blocks


@cache
def _kernel(kind: int) -> Callable[..., None]:
    """The kernel for inputs and weights of this kind; it closes over a number, so that numba can cache it.

    The product stands in the loop itself: to call it would cost more than a small window does.
    """

    @njit(cache=True, parallel=True, error_model="numpy")
    def kernel(x, layer, sums, out):
        offsets, weights, initial = layer.offsets, layer.weights, layer.initial
        words, lanes, blocks, pool = len(offsets), len(initial), len(initial) // 64, layer.pool
        planes, weight_planes = layer.factors.shape
        width, inputs, flat, kept = layer.planes * blocks, x.reshape(-1), out.reshape(-1), sums.reshape(-1)
        count, thresholds, windows = len(layer.thresholds), layer.thresholds.reshape(-1), len(layer.starts)
        for i in prange(len(x)):
            found = np.empty(pool * lanes, initial.dtype)
            for window in range(windows):
                at, start = window % pool * lanes, i * x.shape[1] + layer.starts[window]
                still = 0
                if kind == TERNARY:
                    for k in range(words):
                        still += bits_of(inputs[start + offsets[k]])
                for block in range(blocks):
                    to = at + block * 64
                    copy_lanes(found, to, initial, block * 64)
                    if kind == INTEGERS:
                        multiply_add(found, to, inputs, start, offsets, weights, block * words * 64)
                    if kind == TERNARY:
                        add_to_lanes(found, to, -still)
                        signs, place = start + layer.plane_words, block * words * 512
                        for k in range(0, words, MOST_WORDS):
                            end = min(k + MOST_WORDS, words)
                            count_differing_unmasked(
                                found, to, -2, inputs, signs, start, offsets, k, end, weights, place
                            )
                    for p in range(planes):
                        for q in range(weight_planes):
                            plane, place = start + p * layer.plane_words, (q * blocks + block) * words * 512
                            factor = layer.factors[p, q]
                            for k in range(0, words, MOST_WORDS):
                                end = min(k + MOST_WORDS, words)
                                if kind == BINARY:
                                    count_differing(
                                        found, to, factor, inputs, plane, 0, offsets, k, end, weights, place
                                    )
                                elif kind == PLANES:
                                    count_common(
                                        found, to, factor, inputs, plane, 0, offsets, k, end, weights, place
                                    )
                    if len(kept):
                        copy_lanes(kept, (i * windows + window) * lanes + block * 64, found, to)
                if count and (window + 1) % pool == 0:
                    for j in range(1, pool):
                        for lane in range(0, lanes, 64):
                            keep_larger(found, lane, found, j * lanes + lane)
                    place = i * out.shape[1] + window // pool * width
                    write_codes(flat, place, found, 0, thresholds, 0, count, lanes, layer.planes)

    return kernel
