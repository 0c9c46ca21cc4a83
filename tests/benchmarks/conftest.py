"""How many processors a benchmark may use."""

import os

import numba
import pytest
import torch
from threadpoolctl import threadpool_limits


@pytest.fixture(params=[1, 2], ids=["1-thread", "2-threads"])
def threads(request):
    """So many processors for everything."""
    cpus = os.sched_getaffinity(0)
    if len(cpus) < request.param:
        pytest.skip(f"{len(cpus)} processor")
    before = torch.get_num_threads(), numba.get_num_threads()
    os.sched_setaffinity(0, sorted(cpus)[: request.param])
    torch.set_num_threads(request.param)
    numba.set_num_threads(request.param)
    with threadpool_limits(request.param):
        yield request.param
    os.sched_setaffinity(0, cpus)
    torch.set_num_threads(before[0])
    numba.set_num_threads(before[1])
