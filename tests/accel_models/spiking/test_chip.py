"""Spiking chips: many at once are what each is alone, bit for bit; cells become synapses."""

from dataclasses import replace

import numba
import numpy as np
import pytest

from accel_models.reram.config import accelerator
from accel_models.spiking import chip as spiking_chip
from accel_models.spiking.cells import program_on_cells
from accel_models.spiking.chip import on_grid, run_many
from accel_models.spiking.config import SpikingConfig
from tests.helpers.spiking_chips import SMALL, chip, images, program
from tests.networks.test_snn import some_faults
from tests.twins.spiking import network_spikes
from xbarsim.errors import InputError
from xbarsim.faults.neurons import FaultUniverse, NeuronFault, NeuronFaultKind, NeuronFaults
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


def test_sums_on_the_grid_are_exact_in_any_order():
    rng = np.random.default_rng(0)
    weights = on_grid(rng.normal(size=(784, 20)) * 10.0 ** rng.integers(-12, 3, (784, 20)))
    chosen = np.concatenate([weights, weights])
    sums = {tuple(chosen[rng.permutation(len(chosen))].cumsum(0)[-1]) for _ in range(20)}
    assert len(sums) == 1
    single = rng.normal(size=(784, 128)).astype(np.float32)
    kept = np.abs(single) > np.abs(single).max() * 2.0**-17
    assert (on_grid(single.astype(float)) == single)[kept].all()


def test_run_each_is_inject_and_run_in_groups_of_any_size(monkeypatch):
    base, x = chip().inject(some_faults(SMALL, 99, ratio=0.02)), images()
    lists = [some_faults(SMALL, i, ratio=0.05) for i in range(5)]
    for room in (1, 2 * len(x) * SMALL.sizes[-1], 2**24):
        monkeypatch.setattr(spiking_chip, "COUNTS_AT_ONCE", room)
        for found, faults in zip(base.run_each(iter(lists), x, seed=4), lists, strict=True):
            alone = base.inject(faults).run(x, seed=4)
            assert (found.scores == alone.scores).all() and (found.classes == alone.classes).all()
            assert (alone.classes == alone.scores.argmax(axis=1)).all()


def test_injected_faults_add_up_and_inputs_have_any_shape():
    base, x = chip(), images()
    universe = FaultUniverse(geometry=SMALL, scope=("input", "hidden", "output"))
    kinds = NeuronFaultKind.hsf, NeuronFaultKind.nasf
    a, b = (universe.sample(kind, 0.2, np.random.default_rng(0)) for kind in kinds)
    twice = base.inject(a).inject(b)
    assert (twice.run(x).scores == base.inject(a.merge(b)).run(x).scores).all()
    assert len(twice.faults) == len(a) + len(b) and not len(base.faults)
    assert (twice.run(x.reshape(-1, 1, 3, 3)).scores == twice.run(x).scores).all()


def test_what_it_takes_is_counted_and_what_is_not_modelled_is_unknown():
    base = chip()
    assert base.resources == {"neurons": 18, "synapses": 9 * 6 + 6 * 8 + 8 * 4}
    assert base.input_shape == (9,) and base.accelerator == SpikingConfig()
    cost = base.cost(3)
    assert np.isnan(cost.latency_ns) and np.isnan(cost.energy_pJ) and cost.cell_writes == 0
    on_cells, cells = program_on_cells(SMALL, base.weights, accelerator("isaac"))
    assert on_cells.resources["arrays"] == cells.placement.arrays


def mixed_gains():
    base = chip()
    return run_many(base, [replace(base, gain=tuple(0 * g for g in base.gain))], images())


def test_many_of_no_images_and_no_chips_are_no_mistake():
    assert run_many(chip(), [chip()][:0], np.zeros((0, 9))).shape == (0, 0, 4)
    base = chip()
    assert run_many(base, [base], np.zeros((0, 9))).shape == (1, 0, 4)
    assert run_many(chip(), [], images()).shape == (0, 12, 4)


def not_finite():
    return [np.full(m, np.inf) for m in SMALL.sizes[1:]]


def swf(value, **more):
    return NeuronFaults.of(
        [NeuronFault(kind=NeuronFaultKind.swf, layer=0, neuron=1, target=2, value=value, **more)]
    )


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: chip().run(np.zeros((3, 8))), r"inputs: expected shape \(N, 9\), got \(3, 8\)"),
        (lambda: chip().run(np.zeros((0, 9))), "at least one input"),
        (lambda: chip().run_each([], np.zeros((0, 9))), "at least one input"),
        (lambda: chip().run(np.full((3, 9), 1.5)), r"numbers in \[0, 1\]"),
        (lambda: chip().run(np.full((3, 9), np.nan)), "finite numbers"),
        (lambda: chip().inject(swf(99.0)).run(images()), "value of swf"),
        (lambda: program(SMALL, [np.ones((9, 6))]), "weights"),
        (lambda: program(SMALL, chip().weights, gain=[np.ones(3)]), "gain: expected one a neuron"),
        (lambda: program(SMALL, chip().weights, gain=not_finite()), "gain: expected finite"),
        (lambda: program(SMALL, chip().weights, offset=not_finite()), "offset: expected finite"),
        (lambda: chip().inject(None), "faults: expected a NeuronFaults"),
        (lambda: SpikingConfig().program(chip()), "network: expected a SpikingNetwork"),
        (lambda: mixed_gains(), "copies of one network"),
        (lambda: program(SMALL, [np.full(s, np.nan) for s in ((9, 6), (6, 8), (8, 4))]), "finite"),
        (lambda: run_many(chip(), [chip()], images()), "copies of one network"),
        (
            lambda: chip().inject(
                NeuronFaults.of([NeuronFault(kind=NeuronFaultKind.hsf, layer=9, neuron=0)])
            ),
            "a place in",
        ),
        (
            lambda: chip().with_acting(chip().weights).inject(swf(0.5, first=1, last=3)).run(images()),
            "healthy cells",
        ),
    ],
)
def test_nonsense_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()
