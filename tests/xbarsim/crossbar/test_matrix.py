"""The collapsed and the bit-serial path agree with the slow reference, bit for bit, faults included."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.twins.crossbar import bit_serial_product
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar import serial
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.matrix import input_range, program_matrix
from xbarsim.errors import InputError
from xbarsim.faults.kinds import FaultKind
from xbarsim.faults.masks import masks_of_cells

# A kernel is compiled, which takes seconds, for every kind of: rows, bits of a cell and of a cycle, an ADC's
# bits and full range, bits of an input. The suite has few of them, a thorough run all.
EVERY_KIND = st.integers(1, 16).flatmap(
    lambda input_bits: st.tuples(
        st.sampled_from([1, 3, 8, 70, 130]),
        st.integers(1, 4),
        st.integers(1, min(3, input_bits)),
        st.integers(1, 12),
        st.none() | st.just("array") | st.integers(1, 600),
        st.just(input_bits),
    )
)
SOME_KINDS = st.sampled_from(
    [
        (1, 1, 1, 1, None, 1),
        (3, 2, 1, 8, None, 16),
        (8, 4, 2, 5, "array", 7),
        (70, 1, 3, 12, "array", 16),
        (130, 3, 1, 6, 300, 9),
        (70, 2, 2, 3, None, 5),
        (130, 1, 1, 9, "array", 16),
        (8, 3, 3, 10, 77, 12),
        (3, 1, 2, 2, 600, 3),
        (70, 4, 1, 12, None, 16),
    ]
)
THOROUGH = settings.get_current_profile_name() == "thorough"


@st.composite
def configurations(draw):
    rows, cell_bits, dac_bits, adc_bits, full_range, input_bits = draw(EVERY_KIND if THOROUGH else SOME_KINDS)
    encodings = ["offset", "differential", *(["twos_complement"] if cell_bits == 1 else [])]
    encoding, weight_bits = draw(st.sampled_from(encodings)), draw(st.integers(2, 16))
    return ArrayConfig(
        rows=rows,
        columns=128,
        format=WeightFormat(weight_bits=weight_bits, cell_bits=cell_bits, encoding=encoding),
        inverted_storage=draw(st.booleans()),
        adc=AdcConfig(bits=adc_bits, full_range=full_range),
        dac_bits=dac_bits,
        input_bits=input_bits,
    )


CASES = given(config=configurations(), seed=st.integers(0, 2**32 - 1), signed=st.booleans())


@CASES
def test_product_matches_reference(config, seed, signed):
    assert_matches_reference(config, seed, signed)


@seed(20261124)
@settings(database=None)
@CASES
def test_product_matches_reference_on_fixed_cases(config, seed, signed):
    assert_matches_reference(config, seed, signed)


def assert_matches_reference(config, seed, signed):
    """Random weights, inputs and faults of every kind; collapsed where proven, and forced bit by bit."""
    signed = signed and config.dac_bits == 1
    rng = np.random.default_rng(seed)
    k, m, n = int(rng.integers(1, 150)), int(rng.integers(1, 4)), 3
    form = config.format
    q = rng.integers(form.low, form.high, (k, m), endpoint=True)
    low, high = input_range(config.input_bits, signed)
    x = rng.integers(low, high, (n, k), endpoint=True)
    cells = rng.choice(k * m * form.digits, int(rng.integers(0, k * m * form.digits // 4 + 1)), replace=False)
    weight, digit = np.divmod(cells, form.digits)
    kind = rng.integers(0, len(FaultKind), len(cells)).astype(np.uint8)
    top = form.levels - 1
    value = rng.integers(1, top, len(cells), endpoint=True)
    value = np.where(kind == FaultKind.step, rng.choice([-1, 1], len(cells)), value)
    value = np.select([kind == FaultKind.stuck_hrs, kind == FaultKind.stuck_lrs], [0, top], value).astype(
        np.int8
    )
    faults = {
        (int(w) // m, int(w) % m, int(d)): (FaultKind(int(a)).name, int(v))
        for w, d, a, v in zip(weight, digit, kind, value, strict=True)
    }
    matrix = program_matrix(q, config)
    masks = masks_of_cells(
        matrix.stored, weight=weight, digit=digit, kind=kind, value=value, cell_bits=form.cell_bits
    )
    faulty = matrix.with_masks(masks)
    expected = bit_serial_product(q, x, config, signed, faults)
    np.testing.assert_array_equal(faulty.product(x, signed=signed), expected)
    for counts in (True, False):
        with patch.object(serial, "counts_vectors", lambda counts=counts: counts):
            slow = replace(faulty, collapse=False)
            np.testing.assert_array_equal(slow.product(x, signed=signed), expected)
    logical = masks.logical(matrix.row_inversion)
    np.testing.assert_array_equal(form.decode(logical.apply(form.encode(q))), faulty.effective)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (np.zeros((2, 3), int), "(N, 4) integers"),
        (np.zeros((2, 4)), "integers"),
        (np.full((2, 4), 70000), "values in 0..65535"),
    ],
)
def test_wrong_inputs_are_refused(inputs, text):
    matrix = program_matrix(np.ones((4, 2), int), ArrayConfig())
    with pytest.raises(InputError) as error:
        matrix.product(inputs, signed=False)
    assert text in str(error.value)


def test_wrong_weights_and_configurations_are_refused():
    with pytest.raises(InputError, match=r"integers in -32768\.\.32767"):
        program_matrix(np.full((2, 2), 2**15), ArrayConfig())
    with pytest.raises(InputError, match=r"2\.\.16"):
        WeightFormat(weight_bits=17)
    with pytest.raises(InputError, match="twos_complement"):
        WeightFormat(encoding="twos_complement", cell_bits=2)
    with pytest.raises(InputError, match="signed inputs"):
        program_matrix(np.ones((2, 2), int), ArrayConfig(dac_bits=2)).product(
            np.ones((1, 2), int), signed=True
        )


@pytest.mark.parametrize("rows", [500, 512, 516, 517, 518, 600, 1024])
def test_largest_sums_stay_exact_where_float32_ends(rows):
    """All weights and inputs at their largest: 127 * 255 * K passes 2**24 between K = 518 and 519."""
    config = ArrayConfig(format=WeightFormat(weight_bits=8), input_bits=8)
    for weight in (127, -128):
        weights, x = np.full((rows, 2), weight), np.full((3, rows), 255)
        x[1, ::2] = 254
        assert (program_matrix(weights, config).product(x, signed=False) == x @ weights).all()
