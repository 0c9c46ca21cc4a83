"""Many faulty copies at once: each is its slow twin, alone."""

import numba
import numpy as np
import pytest

from accel_models.spiking.chip import run_many
from tests.helpers.snn import some_faults
from tests.helpers.spiking_chips import SMALL, chip, images
from tests.twins.spiking import network_spikes
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind
from xbarsim.rng import stream


@pytest.mark.parametrize("seed", range(6))
def test_many_chips_at_once_are_the_reference_of_each(seed):
    base, x = chip(seed=seed), images()
    lists = [some_faults(SMALL, 10 * seed + i, window=bool(i % 2)) for i in range(6)]
    chips = [base, *(base.inject(faults) for faults in lists)]
    found = run_many(base, chips, x, seed=3, first_image=5)
    key = int(stream(3, "spikes").integers(2**63))
    for one, counts in zip(chips, found, strict=True):
        for i, row in enumerate(x):
            expected = network_spikes(row, base.weights, one.effects, key, i + 5, SMALL.steps)
            assert (counts[i] == expected[-1].sum(0)).all()
    assert (found[1:] != found[:1]).any()


@pytest.mark.parametrize("kind", NeuronFaultKind)
def test_single_faults_of_every_kind_are_what_they_are_alone(kind):
    base, x = chip(seed=1), images(count=30)
    universe = FaultUniverse(geometry=SMALL, scope=("input", "hidden", "output", "synapses"))
    for window in ({}, {"first": 2, "last": 4}):
        chips = [base.inject(fault) for fault in universe.enumerate(kind, **window).each()[:40]]
        together = run_many(base, chips, x)
        for one, counts in zip(chips, together, strict=True):
            assert (one.run(x).scores == counts).all()
        healthy = base.run(x).scores
        assert healthy.any() and (together != healthy).any()


def test_answers_depend_neither_on_threads_nor_on_parts():
    base, x, before = chip(), images(), numba.get_num_threads()
    chips = [base, *(base.inject(some_faults(SMALL, i, ratio=0.05)) for i in range(4))]
    whole = run_many(base, chips, x, seed=1)
    try:
        numba.set_num_threads(1)
        assert (run_many(base, chips, x, seed=1) == whole).all()
    finally:
        numba.set_num_threads(before)
    parts = [run_many(base, chips, x[i : i + 5], seed=1, first_image=i) for i in (0, 5, 10)]
    assert (np.concatenate(parts, axis=1) == whole).all()
    assert (run_many(base, chips[::-1], x, seed=1)[::-1] == whole).all()
    assert (run_many(base, chips, x, seed=2) != whole).any()
