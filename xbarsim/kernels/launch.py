"""Sharing the processors: one parallel kernel, and one pool of worker threads, at a time.

Numba's own pool of threads takes work from one Python thread only, and the number of threads of BLAS belongs
to the process: both are guarded by locks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

import numba
from threadpoolctl import threadpool_limits

ONE_LAUNCH = Lock()
_ONE_POOL = Lock()
_IS_WORKER: ContextVar[bool] = ContextVar("is_worker", default=False)  # of a thread, set as it starts


@contextmanager
def worker_threads() -> Iterator[ThreadPoolExecutor]:
    """A thread for every one that numba may use, and one for each product of BLAS."""
    threads = numba.get_num_threads()
    with _ONE_POOL:
        with threadpool_limits(limits=1), ThreadPoolExecutor(threads, initializer=_work) as pool:
            yield pool
        torch = sys.modules.get("torch")
        if torch is not None:  # threads to come have the number of this one again, not that of the workers
            torch.set_num_threads(torch.get_num_threads())


def in_worker() -> bool:
    """Whether this is a thread of `worker_threads`, which has one processor."""
    return _IS_WORKER.get()


def shares_kernels() -> bool:
    """Whether a kernel may take all threads: not in a worker, nor where there is one."""
    return not _IS_WORKER.get() and numba.get_num_threads() > 1


def launched(together: Callable[..., Any], alone: Callable[..., Any], given: Sequence[Any]) -> Any:
    """Call a kernel: the one that takes all threads where it may, else its twin on this thread."""
    if not shares_kernels():
        return alone(*given)
    with ONE_LAUNCH:
        return together(*given)


def _work() -> None:
    _IS_WORKER.set(True)


def start_threads() -> None:
    """Start numba's threads, if they are not; OpenMP, which torch shares, has their number from then on."""
    numba.get_num_threads()
