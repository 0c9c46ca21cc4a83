"""Outputs of one row block that the ADC may change, packed for the bit-serial kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.kernels.bitserial import CYCLES_AT_ONCE, add_codes, pack_planes

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SerialBlock:
    """Unproven outputs of a row block. Make it with `serial_block`.

    Attributes
    ----------
    block : which row block
    outputs : (u,) which outputs they are
    cells : (digits, terms, u) bit planes of the stored levels, see the kernel
    negative : (digits, u) -1 where a column counts negative, else 0
    """

    block: int
    outputs: IntArray
    cells: IntArray
    negative: IntArray

    def add_to(self, codes: IntArray, planes: IntArray, config: ArrayConfig, signed: bool) -> None:
        """Add the outputs' ADC codes, shifted, to their columns of `codes`, (N, M).

        `planes` are the inputs as `pack_inputs` packs them.
        """
        everywhere = len(self.outputs) == codes.shape[1]
        found = codes if everywhere else np.zeros((len(codes), len(self.outputs)), np.int64)
        words, bit, _, shifts = _terms(config, self.cells.shape[1])
        add_codes(
            found,
            np.ascontiguousarray(planes[self.block][:, :, bit, words]),
            self.cells,
            shifts.tolist(),
            np.log2(np.abs(config.format.significance)).astype(np.int64),
            self.negative,
            config.dac_bits,
            config.cycles - 1 if signed else -1,
            config.code_rule,
        )
        if not everywhere:
            codes[:, self.outputs] += found


def serial_block(
    config: ArrayConfig, block: int, outputs: IntArray, held: IntArray, inversion: IntArray
) -> SerialBlock:
    """Pack a block: (K, u) words that the cells of all blocks hold, (u,) bits of it that are inverted."""
    form = config.format
    here = held[block * config.rows : (block + 1) * config.rows]
    bits = form.digits * form.cell_bits
    padded = np.zeros((len(outputs), min(config.rows, len(held))), np.int64)
    padded[:, : len(here)] = here.T
    planes = pack_planes(padded, config.rows, bits, bits)[0]
    word, _, plane, _ = _terms(config, config.dac_bits * form.cell_bits * planes.shape[-1])
    by_digit = planes.reshape(len(outputs), form.digits, form.cell_bits, -1)
    inverted = inverted_digits(config, inversion)
    return SerialBlock(
        block=block,
        outputs=outputs,
        cells=np.ascontiguousarray(by_digit[:, :, plane, word].transpose(1, 2, 0)),
        negative=-(inverted ^ (form.significance < 0)[:, None]).astype(np.int64),
    )


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
