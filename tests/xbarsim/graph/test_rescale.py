"""Requantization in 64-bit integers gives what Python's integers give."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.twins.rescale import clipped, rescaled, saturated, sloped, weighted_sum
from xbarsim.errors import InputError
from xbarsim.graph.rescale import (
    FEWEST_BITS,
    MOST_BITS,
    WORD,
    Rescale,
    Slopes,
    WeightedSum,
    affine_multipliers,
    multipliers,
    round_shifts,
    shared_multipliers,
)

RATIOS = st.floats(2.0**-30, 2.0**14)
LARGEST = st.integers(1, 2 ** (WORD - FEWEST_BITS) - 1)


def room(largest):
    return min(MOST_BITS, WORD - largest.bit_length())


@given(RATIOS, LARGEST)
def test_multipliers_are_the_nearest_of_their_bits(ratio, largest):
    m, n = (int(values[0]) for values in multipliers(np.array([ratio]), largest))
    assume(n < WORD)
    assert abs(Fraction(m, 2**n) - Fraction(ratio)) <= Fraction(1, 2 ** (n + 1))
    assert 2 ** (room(largest) - 1) <= m <= 2 ** room(largest)
    assert largest * m < 2**63


@given(st.floats(0, 2.0**-32), LARGEST)
def test_tiny_ratios_keep_as_much_as_the_shift_allows(ratio, largest):
    m, n = (int(values[0]) for values in multipliers(np.array([ratio]), largest))
    assert 0 <= n <= WORD
    assert abs(Fraction(m, 2**n) - Fraction(ratio)) <= Fraction(1, 2 ** (n + 1))


def test_sums_that_leave_too_few_bits_and_ratios_without_multiplier_are_refused():
    multipliers(np.ones(1), 2 ** (WORD - FEWEST_BITS) - 1)
    with pytest.raises(InputError, match="layer 'a': expected sums of at most 47 bits, got 48 bits"):
        multipliers(np.ones(1), 2 ** (WORD - FEWEST_BITS), "layer 'a'")
    multipliers(np.array([2.0**30]), 1)
    with pytest.raises(InputError, match=r"scales of a ratio below 2\*\*31"):
        multipliers(np.array([1.0, 2.0**31]), 1)
    with pytest.raises(InputError, match="shifts below"):
        affine_multipliers(np.ones(1), np.array([1e30]), 1)


def rescale(ratios, shifts, largest, **options):
    m, n, b = affine_multipliers(np.array(ratios), np.array(shifts), largest)
    return Rescale(name="r", sources=("x",), scale=1.0, bits=8, multipliers=m, shifts=n, offsets=b, **options)


GAINS = st.floats(-(2.0**10), 2.0**10).filter(lambda gain: abs(gain) > 2.0**-40)


@given(
    st.lists(st.tuples(GAINS, st.floats(-1e9, 1e9)), min_size=1, max_size=3),
    LARGEST,
    st.integers(0, 255),
    st.integers(0, 200),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_rescaling_is_that_of_the_twin_and_never_overflows(
    channels, largest, zero, source_zero, signed, seed
):
    assume(largest > source_zero)
    node = rescale(*zip(*channels, strict=True), largest, zero=zero, source_zero=source_zero, signed=signed)
    ends = np.array([-largest, largest])
    drawn = np.random.default_rng(seed).integers(-largest, largest, 6, endpoint=True)
    x = np.stack([np.append(ends, drawn) + source_zero] * len(channels), axis=1)
    found = node.unbounded(x)
    for (row, channel), value in np.ndenumerate(x):
        m, n, b = (int(v[channel]) for v in (node.multipliers, node.shifts, node.offsets))
        assert found[row, channel] == rescaled(int(value), m, n, b, source_zero, zero)
    assert (node.forward(x) == [[clipped(int(v), 8, signed) for v in row] for row in found]).all()


@given(
    st.lists(st.tuples(st.floats(2.0**-20, 2.0**10), GAINS), min_size=1, max_size=3),
    LARGEST,
    st.integers(0, 255),
    st.integers(0, 2**32),
)
def test_slopes_are_those_of_the_twin_on_both_sides_of_the_zero_point(channels, largest, zero, seed):
    above, below = (multipliers(np.array(ratios), largest) for ratios in zip(*channels, strict=True))
    node = Slopes(
        name="s",
        scale=1.0,
        zero=zero,
        bits=8,
        multipliers=above[0],
        shifts=above[1],
        multipliers_below=below[0],
        shifts_below=below[1],
        source_zero=zero,
    )
    drawn = np.random.default_rng(seed).integers(-largest, largest, 6, endpoint=True)
    x = np.stack([np.append([-largest, -1, 0, 1, largest], drawn) + zero] * len(channels), axis=1)
    found = node.unbounded(x)
    for (row, channel), value in np.ndenumerate(x):
        sides = [(int(m[channel]), int(n[channel])) for m, n in (above, below)]
        assert found[row, channel] == sloped(int(value), *sides, zero, zero)
    assert (node.forward(x) == [[clipped(int(v), 8, False) for v in row] for row in found]).all()


@given(GAINS, st.floats(-1e6, 1e6), st.integers(1, 2**31 - 1), st.integers(0, 2**32))
def test_affine_multipliers_are_near_the_line(gain, shift, largest, seed):
    m, n, b = (int(v[0]) for v in affine_multipliers(np.array([gain]), np.array([shift]), largest))
    step = Fraction(1, 2**n)
    assert abs(m * step - Fraction(gain)) <= step and abs(b * step - Fraction(shift)) <= step
    x = int(np.random.default_rng(seed).integers(-largest, largest, endpoint=True))
    line = Fraction(gain) * x + Fraction(shift)
    assert abs(rescaled(x, m, n, b, 0, 0) - line) <= Fraction(1, 2) + step * (abs(x) + 1)


@given(
    st.lists(st.tuples(GAINS, st.integers(0, 255)), min_size=2, max_size=4),
    st.integers(256, 2**20),
    st.integers(0, 255),
    st.integers(0, 2**32),
)
def test_weighted_sums_are_those_of_the_twin_and_never_overflow(sources, largest, zero, seed):
    ratios, zeros = zip(*sources, strict=True)
    found, shift = shared_multipliers(ratios, largest)
    node = WeightedSum(
        name="s",
        sources=("x",) * len(sources),
        scale=1.0,
        zero=zero,
        bits=8,
        multipliers=found,
        shift=shift,
        source_zeros=zeros,
    )
    rng = np.random.default_rng(seed)
    values = [rng.choice([-largest, largest, 3, -7], (3, 2)) + z for z in zeros]
    values[-1] = values[-1][:1]  # broadcast
    unbounded, rounded = node.unbounded(*values), node.forward(*values)
    for place in np.ndindex(3, 2):
        read = [int(np.broadcast_to(v, (3, 2))[place]) for v in values]
        wanted = weighted_sum(read, found, shift, zeros, zero)
        assert unbounded[place] == wanted and rounded[place] == clipped(wanted, 8, False)
    for ratio, m in zip(ratios, found, strict=True):
        assert abs(Fraction(m, 2**shift) - Fraction(ratio)) <= Fraction(1, 2 ** (shift + 1))


def test_tensors_broadcast_in_sums():
    node = WeightedSum(
        name="s", sources=("x", "y"), scale=1.0, bits=8, multipliers=(2, -1), shift=1, source_zeros=(1, 0)
    )
    x, y = np.arange(6).reshape(1, 2, 3), np.arange(3)
    assert (node.forward(x, y) == np.maximum(np.floor(x - 1 - y / 2 + 0.5), 0)).all()


@pytest.mark.parametrize("meant", [(a, b) for a in (False, True) for b in (False, True)])
@pytest.mark.parametrize("signed", [False, True])
def test_what_saturates_by_more_than_a_rounding_is_counted_where_it_is_not_meant(meant, signed):
    node = rescale([1.0], [0.0], 2**10, signed=signed, meant=meant)
    x = np.arange(-400, 500).reshape(-1, 1)
    assert node.saturated(x) == saturated(range(-400, 500), 8, signed, meant)


@given(st.lists(st.integers(-(2**61), 2**61), min_size=1), st.integers(0, WORD))
def test_shifts_round_half_up(values, shift):
    found = round_shifts(np.array(values), np.full(len(values), shift))
    assert found.tolist() == [rescaled(v, 1, shift, 0, 0, 0) for v in values]
