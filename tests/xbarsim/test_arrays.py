"""Inputs of networks: what is taken as it is, and what is refused in which words."""

import numpy as np
import pytest
import torch

from xbarsim.arrays import check_inputs
from xbarsim.errors import InputError


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.int64, bool, ">f4"])
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
        (None, "inputs: expected shape (N, 1, 8, 8), got ()"),
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


@pytest.mark.parametrize("inputs", [[[1.0], [1.0, 2.0]], torch.zeros(1, 2, requires_grad=True)])
def test_what_is_no_array_is_refused_in_one_line(inputs):
    with pytest.raises(InputError, match=r"^inputs: expected an array of numbers, got [^\n]+$"):
        check_inputs(inputs, (2,))
