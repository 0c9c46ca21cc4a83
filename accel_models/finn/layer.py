"""One layer of a FINN accelerator: a matrix-vector-threshold unit (MVTU) with its window and its pooling.

A layer multiplies every window of its input with MH rows of MW weights, counts how many thresholds the
accumulator exceeds, and may keep the largest activation of each 2 x 2 block. A fully connected layer is one
whose window is its whole input. Activations travel as codes, the number of thresholds exceeded; a `Stream`
says what a code is worth.

Source: FINN (Umuroglu et al., FPGA 2017), sections 4.2 and 4.3; FINN-R (Blott et al., TRETS 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError, check_choice, check_int

IntArray = NDArray[np.int64]
MOST_BITS = 8


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The values that activations can take: code c in 0..top means low + step * c.

    >>> Stream(low=-1, step=2, top=1).values.tolist(), Stream(low=-1, step=1, top=2).bits
    ([-1, 1], 2)
    """

    low: int
    step: int
    top: int

    def __post_init__(self) -> None:
        check_int("Stream.step", self.step, 1, 2)
        check_int("Stream.top", self.top, 1, (1 << MOST_BITS) - 1, "activations have 1..8 bits")
        check_int("Stream.low", self.low, -(1 << MOST_BITS), 1 << MOST_BITS)

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.top.bit_length()

    @property
    def values(self) -> IntArray:
        """(top + 1,): what each code means."""
        return self.low + self.step * np.arange(self.top + 1)

    def code_of(self, where: str, value: int) -> int:
        """The code that means `value`; refuses others."""
        if value not in self.values:
            raise InputError(where, "one of " + ", ".join(map(str, self.values)), value)
        return (value - self.low) // self.step


BIPOLAR = Stream(low=-1, step=2, top=1)
TERNARY = Stream(low=-1, step=1, top=2)


def unsigned(bits: int) -> Stream:
    """Activations 0 .. 2**bits - 1."""
    return Stream(low=0, step=1, top=(1 << bits) - 1)


