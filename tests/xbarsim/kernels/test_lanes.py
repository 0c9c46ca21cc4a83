"""Each operation on a register of outputs is the loop that its docstring says."""

import numpy as np
import pytest
from numba import njit

from xbarsim.kernels import lanes
from xbarsim.kernels.lanes import LANES

RNG = np.random.default_rng(0)
OFFSETS = np.array([2, 0, 5])
WORDS = RNG.integers(-(2**63), 2**63 - 1, 20)
WEIGHTS = RNG.integers(0, 256, 3 * 8 * LANES + 64).astype(np.uint8)


def bits(word):
    return f"{int(word) % 2**64:064b}"[::-1]


def weight_words(at):
    """The weight words of every lane, (3 words, LANES), byte by byte."""
    held = WEIGHTS[at : at + 3 * 8 * LANES].reshape(3, 8, LANES).astype(object)
    return sum(held[:, b] * 2 ** (8 * b) for b in range(8))


@pytest.mark.parametrize("kind", [np.int16, np.int32])
@pytest.mark.parametrize(
    ("operation", "met"),
    [
        (lanes.count_differing, lambda x, w, mask: x ^ w),
        (lanes.count_common, lambda x, w, mask: x & w),
        (lanes.count_differing_unmasked, lambda x, w, mask: (x ^ w) & ~mask),
    ],
)
def test_counts_are_popcounts_of_words(kind, operation, met):
    @njit
    def count(target, x, offsets, weights):
        operation(target, 3, -2, x, 4, 7, offsets, 0, 3, weights, 64)

    target = RNG.integers(-500, 500, LANES + 9).astype(kind)
    expected, held = target.astype(object), weight_words(64)
    for lane in range(LANES):
        for k, offset in enumerate(OFFSETS):
            x, mask = (int(WORDS[at + offset]) % 2**64 for at in (4, 7))
            expected[3 + lane] += -2 * met(x, held[k, lane], mask).bit_count()
    count(target, WORDS, OFFSETS, WEIGHTS)
    assert target.tolist() == expected.tolist()


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_products_add_up(kind):
    @njit
    def product(target, x, offsets, weights):
        lanes.multiply_add(target, 1, x, 2, offsets, weights, 5)

    x = RNG.integers(-9, 9, 20).astype(kind)
    weights, target = RNG.integers(-9, 9, (2, 5 + 3 * LANES)).astype(kind)
    expected = target.copy()
    for k, offset in enumerate(OFFSETS):
        expected[1 : 1 + LANES] += x[2 + offset] * weights[5 + k * LANES : 5 + (k + 1) * LANES]
    product(target, x, OFFSETS, weights)
    assert target.tolist() == expected.tolist()


@pytest.mark.parametrize(("sums", "narrow"), [(np.int16, np.int8), (np.int32, np.int8), (np.int32, np.int32)])
@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_rows_of_a_window_add_up(sums, narrow, blocks):
    add = {1: lanes.add_window, 2: lanes.add_window_2, 4: lanes.add_window_4}[blocks]
    width, across, down, step, row, pixel = 5, 2, 3, 11, 4, 1

    @njit
    def window(target, source, rows, entries, starts):
        add(target, 3, source, 7, rows, row, entries, starts, pixel, across, down, width, step)

    size = blocks * LANES
    starts = np.cumsum([0, *RNG.integers(0, 3, 3 * width)]).astype(np.int32)
    entries = RNG.integers(0, 40, starts[-1]).astype(np.int32)
    rows = RNG.integers(-9, 9, row + down * step + 40 + size).astype(narrow)
    source, target = RNG.integers(-500, 500, (2, size + 9)).astype(sums)
    expected = target.copy()
    expected[3 : 3 + size] = source[7 : 7 + size]
    for y in range(down):
        first = pixel + y * width
        for entry in entries[starts[first] : starts[first + across]]:
            at = row + y * step + entry
            expected[3 : 3 + size] += rows[at : at + size]
    window(target, source, rows, entries, starts)
    assert target.tolist() == expected.tolist()


@pytest.mark.parametrize(("sums", "narrow"), [(np.int16, np.int8), (np.int32, np.int8), (np.int32, np.int32)])
def test_named_rows_add_up(sums, narrow):
    @njit
    def add(target, rows, entries, first, last):
        lanes.add_rows(target, 2, rows, 3, entries, first, last)

    rows, entries = RNG.integers(-9, 9, 300).astype(narrow), RNG.integers(0, 200, 9).astype(np.int32)
    target = RNG.integers(-500, 500, LANES + 5).astype(sums)
    for first, last in ((0, 9), (4, 4), (2, 3)):
        expected = target.copy()
        for entry in entries[first:last]:
            expected[2 : 2 + LANES] += rows[3 + entry : 3 + entry + LANES]
        add(target, rows, entries, first, last)
        assert target.tolist() == expected.tolist()


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_lanes_are_copied_compared_and_shifted(kind):
    @njit
    def all_of_them(copied, larger, shifted, a, b):
        lanes.copy_lanes(copied, 1, a, 2)
        lanes.keep_larger(larger, 3, b, 4)
        lanes.add_to_lanes(shifted, 5, -7)
        return lanes.lanes_above(a, 2, b, 4)

    a, b, copied, larger, shifted = RNG.integers(-50, 50, (5, LANES + 9)).astype(kind)
    b[4:20] = a[2:18]  # equal is not above
    expected = [copied.copy(), larger.copy(), shifted.copy()]
    expected[0][1 : 1 + LANES] = a[2 : 2 + LANES]
    expected[1][3 : 3 + LANES] = np.maximum(larger[3 : 3 + LANES], b[4 : 4 + LANES])
    expected[2][5 : 5 + LANES] -= 7
    above = all_of_them(copied, larger, shifted, a, b)
    for found, wanted in zip((copied, larger, shifted), expected, strict=True):
        assert found.tolist() == wanted.tolist()
    assert bits(above) == "".join(
        "01"[int(x > y)] for x, y in zip(a[2 : 2 + LANES], b[4 : 4 + LANES], strict=True)
    )


def test_bits_of_words():
    @njit
    def found(word):
        return lanes.bits_of(word), lanes.lowest_bit(word)

    for word in [*WORDS.tolist(), 1, -1, -(2**63), 2**40]:
        assert found(word) == (bits(word).count("1"), bits(word).index("1"))
