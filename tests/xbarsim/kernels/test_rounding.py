"""Sums are rounded as fractions are, however near to a tie, and those beyond the limits are counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.rescale import rescaled
from xbarsim.kernels.launch import worker_threads
from xbarsim.kernels.rounding import Limits, round_channels, round_pairs, rounding

LIMITS = Limits(0, 255, -1, 256)


def expected(numbers):
    """What fractions are limited to, and how many lie beyond."""
    return [min(max(n, 0), 255) for n in numbers], sum(n < -1 or n > 256 for n in numbers)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from([np.float32, np.float64]))
def test_channels_are_rounded_as_fractions(seed, kind):
    rng = np.random.default_rng(seed)
    channels, largest = int(rng.integers(1, 20)), 2**23 if kind is np.float32 else 2**40
    sums = rng.integers(-largest, largest, (int(rng.integers(1, 30)), channels))
    bits = 31 if kind is np.float32 else 20
    multipliers = rng.integers(1, 2**bits, channels)
    if rng.integers(2):  # every result next to a tie
        multipliers = np.int64(1) << rng.integers(0, bits - 1, channels)
    shifts = rng.integers(0, 62, channels)
    offsets = rng.integers(-(2**40), 2**40, channels) << (rng.integers(0, 20) * rng.integers(2))
    found, outside = round_channels(sums.astype(kind), rounding(multipliers, offsets, shifts, 3, LIMITS))
    exact = [
        rescaled(int(s), int(m), int(n), int(b), 0, 3)
        for row in sums
        for s, m, n, b in zip(row, multipliers, shifts, offsets, strict=True)
    ]
    wanted, beyond = expected(exact)
    assert found.dtype == np.float32 and found.ravel().tolist() == wanted and outside == beyond


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_quotients_a_hair_from_an_integer_are_done_again(seed):
    """x m = k 2**n + d with d of 0 or 1: float64 sees k either way."""
    rng = np.random.default_rng(seed)
    shift, multiplier = 54, int(rng.integers(2**29, 2**30)) | 1
    inverse = pow(multiplier, -1, 2**23)
    near = [(inverse * d) % 2**23 for d in (0, 1, 2**23 - 1)]
    offset = -(2 ** (shift - 1))  # takes the halves away
    sums = np.array([near], np.float32)
    to = rounding(np.array([multiplier] * 3), np.array([offset] * 3), np.array([23] * 3), 0, LIMITS)
    found, _ = round_channels(sums, to)
    exact = [rescaled(int(s), multiplier, 23, offset, 0, 0) for s in near]
    assert found[0].tolist() == expected(exact)[0]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_two_tensors_are_weighed_and_rounded(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 2**16, (2, 50))
    weights = [int(v) for v in rng.integers(-(2**30), 2**30, 2)]
    shift, offset = int(rng.integers(20, 40)), int(rng.integers(-(2**40), 2**40))
    to = rounding(np.array(weights), np.array([offset]), np.array([shift]), 2, LIMITS, largest=2**24)
    found, outside = round_pairs(first.astype(np.float32), second.astype(np.float32), to)
    sums = [int(a) * weights[0] + int(b) * weights[1] for a, b in zip(first, second, strict=True)]
    wanted, beyond = expected([rescaled(s, 1, shift, offset, 0, 2) for s in sums])
    assert found.tolist() == wanted and outside == beyond


@pytest.mark.parametrize("rows", [1, 5000])
def test_all_threads_give_what_one_gives(rows):
    rng = np.random.default_rng(0)
    sums = rng.integers(-(2**20), 2**20, (rows, 7)).astype(np.float32)
    to = rounding(rng.integers(2**29, 2**30, 7), np.zeros(7, int), np.full(7, 43), 0, LIMITS)
    found, outside = round_channels(sums, to)
    with worker_threads() as pool:
        alone, beyond = pool.submit(round_channels, sums, to).result()
    assert (found == alone).all() and outside == beyond


def test_a_power_of_two_beside_an_offset_of_many_bits_is_done_again():
    """(2**22 + 1) 2**30 - 2**52 - 1 needs more than float64 has, and lies just below an integer."""
    sums, multiplier, shift = 2**23 - 1, 2**30, 30
    offset = -(sums * 2**30) + 5 * 2**30 - 1 - 2 ** (shift - 1)  # halves are added again
    to = rounding(np.array([multiplier]), np.array([offset]), np.array([shift]), 0, LIMITS)
    found, _ = round_channels(np.array([[sums]], np.float32), to)
    assert found.tolist() == [[4.0]]
