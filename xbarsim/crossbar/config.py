"""What an array is: its size, its converters, and how weights are stored in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from xbarsim.cells.encoding import WeightFormat
from xbarsim.checks import InputError, check_int


@dataclass(frozen=True, kw_only=True)
class AdcConfig:
    """A clipping ADC of step 1: code = min(column sum, 2**bits - 1). Source: ISAAC, section 5."""

    bits: int = 8

    def __post_init__(self) -> None:
        check_int("AdcConfig.bits", self.bits, 1, 24)

    @property
    def full_scale(self) -> int:
        """Largest code."""
        return (1 << self.bits) - 1


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
        check_int("ArrayConfig.rows", self.rows, 1, 65536)
        check_int("ArrayConfig.columns", self.columns, 1, 65536)
        check_int("ArrayConfig.input_bits", self.input_bits, 1, 16)
        check_int("ArrayConfig.dac_bits", self.dac_bits, 1, self.input_bits)
        if self.format.digits > self.columns:
            raise InputError(
                "ArrayConfig.columns", f"at least {self.format.digits} for one weight", self.columns
            )

    @property
    def weights_per_row(self) -> int:
        """Weights side by side on one word line."""
        return self.columns // self.format.digits

    @property
    def cycles(self) -> int:
        """Cycles that stream one input vector."""
        return -(-self.input_bits // self.dac_bits)
