"""One matrix as conductances: its products with read noise and ADC, column current by column current.

A cell's value is its conductance in levels above G_off, held in fixed point: a column current is then one
integer whatever the order of its sum, and the same cells give the same numbers on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.crossbar.diagonal import by_group, rows_a_sum
from xbarsim.crossbar.matrix import add_codes_in_levels, input_sum_product
from xbarsim.crossbar.serial import input_sum_weights, inverted_digits, pack_inputs
from xbarsim.errors import InputError
from xbarsim.kernels.analog import LANES, PER_CELL, QUIET, UNIFORM, add_analog_codes

IntArray = NDArray[np.int64]
Values = NDArray[np.float32]
HEADROOM = 64
MOST_FRACTION_BITS = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class AnalogMatrix:
    """The cells of a (K, M) matrix as column currents see them. Make it with `analog_matrix`.

    Attributes
    ----------
    config : the arrays
    shape : (K, M)
    inversion : (blocks, M), which bits of the words of a row block are stored inverted
    cells : (stripes, blocks, digits, rows, LANES) int32, see `kernels.analog`
    fraction_bits : a level is 2**fraction_bits of `cells`
    noise : QUIET, UNIFORM or PER_CELL
    noise_scale : what the kernel multiplies variances with
    groups : blocks on the diagonal, see `xbarsim.crossbar.diagonal`; cells elsewhere are cells as any other
    """

    config: ArrayConfig
    shape: tuple[int, int]
    inversion: IntArray
    cells: NDArray[np.int32]
    fraction_bits: int
    noise: int
    noise_scale: float
    groups: int = 1

    def multiply(
        self, x: NDArray[np.floating] | IntArray, signed: bool, *, seed: int, first: int = 0
    ) -> IntArray:
        """(N, M) int64 products of (N, K) integers in range.

        Parameters
        ----------
        signed : whether the inputs are
        seed : 64 bits, of the read noise
        first : number of the first row since the seed was drawn; batches count on
        """
        config, x = self.config, x.astype(np.int64, copy=False)
        exact = input_sum_product(x, rows_a_sum(config, self.shape[0], self.groups), self._input_sum_weights)
        padded = np.zeros((len(x), self._sign.shape[-1]), np.int64)
        add_analog_codes(
            padded,
            pack_inputs(x, config),
            self.cells,
            config.format.significance,
            self._sign,
            config.dac_bits,
            config.cycles - 1 if signed else -1,
            self._kernel_step,
            np.float32(config.adc.full_scale),
            self.noise,
            np.float32(self.noise_scale),
            np.uint64(seed),
            first,
        )
        return add_codes_in_levels(exact, padded[:, : self.shape[1]], config.step)

    def levels(self) -> Values:
        """(digits, K, M): what each cell counts for, in levels."""
        width = _width(self.noise)
        _, blocks, digits, rows, _ = self.cells.shape
        lanes = self.cells[..., :width].transpose(2, 1, 3, 0, 4).reshape(digits, blocks * rows, -1)
        k, m = self.shape
        return np.ldexp(lanes[:, :k, :m].astype(np.float32), -self.fraction_bits)

    @cached_property
    def _kernel_step(self) -> np.floating:
        """The ADC's step in the units of `cells`, in the type whose quotients never round onto a tie."""
        quotients = self.config.step.numerator << self.config.adc.bits
        kind = np.float32 if quotients < 1 << 22 else np.float64
        return kind(float(self.config.step) * 2**self.fraction_bits)

    @cached_property
    def _input_sum_weights(self) -> NDArray[np.float64]:
        weights = input_sum_weights(self.config, self.inversion)
        return by_group(weights, self.groups).astype(np.float64)

    @cached_property
    def _sign(self) -> IntArray:
        width, (_, m) = _width(self.noise), self.shape
        inverted = inverted_digits(self.config, self.inversion)
        sign = np.ones((self.inversion.shape[0], len(inverted), -(-m // width) * width), np.int64)
        sign[:, :, :m] = 1 - 2 * inverted.transpose(1, 0, 2)
        return sign


def analog_matrix(
    config: ArrayConfig,
    inversion: IntArray,
    shape: tuple[int, int],
    blocks: Iterable[tuple[Values, Values | float]],
    *,
    largest_variance: float = 0.0,
    groups: int = 1,
) -> AnalogMatrix:
    """Put cells into fixed point, row block by row block.

    Parameters
    ----------
    inversion : (blocks, M), see `AnalogMatrix`
    shape : (K, M)
    blocks : for each row block, the cells' values in levels, (digits, rows, M), and the variance of a
        read in levels squared: one number for all, or (digits, rows, M) where `largest_variance` is given
    largest_variance : upper bound of the variances of single cells; 0 if there is one number for all
    groups : see `AnalogMatrix`

    Raises
    ------
    InputError : arrays whose currents do not fit 32 bits; cells that are not numbers or HEADROOM times the
        highest level; read noise behind a wide DAC.
    """
    digit_top = (1 << config.dac_bits) - 1
    rows, top = min(config.rows, shape[0]), config.format.levels - 1
    fraction_bits = min(MOST_FRACTION_BITS, 30 - (rows * digit_top * HEADROOM * top).bit_length())
    if fraction_bits < 8:
        raise InputError(
            "ArrayConfig",
            "rows x (L - 1) x (largest input digit) below 2**16 for analog currents",
            rows * top * digit_top,
            "use fewer rows, levels or DAC bits",
        )
    noise, scale, unit = QUIET, 0.0, 1.0
    cells = None
    for number, (values, variance) in enumerate(blocks):
        if cells is None:
            noise = PER_CELL if largest_variance else UNIFORM if np.any(variance) else QUIET
            cells = _empty_cells(config, inversion, shape, noise, rows)
            unit = largest_variance / 2 ** (30 - rows.bit_length())
            scale = (unit if noise == PER_CELL else float(np.max(variance))) * 4.0**fraction_bits
        for digit, value in enumerate(values):
            here = cells[:, number, digit]
            _check_cells(value, HEADROOM * top, "values")
            _fill(here, np.rint(np.ldexp(value, fraction_bits)), 0, noise)
            if noise == PER_CELL:
                spread = np.asarray(variance)[digit]
                _check_cells(spread, largest_variance, "variances")
                _fill(here, np.rint(spread / unit), 1, noise)
    assert cells is not None
    if noise != QUIET and config.dac_bits > 1:
        raise InputError("ArrayConfig.dac_bits", "1 with read noise", config.dac_bits, "use a 1-bit DAC")
    return AnalogMatrix(
        config=config,
        shape=shape,
        inversion=inversion,
        cells=cells,
        fraction_bits=fraction_bits,
        noise=noise,
        noise_scale=scale,
        groups=groups,
    )


def _check_cells(values: Values, limit: float, what: str) -> None:
    if not (np.abs(values) <= limit).all():
        raise InputError(
            "cells", f"{what} of at most {limit:g}", f"up to {np.abs(values).max():g}", "check the device"
        )


def _width(noise: int) -> int:
    return LANES // 2 if noise == PER_CELL else LANES


def _empty_cells(
    config: ArrayConfig, inversion: IntArray, shape: tuple[int, int], noise: int, rows: int
) -> NDArray[np.int32]:
    stripes = -(-shape[1] // _width(noise))
    return np.zeros((stripes, len(inversion), config.format.digits, rows, LANES), np.int32)


def _fill(cells: NDArray[np.int32], values: Values, part: int, noise: int) -> None:
    """Put (rows, M) values into their lanes of (stripes, rows, LANES)."""
    width, rows = _width(noise), len(values)
    for stripe in range(len(cells)):
        here = values[:, stripe * width : (stripe + 1) * width]
        cells[stripe, :rows, part * width : part * width + here.shape[1]] = here
