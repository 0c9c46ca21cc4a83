"""Sharing the processors: one parallel kernel, and one pool of worker threads, at a time.

Numba's own pool of threads takes work from one Python thread only, and the number of threads of BLAS belongs
to the process: both are guarded by locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

import numba
from threadpoolctl import threadpool_limits

ONE_LAUNCH = Lock()
_ONE_POOL = Lock()


@contextmanager
def worker_threads() -> Iterator[ThreadPoolExecutor]:
    """A thread for every one that numba may use, and one for each product of BLAS."""
    with _ONE_POOL, threadpool_limits(limits=1), ThreadPoolExecutor(numba.get_num_threads()) as pool:
        yield pool


def start_threads() -> None:
    """Start numba's threads, if they are not; OpenMP, which torch shares, has their number from then on."""
    numba.get_num_threads()
