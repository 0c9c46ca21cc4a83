"""Spiking chips: many at once are what each is alone, bit for bit; cells become synapses."""

from dataclasses import replace

import numpy as np
import pytest

from accel_models.reram.config import accelerator
from accel_models.spiking import chip as spiking_chip
from accel_models.spiking.cells import program_on_cells
from accel_models.spiking.chip import on_grid, run_many
from accel_models.spiking.config import SpikingConfig
from tests.helpers.snn import some_faults
from tests.helpers.spiking_chips import SMALL, chip, images, program
from xbarsim.errors import InputError
from xbarsim.faults.neurons import FaultUniverse, NeuronFault, NeuronFaultKind, NeuronFaults


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


def test_sums_on_the_grid_are_exact_in_any_order():
    rng = np.random.default_rng(0)
    weights = on_grid(rng.normal(size=(784, 20)) * 10.0 ** rng.integers(-12, 3, (784, 20)))
    chosen = np.concatenate([weights, weights])
    sums = {tuple(chosen[rng.permutation(len(chosen))].cumsum(0)[-1]) for _ in range(20)}
    assert len(sums) == 1
    single = rng.normal(size=(784, 128)).astype(np.float32)
    kept = np.abs(single) > np.abs(single).max() * 2.0**-17
    assert (on_grid(single.astype(float)) == single)[kept].all()


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
