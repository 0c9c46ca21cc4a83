"""The rows of tasks on other numbers of workers and threads, and in other batches."""

import json
from contextlib import contextmanager

import numba
import pytest
from threadpoolctl import threadpool_limits

import accel_models.finn.chip
import accel_models.finn.concurrent
import accel_models.reram.many
import accel_models.spiking.chip
from xbarsim.campaigns import backends
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.experiments import measures
from xbarsim.torch_bridge.threads import torch_threads

BATCHES = {
    "few": (2, 3, 7, 2**12),
    "many": (50, 300, 500, 2**26),
}
CHIPS, FAULTS, IMAGES, BYTES = range(4)
PLACES = (
    (measures, "CHIPS_AT_ONCE", CHIPS),
    (measures, "FAULTS_AT_ONCE", FAULTS),
    (accel_models.reram.many, "CHIPS_AT_ONCE", CHIPS),
    (accel_models.finn.concurrent, "AT_ONCE", FAULTS),
    (accel_models.finn.chip, "BATCH_BYTES", BYTES),
    (accel_models.spiking.chip, "CHIPS_AT_ONCE", CHIPS),
    (accel_models.spiking.chip, "IMAGES_AT_ONCE", IMAGES),
)


@contextmanager
def threads(count):
    """Torch, BLAS and numba have so many threads."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    try:
        with torch_threads(count), threadpool_limits(count):
            yield
    finally:
        numba.set_num_threads(before)


@contextmanager
def batches(name, cache):
    """Chips, faults and images go together in batches of this size; nothing that was solved is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBARSIM_CACHE", str(cache))
        for module, constant, kind in PLACES if name in BATCHES else ():
            patch.setattr(module, constant, BATCHES[name][kind])
        yield


def rows(make_tasks, path, *, workers=1, count=1, batch="usual"):
    """{(description, trial): (shots, hits, counts)} of tasks that are made anew, patterns and all."""
    with pytest.MonkeyPatch.context() as patch, threads(count), batches(batch, path / "cache"):
        patch.setattr(backends, "threads_each", lambda workers: count)
        with Store(path / "store.db", "write") as store:
            summary = collect(make_tasks(), store, workers=workers)
            assert not summary.failed and not summary.unprepared
            sql = "SELECT description, trial, shots, hits, counts FROM trials JOIN tasks ON task = id"
            return {tuple(row[:2]): tuple(row[2:]) for row in store.query(sql)}


def differences(expected, found):
    """Rows that differ, in words."""
    assert expected.keys() == found.keys()
    return [
        f"{json.loads(place[0])} trial {place[1]}: {row} and {found[place]}"
        for place, row in expected.items()
        if row != found[place]
    ]
