"""One integer matrix programmed into arrays, with its faults, and its exact product with inputs.

The answer is the one of the bit-serial hardware, bit for bit (see docs/architecture.md, "Numerics"). An
output whose columns the ADC cannot change is proven to be a plain product with the effective weights; the
rest go through the bit-serial kernel. The two are joined per row block.

A matrix of several groups holds their weights in blocks on its diagonal, in one array (see
`xbarsim.crossbar.diagonal`). Whether a column is stored inverted is decided by the words of its own group,
whose cells alone are inverted: those off the diagonal are written to level 0 whatever the inversion. The
column sum is over all rows, and counts negative where it is inverted; the corrections of inverted storage and
encoding take the sum of the own group's inputs, in digital logic. So a cell off the diagonal acts as its
level times what its digit is worth, negative in an inverted column: as nothing while it is healthy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.crossbar.diagonal import (
    by_group,
    diagonal_blocks,
    groups_an_array,
    on_diagonal,
    rows_a_sum,
    side_by_side,
)
from xbarsim.crossbar.proof import CollapseProof, level_sums, prove
from xbarsim.crossbar.serial import SerialBlock, input_sum_weights, pack_inputs, serial_block
from xbarsim.errors import InputError
from xbarsim.faults.masks import CellMasks

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgrammedMatrix:
    """A (K, M) integer matrix in cells. Make it with `program_groups`; vary it with `with_masks`.

    Attributes
    ----------
    config : the arrays
    stored : (K, M) int64, the words as written, inverted columns inverted; 0 off the diagonal
    inversion : (blocks, M) int64, which bits of the words of a row block are stored inverted
    masks : the faults of the cells, or None
    collapse : False sends proven outputs through the bit-serial kernel too, for checking
    groups : blocks on the diagonal; (K, M) are those of the whole matrix
    """

    config: ArrayConfig
    stored: IntArray
    inversion: IntArray
    masks: CellMasks | None = None
    collapse: bool = True
    groups: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """(K, M)."""
        return self.stored.shape[0], self.stored.shape[1]

    @property
    def block_shape(self) -> tuple[int, int]:
        """(K, M) of one group."""
        return self.shape[0] // self.groups, self.shape[1] // self.groups

    def with_masks(self, masks: CellMasks | None) -> ProgrammedMatrix:
        """The same cells with other faults."""
        return replace(self, masks=masks)

    @cached_property
    def row_inversion(self) -> IntArray:
        """(K, M) int64: `inversion` repeated over the rows of each block."""
        return np.repeat(self.inversion, self.config.rows, axis=0)[: self.shape[0]]

    @cached_property
    def held(self) -> IntArray:
        """(K, M) int64: the words that the cells hold, faults included."""
        return self.stored if self.masks is None else self.masks.apply(self.stored)

    @cached_property
    def effective(self) -> IntArray:
        """(K, M) int64: the weights that the cells act as, off the diagonal too."""
        decoded = self.config.format.decode(self.held ^ self.row_inversion)
        if self.groups == 1:
            return decoded
        elsewhere = on_diagonal(np.ones((self.groups, *self.block_shape), np.int64)) == 0
        return decoded - elsewhere * input_sum_weights(self.config, self.inversion)

    @cached_property
    def proof(self) -> CollapseProof:
        """Which outputs the ADC cannot change, whatever the input, and why not the others."""
        return prove(self.held, self.config)

    @cached_property
    def _collapsed(self) -> NDArray[np.bool_]:
        return self.proof.proven & self.collapse

    @property
    def collapses(self) -> bool:
        """Whether any output is a product over some row block."""
        return bool(self._collapsed.any())

    @property
    def collapsed(self) -> IntArray:
        """(K, M) int64: effective weights where an output is a product with them, else zero."""
        chosen = np.repeat(self._collapsed, self.config.rows, axis=0)[: self.shape[0]]
        return np.where(chosen, self.effective, 0)

    @property
    def is_serial(self) -> bool:
        """Whether the ADC may change any output."""
        return bool(self._serial_blocks)

    def beside(self, x: IntArray, signed: bool) -> tuple[IntArray, NDArray[np.float64]]:
        """What the outputs that the ADC may change add, for (N, K) inputs, to the product with `collapsed`.

        Returns
        -------
        (u,) which outputs, and (N, u) exact integers
        """
        outputs = np.unique(np.concatenate([block.outputs for block in self._serial_blocks]))
        exact = input_sum_product(x, self._rows_a_sum, self._input_sum_weights[:, outputs])
        codes = np.zeros((len(x), self.shape[1]), np.int64)
        planes = pack_inputs(x, self.config)
        for block in self._serial_blocks:
            block.add_to(codes, planes, self.config, signed)
        return outputs, add_codes_in_levels(exact, codes[:, outputs], self.config.step).astype(np.float64)

    @cached_property
    def off_diagonal(self) -> tuple[IntArray, IntArray, IntArray]:
        """(count,) rows, columns and values of what `collapsed` has off its diagonal: faulty cells."""
        left = np.zeros((0, 0), np.int64)
        if self.groups > 1:
            found = self.collapsed
            left = found - on_diagonal(diagonal_blocks(found, self.groups))
        rows, columns = np.nonzero(left)
        return rows, columns, left[rows, columns]

    @cached_property
    def _dense(self) -> NDArray[np.floating]:
        """(K, M): effective weights of collapsed outputs, else zero, in the narrowest exact float type."""
        weights = self.collapsed
        # no partial sum of an output can exceed its weights' magnitudes times the largest input
        largest = int(np.abs(weights).sum(axis=0).max(initial=0)) * ((1 << self.config.input_bits) - 1)
        return weights.astype(np.float32 if largest <= 2**24 else np.float64)

    def product(self, inputs: NDArray[np.integer], *, signed: bool) -> IntArray:
        """Multiply (N, K) integer inputs with the programmed cells; (N, M) int64, exact.

        Raises
        ------
        InputError : inputs of another width, or outside the input range; signed inputs on a wide DAC.
        """
        return self.multiply(self._checked_inputs(inputs, signed), signed)

    def multiply(self, x: IntArray | NDArray[np.floating], signed: bool) -> IntArray:
        """`product` of numbers that are known to be integers in range, as a network's own activations are."""
        if not self._serial_blocks:
            return self._dense_product(x).astype(np.int64)
        x = x.astype(np.int64, copy=False)
        exact = input_sum_product(x, self._rows_a_sum, self._input_sum_weights)
        if self._collapsed.any():
            exact += self._dense_product(x)
        codes = np.zeros(exact.shape, np.int64)
        planes = pack_inputs(x, self.config)
        for block in self._serial_blocks:
            block.add_to(codes, planes, self.config, signed)
        return add_codes_in_levels(exact, codes, self.config.step)

    def _dense_product(self, x: NDArray) -> NDArray[np.floating]:
        return x.astype(self._dense.dtype, copy=False) @ self._dense

    @cached_property
    def _input_sum_weights(self) -> NDArray[np.float64]:
        """(sums, M): what each sum of inputs adds to the codes; exact in float64."""
        weights = np.where(self._collapsed, 0, input_sum_weights(self.config, self.inversion))
        return by_group(weights, self.groups).astype(np.float64)

    @property
    def _rows_a_sum(self) -> int:
        return rows_a_sum(self.config, self.shape[0], self.groups)

    @cached_property
    def _serial_blocks(self) -> list[SerialBlock]:
        """The unproven outputs, row block by row block."""
        found = []
        for block, collapsed in enumerate(self._collapsed):
            outputs = np.flatnonzero(~collapsed)
            if len(outputs):
                inversion = self.inversion[block, outputs]
                found.append(serial_block(self.config, block, outputs, self.held[:, outputs], inversion))
        return found

    def _checked_inputs(self, inputs: NDArray[np.integer], signed: bool) -> IntArray:
        x = np.asarray(inputs)
        if x.ndim != 2 or x.shape[1] != self.shape[0] or not np.issubdtype(x.dtype, np.integer):
            raise InputError("inputs", f"(N, {self.shape[0]}) integers", f"{x.dtype} of shape {x.shape}")
        check_signed_inputs(self.config, signed)
        low, high = input_range(self.config.input_bits, signed)
        if x.size and (x.min() < low or x.max() > high):
            raise InputError("inputs", f"values in {low}..{high}", f"{x.min()}..{x.max()}", "quantize them")
        return x.astype(np.int64, copy=False)


