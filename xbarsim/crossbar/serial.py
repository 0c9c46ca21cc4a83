"""Outputs of one row block that the ADC may change, packed for the bit-serial kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.kernels.bitserial import CYCLES_AT_ONCE, add_codes, pack_planes

IntArray = NDArray[np.int64]
WORD = 64


@dataclass(frozen=True, eq=False)
class SerialBlock:
    """Unproven outputs of a row block. Make it with `serial_block`.

    Attributes
    ----------
    rows : which inputs drive it
    outputs : (u,) which outputs they are
    cells : (digits, terms, u) bit planes of the stored levels, see the kernel
    negative : (digits, u) -1 where a column counts negative, else 0
    correction : (u,) what one unit of the inputs' sum adds: inverted storage and the encoding's offset
    """

    rows: slice
    outputs: IntArray
    cells: IntArray
    negative: IntArray
    correction: IntArray

    def add_to(self, exact: IntArray, codes: IntArray, x: IntArray, config: ArrayConfig, signed: bool) -> None:
        """Add the outputs' ADC codes of (N, K) inputs to `codes`, and their digital correction to `exact`."""
        part = np.ascontiguousarray(x[:, self.rows])
        form = config.format
        found = np.zeros((len(x), len(self.outputs)), np.int64)
        add_codes(
            found,
            _input_terms(part, config),
            self.cells,
            _terms(config, part.shape[1])[3].tolist(),
            np.log2(np.abs(form.significance)).astype(np.int64),
            self.negative,
            config.dac_bits,
            config.cycles - 1 if signed else -1,
            config.code_rule,
        )
        everywhere = len(self.outputs) == exact.shape[1]
        where = (slice(None), slice(None) if everywhere else self.outputs)
        codes[where] += found
        exact[where] += part.sum(axis=1)[:, None] * self.correction


def serial_block(
    config: ArrayConfig, rows: slice, outputs: IntArray, held: IntArray, inversion: IntArray
) -> SerialBlock:
    """Pack a block: (rows, u) words that its cells hold, (u,) bits of them that are stored inverted."""
    form = config.format
    word, _, plane, _ = _terms(config, len(held))
    planes = pack_planes(np.ascontiguousarray(held.T), form.digits * form.cell_bits, -(-len(held) // WORD))
    by_digit = planes.reshape(len(outputs), form.digits, form.cell_bits, -1)
    inverted = (inversion >> (np.arange(form.digits) * form.cell_bits)[:, None]) & 1
    return SerialBlock(
        rows=rows,
        outputs=outputs,
        cells=np.ascontiguousarray(by_digit[:, :, plane, word].transpose(1, 2, 0)),
        negative=-(inverted ^ (form.significance < 0)[:, None]).astype(np.int64),
        correction=(form.levels - 1) * (form.significance @ inverted) - form.zero,
    )


def _terms(config: ArrayConfig, rows: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """For every term of a column sum: word of rows, bit of the input digit, bit of the level, shift."""
    shape = (config.dac_bits, config.format.cell_bits, -(-rows // WORD))
    bit, plane, word = (index.reshape(-1) for index in np.indices(shape))
    return word, bit, plane, bit + plane


def _input_terms(part: IntArray, config: ArrayConfig) -> IntArray:
    """(N, cycles, terms) bit planes of (N, rows) inputs, cycles padded with zeros."""
    cycles = -(-config.cycles // CYCLES_AT_ONCE) * CYCLES_AT_ONCE
    word, bit, _, _ = _terms(config, part.shape[1])
    low_bits = part & ((1 << config.input_bits) - 1)
    planes = pack_planes(low_bits, cycles * config.dac_bits, -(-part.shape[1] // WORD))
    by_cycle = planes.reshape(len(part), cycles, config.dac_bits, -1)
    return np.ascontiguousarray(by_cycle[:, :, bit, word])
