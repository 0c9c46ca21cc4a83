"""Inputs of networks: what is taken as it is, and what is refused in which words."""

import numpy as np
import pytest
import torch

from xbarsim.arrays import as_array, check_array, check_inputs, check_labels, check_scores
from xbarsim.errors import InputError


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.int64])
def test_real_numbers_are_taken_as_they_are(dtype):
    given = np.ones((2, 1, 8, 8), dtype)
    found = check_inputs(given, (1, 8, 8))
    assert found is given


def test_lists_and_tensors_become_arrays():
    assert check_inputs([[1, 2], [3, 4]], (2,)).tolist() == [[1, 2], [3, 4]]
    assert check_inputs(torch.zeros(3, 2), (2,)).shape == (3, 2)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (np.zeros((8, 8)), "inputs: expected shape (N, 1, 8, 8), got (8, 8)"),
        (np.zeros((1, 8, 8)), "inputs: expected shape (N, 1, 8, 8), got (1, 8, 8)"),
        (None, "inputs: expected real numbers, got NoneType"),
        (np.zeros((1, 1, 8, 8), bool), "inputs: expected real numbers, got bool"),
        (np.zeros((0, 1, 8, 8)), "inputs: expected at least one input, got none"),
        (np.full((1, 1, 8, 8), np.nan), "inputs: expected finite numbers, got NaN or infinity"),
        (np.full((1, 1, 8, 8), -np.inf), "inputs: expected finite numbers, got NaN or infinity"),
        (np.zeros((1, 1, 8, 8), complex), "inputs: expected real numbers, got complex128"),
        (np.zeros((1, 1, 8, 8), object), "inputs: expected real numbers, got object"),
        (np.zeros((1, 1, 8, 8), "<U3"), "inputs: expected real numbers, got <U3"),
        (np.zeros((1, 1, 8, 8), "M8[s]"), "inputs: expected real numbers, got datetime64[s]"),
    ],
)
def test_what_no_network_takes_is_refused(inputs, words):
    with pytest.raises(InputError) as caught:
        check_inputs(inputs, (1, 8, 8))
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "inputs", [[[1.0], [1.0, 2.0]], torch.zeros(1, 2, device="meta"), np.ma.masked_all((1, 2))]
)
def test_what_is_no_array_is_refused_in_one_line(inputs):
    with pytest.raises(InputError, match=r"^inputs: expected an array of numbers, got [^\n]+$"):
        check_inputs(inputs, (2,))


def test_the_order_of_bytes_and_gradients_are_left_behind():
    assert check_inputs(np.ones((2, 2), ">f4"), (2,)).dtype == np.float32
    assert check_inputs(torch.ones(2, 2, requires_grad=True), (2,)).tolist() == [[1, 1], [1, 1]]


def test_labels_become_int64():
    assert check_labels(np.array([3, 4], np.uint8), 2).dtype == np.int64


@pytest.mark.parametrize("labels", [[3], [3, 10], [3, -1], [3.0, 4.0], ["3", "4"], [True, False], [[3], [4]]])
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(InputError, match=r"^labels: expected .*; one class an image, as integers from 0$"):
        check_labels(labels, 2, classes=10)


def test_scores_are_one_number_a_chip():
    assert check_scores("scores", (1, 2)).tolist() == [1.0, 2.0]
    for wrong in ([], [[1.0]], [np.nan], ["1"], 1.0):
        with pytest.raises(InputError, match=r"^scores: expected .*; one number a chip$"):
            check_scores("scores", wrong)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"low": 0}, "numbers in 0.., got -1"),
        ({"high": 1}, "numbers in ..1, got 2"),
        ({"low": 0, "high": 1}, "numbers in 0..1, got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(limits, words):
    with pytest.raises(InputError) as caught:
        check_array("it", [-1.0, 2.0], ("n",), **limits)
    assert str(caught.value) == f"it: expected {words}"


def test_an_ellipsis_stands_for_more_axes():
    assert check_array("it", np.ones((2, 3, 4)), ("N", "...")).shape == (2, 3, 4)
    assert as_array("it", 3).shape == ()
