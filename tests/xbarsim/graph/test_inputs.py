"""One input or several: in order, by name, cut as one."""

import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.graph.inputs import Batch, check_raw, in_order, part_of, same_length

X, Y = np.arange(12).reshape(6, 2), np.arange(6) * 10


def test_a_batch_is_as_long_as_its_arrays_and_is_cut_as_one():
    batch = same_length([X, Y])
    assert len(batch) == 6 and isinstance(batch, Batch)
    for place in (slice(1, 4), [5, 0], np.arange(6) % 2 == 0):
        part = batch[place]
        assert isinstance(part, Batch)
        assert (part.part(0) == X[place]).all() and (part_of(part, 1) == Y[place]).all()
    assert len(batch[2:2]) == 0
    assert part_of(X, 0) is X


def test_arrays_of_other_lengths_are_no_batch():
    with pytest.raises(InputError, match="as many of every input, got 5 and 6"):
        same_length([X, Y[:5], X])


def test_inputs_are_taken_in_order_or_by_name():
    names = ["x", "mask"]
    for given in ((X, Y), {"x": X, "mask": Y}, {"mask": Y, "x": X}):
        first, second = in_order(given, names)
        assert first is X and second is Y
    (alone,) = in_order(X, ["x"])
    assert alone is X
    assert in_order([1, 2, 3], ["x"]) == [[1, 2, 3]]  # a list is one array


@pytest.mark.parametrize(
    ("given", "names", "words"),
    [
        (X, ["x", "y"], "images: expected 2 arrays: a tuple, or a dict by name, got 1"),
        ((X, Y), ["x"], "expected one array, got 2"),
        ((), ["x"], "expected one array, got 0"),
        ({"x": X}, ["x", "y"], "by the names x, y, got x"),
        ({}, ["x", "y"], "by the names x, y, got none"),
        ({"x": X, "z": Y}, ["x", "y"], "got x, z"),
    ],
)
def test_other_inputs_are_refused_with_the_names(given, names, words):
    with pytest.raises(InputError, match=words):
        in_order(given, names, "images")


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        ([[1, 2]], "int64", [[1, 2]]),
        (np.array([[1, 2]], np.uint8), "int64", [[1, 2]]),
        (np.array([[1, 2]], np.uint8), "float32", [[1.0, 2.0]]),
        (np.array([[0.5, 2]]), "float32", [[0.5, 2.0]]),
        ([[True, False]], "bool", [[True, False]]),
        ([[1, 0]], "bool", [[True, False]]),
    ],
)
def test_raw_inputs_take_the_type_of_the_network(values, dtype, wanted):
    found = check_raw("mask", values, (2,), dtype)
    assert found.dtype == dtype and found.tolist() == wanted


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.ones((1, 3), np.int64), "int64"),
        (np.ones(2, np.int64), "int64"),
        (np.ones((0, 2), np.int64), "int64"),
        (np.array([[0.5, 1.0]]), "int64"),
        (np.array([[0.5, 1.0]]), "bool"),
        (np.array([[np.nan, 1.0]]), "float32"),
        (np.array([[1j, 1.0]]), "float32"),
        (np.array([["a", "b"]]), "int64"),
    ],
)
def test_other_raw_inputs_are_refused_by_name(values, dtype):
    with pytest.raises(InputError, match=r"^input 'mask'"):
        check_raw("mask", values, (2,), dtype)