def signed(bits: int) -> Stream:
    """Integers -2**(bits - 1) .. 2**(bits - 1) - 1."""
    return Stream(low=-(1 << (bits - 1)), step=1, top=(1 << bits) - 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mvtu:
    """A layer: what it computes, and how it is folded over PEs and SIMD lanes.

    Parameters
    ----------
    weights : (MH, MW) integers; columns run over kernel rows, then kernel columns, then channels
    weight_bits : 1 for weights of -1 and +1, else two's complement of 2..8 bits
    thresholds : (MH, top of `output`), ascending; None in a last layer that hands out its accumulators
    input, output : the streams before and after; no output without thresholds
    shape : (height, width, channels) of the input
    kernel, stride : of the window; the layer is fully connected where the kernel covers the input
    pool : side of the square blocks whose largest activation is kept; 1 for none
    accumulates : `agreement` counts the inputs that agree in sign with their weights (both -1 or +1),
        `product` adds the products
    accumulator_shift : the accumulator holds the sum times 2**shift (an added fraction bit)
    accumulator_bits, threshold_bits : widths of the registers and memories that faults can hit
    bias : (MH,) added to the accumulator, for a last layer; None for 0
    inclusive : a threshold counts when it is reached (newer FINN), not only when it is exceeded
    pe, simd : folding; they divide MH and MW
    """

    name: str
    weights: NDArray[np.int8]
    weight_bits: int
    thresholds: IntArray | None
    input: Stream
    output: Stream | None
    shape: tuple[int, int, int]
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pool: int = 1
    accumulates: Literal["agreement", "product"] = "product"
    accumulator_shift: int = 0
    accumulator_bits: int = 16
    threshold_bits: int = 16
    bias: IntArray | None = None
    inclusive: bool = False
    pe: int = 1
    simd: int = 1

    def __post_init__(self) -> None:
        where = f"layer {self.name}"
        check_int(f"{where}: weight bits", self.weight_bits, 1, MOST_BITS)
        for what, low, high in (("accumulator", 2, 48), ("threshold", 2, 48)):
            check_int(f"{where}: {what} bits", getattr(self, f"{what}_bits"), low, high)
        check_choice(f"{where}: accumulates", self.accumulates, ("agreement", "product"))
        self._check_geometry(where)
        self._check_weights(where)
        self._check_thresholds(where)
        for what, count, size in (("PE", self.pe, self.rows), ("SIMD", self.simd, self.columns)):
            divides = isinstance(count, int) and 1 <= count <= size and size % count == 0
            if not divides:
                remedy = "choose a folding that divides it"
                raise InputError(f"{where}: {what}", f"a divisor of {size}", count, remedy)

    def _check_geometry(self, where: str) -> None:
        (height, width, channels), (kh, kw) = self.shape, self.kernel
        if min(*self.shape, *self.kernel, *self.stride, self.pool) < 1 or kh > height or kw > width:
            raise InputError(where, f"a window inside its input {self.shape}", f"{kh} x {kw}")
        if self.weights.ndim != 2 or self.columns != kh * kw * channels:
            expected = f"weights (rows, {kh * kw * channels})"
            raise InputError(where, expected, str(self.weights.shape), "columns are kernel x channels")
        down, across = self.positions
        if down % self.pool or across % self.pool:
            raise InputError(f"{where}: pool", f"a divisor of {down} and {across}", self.pool)

    def _check_weights(self, where: str) -> None:
        low, high = weight_range(self.weight_bits)
        off = (self.weights < low) | (self.weights > high)
        if self.weight_bits == 1:
            off |= self.weights == 0
        if off.any():
            expected = "weights of -1 and +1" if self.weight_bits == 1 else f"weights in {low}..{high}"
            raise InputError(where, expected, int(self.weights[off][0]))
        if self.accumulates == "agreement" and (self.weight_bits, self.input) != (1, BIPOLAR):
            raise InputError(where, "weights and inputs of -1 and +1, to count agreement", str(self.input))

    def _check_thresholds(self, where: str) -> None:
        if (self.thresholds is None) != (self.output is None):
            raise InputError(where, "thresholds and an output stream, or neither", "one of them")
        if self.thresholds is not None and self.output is not None:
            if self.thresholds.shape != (self.rows, self.output.top):
                expected = f"thresholds ({self.rows}, {self.output.top})"
                raise InputError(where, expected, str(self.thresholds.shape))
            if (np.diff(self.thresholds, axis=1) < 0).any():
                raise InputError(where, "thresholds in ascending order", "a step down")
            half = 1 << (self.threshold_bits - 1)
            if (self.thresholds < -half).any() or (self.thresholds >= half).any():
                got = int(self.thresholds.flat[np.abs(self.thresholds).argmax()])
                raise InputError(where, f"thresholds of {self.threshold_bits} bits", got, "state their width")
        if self.output is None and self.pool > 1:
            raise InputError(f"{where}: pool", "1, in a layer without thresholds", self.pool)

    @property
    def rows(self) -> int:
        """MH: output channels."""
        return int(self.weights.shape[0])

    @property
    def columns(self) -> int:
        """MW: inputs of a window."""
        return int(self.weights.shape[1])

    @property
    def row_folds(self) -> int:
        """NF = MH / PE: rows that a PE serves."""
        return self.rows // self.pe

    @property
    def column_folds(self) -> int:
        """SF = MW / SIMD: cycles that a row takes."""
        return self.columns // self.simd

    @property
    def positions(self) -> tuple[int, int]:
        """Windows down and across, before pooling."""
        (height, width, _), (kh, kw), (down, across) = self.shape, self.kernel, self.stride
        return (height - kh) // down + 1, (width - kw) // across + 1

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) after pooling."""
        down, across = self.positions
        return down // self.pool, across // self.pool, self.rows

    @property
    def fully_connected(self) -> bool:
        """True if the window covers the input."""
        return self.kernel == self.shape[:2]

    @property
    def macs(self) -> int:
        """Multiplications an image."""
        return int(np.prod(self.positions)) * self.rows * self.columns

    @cached_property
    def gain(self) -> int:
        """The accumulator is gain * (weights . codes) + offset."""
        return 1 if self.accumulates == "agreement" else self.input.step << self.accumulator_shift

    @cached_property
    def offset(self) -> IntArray:
        """(MH,): see `gain`."""
        sums = self.weights.sum(axis=1, dtype=np.int64)
        if self.accumulates == "agreement":
            found = (self.columns - sums) // 2
        else:
            found = (self.input.low * sums) << self.accumulator_shift
        return found if self.bias is None else found + self.bias


def weight_range(bits: int) -> tuple[int, int]:
    """Smallest and largest weight of so many bits."""
    return (-1, 1) if bits == 1 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
