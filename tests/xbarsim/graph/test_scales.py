"""The finest power of two that a range fits: exactly, next to every border."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbarsim.errors import InputError
from xbarsim.graph.nodes import integer_range
from xbarsim.graph.scales import MOST_PLACES, finest_fraction

NUMBERS = st.floats(1e-3, 1e3)


def fits(low, high, bits, signed, fraction):
    smallest, largest = integer_range(bits, signed)
    return smallest <= low * 2.0**fraction and high * 2.0**fraction <= largest


@given(low=NUMBERS, high=NUMBERS, bits=st.integers(2, 16), signed=st.booleans())
def test_the_range_fits_and_would_not_with_one_place_more(low, high, bits, signed):
    low = -low if signed else 0.0
    fraction = finest_fraction(low, high, bits, signed)
    assert fits(low, high, bits, signed, fraction)
    assert not fits(low, high, bits, signed, fraction + 1)


@pytest.mark.parametrize("places", [-3, 0, 5])
def test_the_end_of_the_integers_itself_fits(places):
    assert finest_fraction(0.0, 255 / 2.0**places, 8, False) == places
    assert finest_fraction(-128 / 2.0**places, 0.0, 8, True) == places


def test_nothing_but_zeros_takes_the_places_that_there_are():
    assert finest_fraction(0.0, 0.0, 8, True) == 7


@pytest.mark.parametrize("size", [2.0 ** (MOST_PLACES + 8), 2.0 ** -(MOST_PLACES + 8)])
def test_magnitudes_far_from_one_are_refused(size):
    with pytest.raises(InputError, match="fixed-point scale"):
        finest_fraction(0.0, size, 8, False)
