"""ADC ranges from the column sums that typical inputs cause."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accel_models.reram.chip import ReramChip
from xbarsim.crossbar.config import AdcConfig
from xbarsim.crossbar.matrix import ProgrammedMatrix
from xbarsim.errors import InputError, check_number
from xbarsim.graph.nodes import IntArray, MatMul
from xbarsim.hints import checked

MOST_ROWS = 256


@checked
def calibrate_adc(chip: ReramChip, images: NDArray[np.floating], *, percentile: float = 99.9) -> ReramChip:
    """Give every layer an ADC range that holds so many percent of the column sums that `images` cause.

    A layer whose sums fit the codes gets step 1. The images run on the chip as it is, and of each layer's
    input vectors at most MOST_ROWS a batch, evenly spread, are looked at.

    Parameters
    ----------
    images : (N, ...) some hundred typical inputs
    percentile : 0 < percentile <= 100; sums above the range clip

    Raises
    ------
    InputError : a percentile out of range, bad images.
    """
    check_number("percentile", percentile, 1e-6, 100)
    if chip.config.array.largest_sum >= 1 << 24:
        raise InputError("ArrayConfig", "column sums below 2**24", chip.config.array.largest_sum)
    counts = {key: np.zeros(m.config.largest_sum + 1, np.int64) for key, m in chip.matrices.items()}

    def watch(layer: MatMul, x: NDArray) -> NDArray:
        rows = layer.rows(x, np.int64)
        chosen = rows[:, :: -(-rows.shape[1] // MOST_ROWS)]
        for p in chip.placement.of_layer(layer.matrix):
            _count_sums(counts[p.key], chip.matrices[p.key], p.rows(chosen))
        return chip.multiply(layer, x)

    chip.graph.run(images, multiply=watch)
    matrices = {}
    for key, matrix in chip.matrices.items():
        seen = np.cumsum(counts[key])
        largest = int(np.searchsorted(seen, seen[-1] * percentile / 100))
        adc = replace(matrix.config.adc, full_range=_range_of(largest, matrix.config.adc))
        matrices[key] = replace(matrix, config=replace(matrix.config, adc=adc))
    return replace(chip, matrices=matrices)


def _range_of(largest_sum: int, adc: AdcConfig) -> int | None:
    """The range whose largest code stands for this sum: range (1 - 2**-bits) is at least the sum."""
    if largest_sum <= adc.full_scale:
        return None
    return -(-(largest_sum << adc.bits) // adc.full_scale)


def _count_sums(counts: IntArray, matrix: ProgrammedMatrix, rows: IntArray) -> None:
    """Add to `counts[s]` how often a column of any block and cycle sums up to s for these (n, K) inputs."""
    config, form = matrix.config, matrix.config.format
    digits = np.arange(config.cycles) * config.dac_bits
    streamed = (rows[:, None] >> digits[:, None]) & ((1 << config.dac_bits) - 1)
    for start in range(0, rows.shape[1], config.rows):
        block = slice(start, start + config.rows)
        driven = streamed[:, :, block].reshape(-1, rows[:, block].shape[1]).astype(np.float32)
        for digit in range(form.digits):
            sums = driven @ form.level(matrix.held[block], digit).astype(np.float32)
            counts += np.bincount(sums.astype(np.int64).ravel(), minlength=len(counts))
