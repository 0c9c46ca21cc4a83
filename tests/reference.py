"""Slow, obvious twins of the fast paths: plain loops over arrays, cells, cycles and slices."""

from __future__ import annotations

import numpy as np

from xbarsim.crossbar.config import ArrayConfig


def digits_of(weight: int, config: ArrayConfig) -> list[int]:
    """Cell levels of one weight, in column order."""
    form = config.format
    bits, base = form.weight_bits, form.levels

    def expand(value: int, count: int) -> list[int]:
        return [(value // base**d) % base for d in range(count)]

    if form.encoding == "offset":
        return expand(weight + 2 ** (bits - 1), -(-bits // form.cell_bits))
    if form.encoding == "twos_complement":
        return expand(weight % 2**bits, bits)
    half = -(-(bits - 1) // form.cell_bits)
    return expand(max(weight, 0), half) + expand(max(-weight, 0), half)


def column_worth(config: ArrayConfig) -> list[int]:
    """What one level of each digit is worth."""
    form = config.format
    if form.encoding == "offset":
        return [form.levels**d for d in range(-(-form.weight_bits // form.cell_bits))]
    if form.encoding == "twos_complement":
        return [2**d for d in range(form.weight_bits - 1)] + [-(2 ** (form.weight_bits - 1))]
    half = -(-(form.weight_bits - 1) // form.cell_bits)
    return [form.levels**d for d in range(half)] + [-(form.levels**d) for d in range(half)]


def bit_serial_product(
    weights: np.ndarray,
    inputs: np.ndarray,
    config: ArrayConfig,
    signed: bool,
    faults: dict[tuple[int, int, int], tuple[str, int]],
) -> np.ndarray:
    """The whole chain, one column, one cycle at a time.

    `faults` maps (k, m, digit) to (kind, value); kinds as in FaultKind.
    """
    top = config.format.levels - 1
    worth = column_worth(config)
    k_total, m_total = weights.shape
    result = np.zeros((len(inputs), m_total), dtype=object)
    for first in range(0, k_total, config.rows):
        rows = range(first, min(first + config.rows, k_total))
        for m in range(m_total):
            digits = {k: digits_of(int(weights[k, m]), config) for k in rows}
            for d in range(len(worth)):
                levels = [digits[k][d] for k in rows]
                inverted = config.inverted_storage and sum(levels) > len(levels) * top / 2
                if inverted:
                    levels = [top - level for level in levels]
                levels = [
                    faulty_level(level, faults.get((k, m, d)), top)
                    for k, level in zip(rows, levels, strict=True)
                ]
                for n, vector in enumerate(inputs):
                    x = [int(vector[k]) for k in rows]
                    column = stream_column(x, levels, config, signed)
                    if inverted:
                        column = top * sum(x) - column
                    result[n, m] += worth[d] * column
            if config.format.encoding == "offset":
                for n, vector in enumerate(inputs):
                    result[n, m] -= 2 ** (config.format.weight_bits - 1) * sum(int(vector[k]) for k in rows)
    return result.astype(np.int64)


def stream_column(x: list[int], levels: list[int], config: ArrayConfig, signed: bool) -> int:
    """Drive one column cycle by cycle through the clipping ADC and shift-and-add."""
    total = 0
    base = 2**config.dac_bits
    cycles = -(-config.input_bits // config.dac_bits)
    for t in range(cycles):
        driven = [((value % 2**config.input_bits) // base**t) % base for value in x]
        current = sum(a * b for a, b in zip(driven, levels, strict=True))
        code = min(max(current, 0), 2**config.adc.bits - 1)
        negative = signed and t == cycles - 1
        total += -code * base**t if negative else code * base**t
    return total


def faulty_level(level: int, fault: tuple[str, int] | None, top: int) -> int:
    """The level that a faulty cell holds when `level` is written."""
    if fault is None:
        return level
    kind, value = fault
    if kind == "flip":
        return level ^ value
    if kind == "step":
        moved = level + value
        return moved if 0 <= moved <= top else level - value
    return {"stuck_hrs": 0, "stuck_lrs": top, "stuck_at": value}[kind]
