"""The collapsed and the bit-serial path agree with the slow reference, bit for bit, faults included."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.twins.crossbar import bit_serial_product, packed_product
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar import serial
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.diagonal import diagonal_blocks, groups_an_array, on_diagonal, side_by_side
from xbarsim.crossbar.matrix import input_range, program_groups, program_matrix
from xbarsim.errors import InputError
from xbarsim.faults.kinds import FaultKind
from xbarsim.faults.masks import masks_of_cells

# A kernel is compiled, which takes seconds, for every kind of: rows, bits of a cell and of a cycle, an ADC's
# bits and full range, bits of an input. The suite has few of them, most of which test_bitserial has too; a
# thorough run has all.
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
        (8, 2, 2, 3, None, 5),
        (130, 1, 1, 9, "array", 16),
        (8, 3, 3, 10, 77, 12),
        (3, 1, 2, 2, 600, 3),
        (8, 4, 1, 12, None, 16),
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


def faults_of_cells(rng, shape, form, share):
    """Faults of every kind in so many of (rows, outputs, digits) cells: flat numbers, kinds and values."""
    cells = rng.choice(int(np.prod(shape)), int(rng.integers(0, share * np.prod(shape) + 1)), replace=False)
    kind, top = rng.integers(0, len(FaultKind), len(cells)), form.levels - 1
    value = rng.integers(1, top, len(cells), endpoint=True)
    value = np.where(kind == FaultKind.step, rng.choice([-1, 1], len(cells)), value)
    value = np.select([kind == FaultKind.stuck_hrs, kind == FaultKind.stuck_lrs], [0, top], value)
    return cells, kind.astype(np.uint8), value.astype(np.int8)


@given(
    config=configurations(),
    seed=st.integers(0, 2**32 - 1),
    signed=st.booleans(),
    share=st.sampled_from([0, 0.02, 0.3]),
)
def test_groups_in_one_array_are_what_its_cells_give(config, seed, signed, share):
    """Faults of every kind on and off the diagonal; collapsed where proven, and forced bit by bit."""
    signed, rng, form = signed and config.dac_bits == 1, np.random.default_rng(seed), config.format
    k = int(rng.integers(1, max(2, config.rows // 2 + 1)))
    m = int(rng.integers(1, max(2, config.weights_per_row // 2 + 1)))
    groups = min(int(rng.integers(1, 5)), groups_an_array(config, k, m))
    weights = rng.integers(form.low, form.high, (groups, k, m), endpoint=True)
    x = rng.integers(*input_range(config.input_bits, signed), (groups, 2, k), endpoint=True)
    matrix = program_groups(weights, config)
    cells, kind, value = faults_of_cells(rng, (groups * k, groups * m, form.digits), form, share)
    weight, digit = np.divmod(cells, form.digits)
    row, output = np.divmod(weight, groups * m)
    named = {
        (int(r), int(o) * form.digits + int(d)): (FaultKind(int(a)).name, int(v))
        for r, o, d, a, v in zip(row, output, digit, kind, value, strict=True)
    }
    masks = masks_of_cells(
        matrix.stored, weight=weight, digit=digit, kind=kind, value=value, cell_bits=form.cell_bits
    )
    faulty = matrix.with_masks(masks)
    expected = np.hstack(list(packed_product(weights, x, config, signed, named)))
    np.testing.assert_array_equal(faulty.product(side_by_side(x), signed=signed), expected)
    for counts in (True, False):
        with patch.object(serial, "counts_vectors", lambda counts=counts: counts):
            slow = replace(faulty, collapse=False)
            np.testing.assert_array_equal(slow.product(side_by_side(x), signed=signed), expected)
    alone = [program_matrix(own, config) for own in weights]
    apart = [one.product(rows, signed=signed) for one, rows in zip(alone, x, strict=True)]
    np.testing.assert_array_equal(matrix.product(side_by_side(x), signed=signed), np.hstack(apart))
    assert (diagonal_blocks(matrix.effective, groups) == weights).all()
    assert (on_diagonal(weights) == matrix.effective).all()


def test_a_cell_off_the_diagonal_adds_its_level_times_foreign_inputs():
    """Its digit's worth counts negative where its column is stored inverted, and it is never a weight."""
    config = ArrayConfig(format=WeightFormat(weight_bits=4, cell_bits=2), input_bits=4)
    weights = np.array([[[7], [7]], [[-8], [-8]]])  # words 15, inverted, and 0
    matrix = program_groups(weights, config)
    assert matrix.inversion.tolist() == [[15, 0]] and matrix.stored.tolist() == [[0, 0]] * 4
    place = {"weight": np.array([2 * 2, 0 * 2 + 1]), "digit": np.array([1, 0])}
    stuck = {
        "kind": np.array([FaultKind.stuck_at, FaultKind.step], np.uint8),
        "value": np.array([2, -1], np.int8),
    }
    faulty = matrix.with_masks(masks_of_cells(matrix.stored, **place, **stuck, cell_bits=2))
    assert faulty.effective.tolist() == [[7, 1], [7, 0], [-2 * 4, -8], [0, -8]]
    assert faulty.product(np.array([[1, 2, 3, 4]]), signed=False).tolist() == [[21 - 24, -56 + 1]]


def test_a_fault_off_the_diagonal_counts_in_the_proof():
    config = ArrayConfig(
        format=WeightFormat(weight_bits=2, cell_bits=2), adc=AdcConfig(bits=3), inverted_storage=False
    )
    matrix = program_groups(np.array([[[1], [0]], [[1], [0]]]), config)  # levels 3 and 2: at most 5 of 7
    assert matrix.proof.proven.all()
    off = masks_of_cells(
        matrix.stored,
        weight=np.array([2 * 2]),
        digit=np.array([0]),
        kind=np.array([FaultKind.stuck_lrs], np.uint8),
        value=np.array([3], np.int8),
        cell_bits=2,
    )
    faulty = matrix.with_masks(off)
    assert faulty.proof.proven.tolist() == [[False, True]] and faulty.proof.largest_sum.tolist() == [[8, 5]]
    x = np.array([[1, 1, 1, 0]])
    assert faulty.product(x, signed=False).tolist() == [[7 - 2 * 2, 1]]


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="fit an array"):
        program_groups(np.zeros((15, 9, 1), int), ArrayConfig())
    with pytest.raises(InputError, match="fit an array"):
        program_groups(np.zeros((2, 9), int), ArrayConfig())


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
