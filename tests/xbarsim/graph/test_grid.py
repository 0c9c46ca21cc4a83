"""Scales and zero points: what integers stand for, and which are the nearest."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.twins.rescale import clipped, rounded
from xbarsim.errors import InputError
from xbarsim.graph.grid import Grid, free_grid

NUMBERS = st.floats(-1e6, 1e6)


@given(low=NUMBERS, high=NUMBERS, bits=st.integers(2, 16))
def test_free_grids_hold_zero_and_reach_both_ends(low, high, bits):
    low, high = sorted((low, high))
    low, high = min(low, 0.0), max(high, 0.0)
    assume(high - low > 1e-290)
    grid, top = free_grid(low, high, bits), 2**bits - 1
    assert 0 <= grid.zero <= top
    assert grid.to_numbers(np.array([grid.zero])) == 0
    for end, wanted in zip(grid.to_numbers(np.array([0, top])), (low, high), strict=True):
        assert abs(end - wanted) <= grid.scale * (0.5 + 1e-9)
    assert grid.scale * top <= (high - low) * (1 + 1e-12)  # no finer grid reaches both


def test_nothing_but_zeros_stands_for_zero():
    assert free_grid(0.0, 0.0, 8).to_integers(np.zeros(2), 0, 255).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1e-320), (-1e308, 1e308), (0, np.inf), (-np.inf, 0), (0, np.nan), (np.nan, 1)]
)
def test_ranges_that_floats_do_not_divide_are_refused(low, high):
    with pytest.raises(InputError, match="scale"):
        free_grid(low, high, 8)


@given(st.lists(st.floats(-300, 300), min_size=1), st.integers(-6, 3), st.integers(0, 255))
@example([0.5, -0.5, 1.5, 2.5], 0, 3)
def test_integers_are_the_nearest_halves_up(numbers, exponent, zero):
    grid = Grid(scale=2.0**exponent, zero=zero)
    wanted = [clipped(rounded(Fraction(x) / Fraction(2) ** exponent + zero), 8, False) for x in numbers]
    # where a sum of floats is not exact, a number may fall upon the border next to it
    found = grid.to_integers(np.array(numbers), 0, 255)
    for x, one, other in zip(numbers, found, wanted, strict=True):
        place = Fraction(x) / Fraction(2) ** exponent + zero + Fraction(1, 2)
        assert one == other or abs(place - round(place)) < Fraction(1, 2**40)


def test_what_is_no_number_becomes_the_zero_point_and_infinities_saturate():
    found = Grid(scale=0.1, zero=7).to_integers(np.array([np.nan, np.inf, -np.inf]), 0, 15)
    assert found.tolist() == [7, 15, 0]


@given(st.integers(0, 255), st.floats(1e-3, 1e3))
def test_integers_come_back_from_the_numbers_that_they_stand_for(zero, scale):
    grid, all_of_them = Grid(scale=scale, zero=zero), np.arange(256)
    assert (grid.to_integers(grid.to_numbers(all_of_them), 0, 255) == all_of_them).all()


@pytest.mark.parametrize(("axis", "shape"), [(1, (2, 3, 4, 5)), (-1, (2, 5, 3)), (1, (4, 3))])
def test_scales_of_channels_lie_along_their_axis(axis, shape):
    scales, integers = np.array([1.0, 0.5, 0.25]), np.arange(np.prod(shape)).reshape(shape)
    found = Grid(scale=scales, axis=axis).to_numbers(integers)
    for channel, scale in enumerate(scales):
        part = np.take(integers, channel, axis=axis) * scale
        assert (np.take(found, channel, axis=axis) == part).all()


@pytest.mark.parametrize("places", [-20, -1, 0, 1, 40])
def test_powers_of_two_have_binary_places(places):
    grid = Grid(scale=2.0**-places)
    assert grid.fraction == places and grid.is_fixed_point


@pytest.mark.parametrize(
    ("grid", "got"),
    [
        (Grid(scale=0.3), "0.3"),
        (Grid(scale=0.5, zero=3), "0.5 with zero at 3"),
        (Grid(scale=np.ones(3)), "one a channel"),
        (Grid(scale=np.nextafter(1024.0, 2000.0)), "1024"),
    ],
)
def test_other_scales_have_no_binary_places(grid, got):
    assert not grid.is_fixed_point
    with pytest.raises(InputError, match=f"scale: expected one power of two, got {got}"):
        _ = grid.fraction
