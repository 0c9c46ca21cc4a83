"""What an array is: its size, its converters, and how weights are stored in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from xbarsim.cells.encoding import WeightFormat
from xbarsim.errors import InputError, check_int, check_type
from xbarsim.hints import check_fields


@dataclass(frozen=True, kw_only=True)
class AdcConfig:
    """The converter of the column sums: code = clip(floor(sum / step + 1/2), 0, 2**bits - 1).

    Parameters
    ----------
    bits : of the code
    full_range : the column sum, in levels, that the codes span: step = full_range / 2**bits. None is
        2**bits: step 1, which clips and never rounds. 'array' is the largest sum that an array can give,
        rows x (L - 1) x the largest input digit. A number is a range of your own, say a calibrated one.

    Source: ISAAC (ISCA 2016), section 5, for step 1.
    """

    bits: int = 8
    full_range: int | str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_int("AdcConfig.bits", self.bits, 1, 24)
        if isinstance(self.full_range, str) and self.full_range != "array":
            raise InputError("AdcConfig.full_range", "None, 'array' or a column sum", repr(self.full_range))
        if self.full_range is not None and not isinstance(self.full_range, str):
            check_int("AdcConfig.full_range", self.full_range, 1, 2**40)

    @property
    def full_scale(self) -> int:
        """Largest code."""
        return (1 << self.bits) - 1


class CodeRule(NamedTuple):
    """How a kernel gets a code in integers: min((sum * factor + offset) >> shift, full_scale)."""

    factor: int
    offset: int
    shift: int
    full_scale: int


@dataclass(frozen=True, kw_only=True)
class ArrayConfig:
    """A crossbar array with its converters.

    Parameters
    ----------
    rows, columns : cells of an array
    format : how weights are stored
    inverted_storage : ISAAC's: a column whose level sum exceeds half of rows x (L - 1) is stored inverted
    adc : the converter of the column sums
    dac_bits : input bits a cycle; 1 is bit-serial
    input_bits : width of the inputs
    """

    rows: int = 128
    columns: int = 128
    format: WeightFormat = field(default_factory=WeightFormat)
    inverted_storage: bool = True
    adc: AdcConfig = field(default_factory=AdcConfig)
    dac_bits: int = 1
    input_bits: int = 16

    def __post_init__(self) -> None:
        check_fields(self)
        check_type("ArrayConfig.format", self.format, WeightFormat)
        check_type("ArrayConfig.adc", self.adc, AdcConfig)
        check_type("ArrayConfig.inverted_storage", self.inverted_storage, bool)
        check_int("ArrayConfig.rows", self.rows, 1, 65536)
        check_int("ArrayConfig.columns", self.columns, 1, 65536)
        check_int("ArrayConfig.input_bits", self.input_bits, 1, 16)
        check_int("ArrayConfig.dac_bits", self.dac_bits, 1, self.input_bits)
        if self.format.digits > self.columns:
            raise InputError(
                "ArrayConfig.columns", f"at least {self.format.digits} for one weight", self.columns
            )
        if self._dividend_bits > 31 and self.step.numerator > 1:
            raise InputError(
                "AdcConfig.full_range",
                "a rounding ADC with (largest column sum) x 2**bits below 2**30",
                f"{self.largest_sum} x 2**{self.adc.bits}",
                "use fewer rows, levels, DAC bits or ADC bits, or step 1 (full_range=None)",
            )

    @property
    def largest_sum(self) -> int:
        """Largest column sum of an array: rows x (L - 1) x the largest input digit."""
        return self.rows * (self.format.levels - 1) * ((1 << self.dac_bits) - 1)

    @cached_property
    def step(self) -> Fraction:
        """What one ADC code is worth, in levels."""
        full_range = self.adc.full_range
        if full_range is None:
            return Fraction(1)
        return Fraction(self.largest_sum if isinstance(full_range, str) else full_range, 1 << self.adc.bits)

    @cached_property
    def code_rule(self) -> CodeRule:
        """The code as multiply, add and shift; exact for every sum of an array.

        floor(sum / step + 1/2) is (2 sum q + p) // 2p with step = p / q, and a division by a constant is a
        product with its reciprocal, rounded up, if that has as many bits as the dividend (Granlund and
        Montgomery, PLDI 1994, theorem 4.2).
        """
        p, q = self.step.numerator, self.step.denominator
        if p == 1:
            return CodeRule(q, 0, 0, self.adc.full_scale)
        shift = self._dividend_bits + (2 * p - 1).bit_length()
        reciprocal = -(-(1 << shift) // (2 * p))
        return CodeRule(2 * q * reciprocal, p * reciprocal, shift, self.adc.full_scale)

    @property
    def _dividend_bits(self) -> int:
        return (2 * self.largest_sum * self.step.denominator + self.step.numerator).bit_length()

    @property
    def weights_per_row(self) -> int:
        """Weights side by side on one word line."""
        return self.columns // self.format.digits

    @property
    def cycles(self) -> int:
        """Cycles that stream one input vector."""
        return -(-self.input_bits // self.dac_bits)
