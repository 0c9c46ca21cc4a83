"""A fixed number of torch threads, for a while."""

import subprocess
import sys

import pytest
import torch

from xbarsim.torch_bridge.threads import torch_threads


def test_the_number_holds_inside_and_the_one_before_comes_back():
    before = torch.get_num_threads()
    with torch_threads(before + 2):
        assert torch.get_num_threads() == before + 2
        with torch_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before


def test_it_comes_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), torch_threads(before + 1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


CHILD = """
import numpy as np
import torch
from xbarsim.torch_bridge.threads import torch_threads
with torch_threads(1):
    import numba
    numba.njit(parallel=True)(lambda n: np.zeros(n) + 1)(10)
    print(torch.get_num_threads())
"""


def test_the_first_kernel_of_a_process_does_not_change_them():
    found = subprocess.run([sys.executable, "-c", CHILD], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["1"]
