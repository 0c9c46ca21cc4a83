"""Fixtures of the tests of FINN."""

import numba
import pytest


@pytest.fixture(scope="module")
def one_thread():
    """Of so few images a launch of several threads costs more than the work."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)
