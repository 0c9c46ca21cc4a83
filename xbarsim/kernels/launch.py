"""Sharing the processors: one parallel kernel, and one pool of worker threads, at a time.

Numba's own pool of threads takes work from one Python thread only, and the number of threads of BLAS belongs
to the process: both are guarded by locks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

import numba
from threadpoolctl import threadpool_limits

ONE_LAUNCH = Lock()
WORTH_A_THREAD = 2**16  # values, some 50 microseconds of work
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


def over_parts(part: Callable[[int, int], int], count: int, cost: int) -> int:
    """Add up what `part(start, stop)` gives for parts of range(count), one a thread where that pays.

    Parameters
    ----------
    part : releases Python's lock; of several that run at once none writes where another does
    cost : values that all of it touches
    """
    threads = min(numba.get_num_threads(), count, cost // WORTH_A_THREAD)
    if threads < 2 or in_worker():
        return part(0, count)
    ends = [count * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(part, ends[:-1], ends[1:]))


def _work() -> None:
    _IS_WORKER.set(True)


def start_threads() -> None:
    """Start numba's threads, if they are not; OpenMP, which torch shares, has their number from then on."""
    numba.get_num_threads()
