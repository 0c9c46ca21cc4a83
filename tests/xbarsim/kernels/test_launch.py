"""One parallel kernel and one pool of threads at a time."""

import threading

import numba
from threadpoolctl import threadpool_info

from xbarsim.kernels.launch import ONE_LAUNCH, worker_threads


def blas_threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_pool_has_numbas_threads_and_holds_blas_to_one():
    before, threads = blas_threads(), numba.get_num_threads()
    barrier = threading.Barrier(threads)
    with worker_threads() as pool:
        assert blas_threads() <= {1}
        # each of them waits until all have come: fewer threads would never leave
        names = set(pool.map(lambda _: (barrier.wait(60), threading.get_ident())[1], range(threads)))
    assert len(names) == threads
    assert blas_threads() == before


def test_a_second_pool_waits_for_the_first():
    order, begun = [], threading.Event()

    def other():
        begun.set()
        with worker_threads():
            order.append("second")

    with worker_threads():
        thread = threading.Thread(target=other)
        thread.start()
        begun.wait()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_pools_are_given_back_after_a_mistake():
    for _ in range(2):
        try:
            with worker_threads() as pool:
                pool.submit(lambda: 1 / 0).result()
        except ZeroDivisionError:
            continue
    assert ONE_LAUNCH.acquire(blocking=False)
    ONE_LAUNCH.release()
