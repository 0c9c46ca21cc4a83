"""Outputs of one row block through the ADC, by both kernels, against one column and one cycle at a time."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.crossbar import column_worth, stream_column
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar import serial
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.serial import input_sum_weights, inverted_digits, pack_inputs, serial_block

FORMATS = [
    WeightFormat(weight_bits=4, cell_bits=2, encoding="offset"),
    WeightFormat(weight_bits=5, cell_bits=1, encoding="twos_complement"),
    WeightFormat(weight_bits=5, cell_bits=2, encoding="differential"),
]


def levels_of(word, form):
    return [(int(word) >> form.cell_bits * d) & (form.levels - 1) for d in range(form.digits)]


@settings(max_examples=15)
@given(
    form=st.sampled_from(FORMATS),
    dac_bits=st.sampled_from([1, 2]),
    full_range=st.sampled_from([None, "array"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_codes_are_those_of_the_reference_by_counting_and_by_tables(form, dac_bits, full_range, seed):
    rng = np.random.default_rng(seed)
    adc = AdcConfig(bits=3, full_range=full_range)
    config = ArrayConfig(rows=66, format=form, adc=adc, dac_bits=dac_bits, input_bits=5)
    signed = dac_bits == 1 and bool(rng.integers(2))
    held = rng.integers(0, form.levels**form.digits, (70, 2))
    inversion = np.array([0, form.levels**form.digits - 1])
    x = rng.integers(0, 2**5, (2, 70))
    expected = np.zeros((2, 3), np.int64)
    for n, u, d in np.ndindex(2, 2, form.digits):
        levels = [levels_of(word, form)[d] for word in held[66:, u]]
        code = stream_column([int(v) for v in x[n, 66:]], levels, config, signed) / config.step
        worth = column_worth(config)[d] * (-1 if u else 1)
        expected[n, (2, 0)[u]] += worth * int(code)
    for counts in (True, False):
        with patch.object(serial, "counts_vectors", lambda counts=counts: counts):
            block = serial_block(config, 1, np.array([2, 0]), held, inversion)
        assert block.counted == counts
        codes = np.zeros((2, 3), np.int64)
        block.add_to(codes, pack_inputs(x, config), config, signed)
        np.testing.assert_array_equal(codes, expected)


@pytest.mark.parametrize("form", FORMATS)
def test_the_inputs_sum_makes_up_for_inversion_and_offset(form):
    """A weight w stored with some digits as top - level: the levels as read, plus this, make w again."""
    config, rng = ArrayConfig(format=form), np.random.default_rng(0)
    weights = rng.integers(form.low, form.high, 50, endpoint=True)
    for pattern in range(2**form.digits):
        bits = sum((form.levels - 1) << form.cell_bits * d for d in range(form.digits) if pattern >> d & 1)
        stored = form.encode(weights) ^ bits
        signs = 1 - 2 * inverted_digits(config, np.array(bits))
        read = [sum(np.multiply(levels_of(word, form), signs * form.significance)) for word in stored]
        np.testing.assert_array_equal(read + input_sum_weights(config, np.array(bits)), weights)


def test_packed_inputs_hold_every_bit_at_its_row_and_cycle():
    config, x = (
        ArrayConfig(rows=70, dac_bits=2, input_bits=6),
        np.random.default_rng(0).integers(0, 64, (3, 150)),
    )
    planes = pack_inputs(x, config)
    assert planes.shape == (3, 3, 4, 2, 2)  # three cycles, padded to four
    for n, k in np.ndindex(x.shape):
        block, row = divmod(k, 70)
        bits = (planes[block, n, :, :, row // 64].ravel() >> row % 64) & 1
        assert sum(int(bit) << place for place, bit in enumerate(bits)) == x[n, k]