def program_matrix(
    weights: NDArray[np.integer], config: ArrayConfig, *, inversion: IntArray | None = None
) -> ProgrammedMatrix:
    """Store a (K, M) integer matrix, K cut into row blocks of `config.rows`.

    Parameters
    ----------
    weights : (K, M) integers in the range of `config.format`
    inversion : keep these columns inverted (an update in the field); None decides anew from the weights

    Raises
    ------
    InputError : a weight out of range, or not two dimensions.
    """
    q = np.asarray(weights)
    if q.ndim != 2 or 0 in q.shape:
        raise InputError("weights", "a (K, M) matrix", f"shape {q.shape}")
    words = config.format.encode(q)
    _check_accumulator(config, len(words))
    if inversion is None:
        inversion = _choose_inversion(words, config)
    spread = np.repeat(inversion, config.rows, axis=0)[: len(words)]
    return ProgrammedMatrix(config=config, stored=words ^ spread, inversion=inversion)


def program_groups(
    weights: NDArray[np.integer], config: ArrayConfig, *, inversion: IntArray | None = None
) -> ProgrammedMatrix:
    """Store (groups, K, M) integer matrices in one: one group as it is, several as blocks on the diagonal.

    Parameters and errors as for `program_matrix`; `groups_an_array` says how many groups there may be.
    """
    q = np.asarray(weights)
    if q.ndim != 3 or 0 in q.shape or len(q) > groups_an_array(config, *q.shape[1:]):
        raise InputError("weights", "(groups, K, M) that fit an array", f"shape {q.shape}")
    groups = len(q)
    if groups == 1:
        return program_matrix(q[0], config, inversion=inversion)
    made = program_matrix(side_by_side(q), config, inversion=inversion)
    stored = on_diagonal(made.stored.reshape(q.shape[1], groups, -1).transpose(1, 0, 2))
    return replace(made, stored=stored, groups=groups)


