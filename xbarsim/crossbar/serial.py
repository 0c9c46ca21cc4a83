"""Outputs of one row block that the ADC may change, packed for a bit-serial kernel.

There are two kernels with one meaning: popcounts of bit planes, where the processor counts whole vectors, and
tables of the sums of four rows, elsewhere and for columns of many terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import llvmlite.binding
import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.kernels.bitserial import CYCLES_AT_ONCE, MOST_TERMS, add_counted_codes, pack_planes
from xbarsim.kernels.columns import LANES, add_tabled_codes

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SerialBlock:
    """Unproven outputs of a row block. Make it with `serial_block`.

    Attributes
    ----------
    block : which row block
    outputs : (u,) which outputs they are
    cells : levels as the kernel wants them: (digits, terms, u) bit planes to be counted, or
        (stripes, digits, rows, LANES) levels to be tabled
    inverted : (digits, u) 1 where a digit is stored inverted, else 0
    counted : whether the kernel counts
    """

    block: int
    outputs: IntArray
    cells: NDArray
    inverted: IntArray
    counted: bool

    def add_to(self, codes: IntArray, planes: IntArray, config: ArrayConfig, signed: bool) -> None:
        """Add the outputs' ADC codes, shifted, to their columns of `codes`, (N, M).

        `planes` are the inputs as `pack_inputs` packs them.
        """
        sign_cycle = config.cycles - 1 if signed else -1
        width = len(self.outputs) if self.counted else len(self.cells) * LANES
        in_place = len(self.outputs) == width == codes.shape[1]
        found = codes if in_place else np.zeros((len(codes), width), np.int64)
        add = self._add_counted if self.counted else self._add_tabled
        add(found, planes[self.block], config, sign_cycle)
        if not in_place:
            codes[:, self.outputs] += found[:, : len(self.outputs)]

    def _add_counted(self, found: IntArray, planes: IntArray, config: ArrayConfig, sign_cycle: int) -> None:
        words, bit, _, shifts = _terms(config, self.cells.shape[1])
        significance = config.format.significance
        add_counted_codes(
            found,
            np.ascontiguousarray(planes[:, :, bit, words]),
            self.cells,
            shifts.tolist(),
            np.log2(np.abs(significance)).astype(np.int64),
            -(self.inverted ^ (significance < 0)[:, None]).astype(np.int64),
            config.dac_bits,
            sign_cycle,
            config.code_rule,
        )

    def _add_tabled(self, found: IntArray, planes: IntArray, config: ArrayConfig, sign_cycle: int) -> None:
        weights = np.zeros((config.format.digits, found.shape[1]), np.int64)
        weights[:, : len(self.outputs)] = (1 - 2 * self.inverted) * config.format.significance[:, None]
        add_tabled_codes(
            found,
            planes,
            self.cells,
            weights,
            config.dac_bits,
            sign_cycle,
            config.code_rule,
            config.format.cell_bits,
        )


def serial_block(
    config: ArrayConfig, block: int, outputs: IntArray, held: IntArray, inversion: IntArray
) -> SerialBlock:
    """Pack a block: (K, u) words that the cells of all blocks hold, (u,) bits of it that are inverted."""
    here = held[block * config.rows : (block + 1) * config.rows]
    words = -(-min(config.rows, len(held)) // 64)
    counted = counts_vectors() and config.dac_bits * config.format.cell_bits * words <= MOST_TERMS
    pack = _pack_to_count if counted else _pack_to_table
    return SerialBlock(
        block=block,
        outputs=outputs,
        cells=pack(config, here, min(config.rows, len(held))),
        inverted=inverted_digits(config, inversion),
        counted=counted,
    )


@cache
def counts_vectors() -> bool:
    """Whether this processor counts the bits of all words of a vector at once."""
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512vpopcntdq", False))


def _pack_to_count(config: ArrayConfig, held: IntArray, rows: int) -> IntArray:
    form = config.format
    bits, outputs = form.digits * form.cell_bits, held.shape[1]
    padded = np.zeros((outputs, rows), np.int64)
    padded[:, : len(held)] = held.T
    planes = pack_planes(padded, rows, bits, bits)[0]
    word, _, plane, _ = _terms(config, config.dac_bits * form.cell_bits * planes.shape[-1])
    by_digit = planes.reshape(outputs, form.digits, form.cell_bits, -1)
    return np.ascontiguousarray(by_digit[:, :, plane, word].transpose(1, 2, 0))


def _pack_to_table(config: ArrayConfig, held: IntArray, rows: int) -> NDArray[np.uint8]:
    form, outputs = config.format, held.shape[1]
    stripes = -(-outputs // LANES)
    levels = np.zeros((form.digits, rows, stripes * LANES), np.uint8)
    for digit in range(form.digits):
        levels[digit, : len(held), :outputs] = form.level(held, digit)
    by_stripe = levels.reshape(form.digits, rows, stripes, LANES).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(by_stripe)


def input_sum_weights(config: ArrayConfig, inversion: IntArray) -> IntArray:
    """What one unit of the inputs' sum adds to a result: inverted storage and the encoding's offset.

    `inversion` (...) are the bits of the words that are stored inverted; the result has its shape.
    """
    form = config.format
    inverted = inverted_digits(config, inversion)
    return (form.levels - 1) * np.tensordot(form.significance, inverted, axes=1) - form.zero


def inverted_digits(config: ArrayConfig, inversion: IntArray) -> IntArray:
    """(digits, ...) 0 or 1: which digits of words with these inverted bits (...) are stored inverted."""
    form = config.format
    shifts = np.arange(form.digits) * form.cell_bits
    return (inversion >> shifts.reshape(-1, *(1,) * inversion.ndim)) & 1


def pack_inputs(x: IntArray, config: ArrayConfig) -> IntArray:
    """(blocks, N, cycles, dac bits, words) bit planes of (N, K) inputs, cycles padded with zeros."""
    cycles = -(-config.cycles // CYCLES_AT_ONCE) * CYCLES_AT_ONCE
    planes = pack_planes(np.ascontiguousarray(x), config.rows, config.input_bits, cycles * config.dac_bits)
    return planes.reshape(*planes.shape[:2], cycles, config.dac_bits, -1)


def _terms(config: ArrayConfig, terms: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """For every term of a column sum: word of rows, bit of the input digit, bit of the level, shift."""
    shape = (config.dac_bits, config.format.cell_bits)
    bit, plane, word = (i.reshape(-1) for i in np.indices((*shape, terms // (shape[0] * shape[1]))))
    return word, bit, plane, bit + plane
