"""How the layers of a network, and what faults do to them, lie in flat arrays for `kernels.differences`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FIELDS = (
    "input_at",  # first word of the layer's input among an image's words
    "pixels",  # of the input
    "width",  # of the input, in pixels
    "planes",  # bit planes of the input
    "blocks",  # words of a bit plane of a pixel
    "kernel_rows",
    "kernel_columns",
    "lanes",
    "outputs",  # pixels of the output, after pooling
    "pool",  # windows of an output pixel
    "windows_at",  # first window among `corners` and `columns`
    "sums_at",  # first raw sum among an image's sums
    "thresholds_at",
    "thresholds",
    "output_planes",
    "rows_at",  # first weight row, in lanes
    "variant",  # lanes between the rows that a rising and those that a falling bit of a plane adds
    "limit",  # rows that add up without overflow
    "dense",  # changed bits of a window from which on it is counted anew
    "weights_at",  # first byte of the packed weights
    "weight_planes",  # 0 for weights of -1 and +1
    "offsets_at",
    "words",  # of a window
    "initial_at",
)
(
    INPUT_AT, PIXELS, WIDTH, PLANES, BLOCKS, KERNEL_ROWS, KERNEL_COLUMNS, LANES, OUTPUTS, POOL, WINDOWS_AT,
    SUMS_AT, THRESHOLDS_AT, THRESHOLDS, OUTPUT_PLANES, ROWS_AT, VARIANT, LIMIT, DENSE, WEIGHTS_AT,
    WEIGHT_PLANES, OFFSETS_AT, WORDS, INITIAL_AT,
) = range(len(FIELDS))  # fmt: skip


class Chain(NamedTuple):
    """The layers behind the first, ready for the kernel; T is int16 or int32.

    Attributes
    ----------
    layers : (layers, fields) int64, see `FIELDS`; row m describes layer m, row 0 only where its output lies
    corners, columns : (windows,) int64, first pixel of every window, and its column
    thresholds : flat T, on raw sums
    rows : flat int8 or int32, weight rows times what a bit of a plane is worth: for every plane, the rows of
        a rising bit, then those of a falling one
    weights : flat uint8, packed as in `LayerArrays`
    offsets : flat int64, words of a window after its first
    initial : flat T
    head : (classes,) int64 offsets of the class scores, their gain before them and the floor before that;
        empty where the class is the highest bit
    """

    layers: np.ndarray
    corners: np.ndarray
    columns: np.ndarray
    thresholds: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray
    initial: np.ndarray
    head: np.ndarray
    classes: int


class Forced(NamedTuple):
    """What faults do to the words of a layer's output: keep these bits, set those.

    Attributes
    ----------
    place : (faults, layers) int64, first word of the fault's masks for that layer's output, -1 for none
    pixel : (faults,) int64, the only pixel concerned, -1 for all
    keep, force : flat int64, for each word of a pixel
    given : (faults,) int64, which of the `words` of the call the fault starts from, -1 for its masks
    """

    place: np.ndarray
    pixel: np.ndarray
    keep: np.ndarray
    force: np.ndarray
    given: np.ndarray