def input_sum_product(x: IntArray, rows: int, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M): the sums of (N, K) inputs over so many rows each times (sums, M) weights, exact."""
    return np.add.reduceat(x, np.arange(0, x.shape[1], rows), axis=1).astype(np.float64) @ weights


def add_codes_in_levels(exact: NDArray[np.float64], codes: IntArray, step: Fraction) -> IntArray:
    """Exact integers plus summed ADC codes, (N, M) each; the codes' worth is rounded half up once."""
    if step != 1:
        codes = (2 * codes * step.numerator + step.denominator) // (2 * step.denominator)
    return exact.astype(np.int64) + codes


def input_range(bits: int, signed: bool) -> tuple[int, int]:
    """Smallest and largest input of `bits` bits."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def check_signed_inputs(config: ArrayConfig, signed: bool) -> None:
    """Refuse signed inputs on a DAC wider than one bit: the sign bit needs a cycle of its own."""
    if signed and config.dac_bits > 1:
        raise InputError("ArrayConfig.dac_bits", "1 for signed inputs", config.dac_bits, "use a 1-bit DAC")


def _check_accumulator(config: ArrayConfig, inputs: int) -> None:
    worth = int(np.abs(config.format.significance).sum()) << (config.cycles * config.dac_bits)
    blocks = -(-inputs // config.rows)
    largest = 2 * blocks * config.adc.full_scale * worth * config.step.numerator
    if largest >= 2**62:
        raise InputError(
            "AdcConfig",
            "codes that add up in 62 bits",
            f"{largest.bit_length()} bits for {inputs} inputs",
            "use fewer ADC, weight or input bits, or step 1 (full_range=None)",
        )


def _choose_inversion(words: IntArray, config: ArrayConfig) -> IntArray:
    top = config.format.levels - 1
    blocks = -(-len(words) // config.rows)
    if not config.inverted_storage:
        return np.zeros((blocks, words.shape[1]), np.int64)
    rows = np.minimum(config.rows, len(words) - config.rows * np.arange(blocks))
    too_heavy = 2 * level_sums(words, config) > (rows * top)[:, None]
    bits = top << (config.format.cell_bits * np.arange(config.format.digits))
    return np.tensordot(bits, too_heavy.astype(np.int64), axes=1)
