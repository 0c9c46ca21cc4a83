"""A fixed number of torch threads: with other numbers sums round otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from xbarsim.kernels.launch import start_threads


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads meanwhile, however many there are and whatever kernels run."""
    start_threads()  # the first kernel would, and set the number of torch's threads
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
