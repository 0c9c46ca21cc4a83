"""Configurations that integers hold, and the integer rule of an ADC's code."""

import math
from fractions import Fraction

import numpy as np
import pytest

from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.errors import InputError


@pytest.mark.parametrize(
    ("rows", "cell_bits", "dac_bits", "bits", "full_range"),
    [
        (128, 2, 1, 8, "array"),
        (128, 2, 1, 5, 300),
        (70, 4, 2, 9, 1000),
        (128, 1, 1, 7, 97),
        (9, 3, 3, 12, 77),
    ],
)
def test_code_rule_is_the_definition_for_every_sum(rows, cell_bits, dac_bits, bits, full_range):
    config = ArrayConfig(
        rows=rows,
        format=WeightFormat(cell_bits=cell_bits),
        dac_bits=dac_bits,
        adc=AdcConfig(bits=bits, full_range=full_range),
    )
    rule = config.code_rule
    for total in range(config.largest_sum + 1):
        code = min((total * rule.factor + rule.offset) >> rule.shift, rule.full_scale)
        assert code == min(math.floor(total / config.step + Fraction(1, 2)), 2**bits - 1)


def test_configurations_that_do_not_fit_integers_are_refused():
    with pytest.raises(InputError, match=r"AdcConfig\.full_range: expected an integer in 1"):
        AdcConfig(full_range=0)
    with pytest.raises(InputError, match="None, 'array' or a column sum"):
        AdcConfig(full_range="row")
    with pytest.raises(InputError, match=r"below 2\*\*30"):
        ArrayConfig(rows=65536, dac_bits=8, adc=AdcConfig(bits=16, full_range=3))
    with pytest.raises(InputError, match="62 bits"):
        config = ArrayConfig(rows=128, adc=AdcConfig(bits=12, full_range=12345))
        program_matrix(np.zeros((2**14, 1), int), config)
