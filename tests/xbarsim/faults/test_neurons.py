"""Faults of spiking networks: universes, samples, files, effects, equivalence."""

import numpy as np
import pytest

from accel_models.spiking.chip import run_many
from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.network import SpikingNetwork
from xbarsim.errors import InputError
from xbarsim.faults.neuron_effects import collapse, effects_of
from xbarsim.faults.neurons import (
    FaultUniverse,
    NeuronFault,
    NeuronFaultKind,
    NeuronFaults,
    SpikingGeometry,
)

ALL = ("input", "hidden", "output", "synapses")
SMALL = SpikingGeometry(sizes=(6, 5, 3), steps=8)


def test_a_universe_says_what_is_in_it():
    geometry = SpikingGeometry()
    assert str(FaultUniverse(geometry=geometry, scope=ALL)) == (
        "784 input + 128 hidden + 10 output = 922 neurons and 101,632 synapses of 784-128-10, 10 steps"
    )
    assert str(FaultUniverse(geometry=geometry, scope=("synapses",))) == (
        "101,632 synapses of 784-128-10, 10 steps"
    )
    assert str(FaultUniverse(geometry=geometry, scope=("hidden",))).startswith("128 hidden neurons of")


@pytest.mark.parametrize("kind", NeuronFaultKind)
def test_a_list_of_all_faults_has_every_place_once(kind):
    faults = FaultUniverse(geometry=SMALL, scope=ALL).enumerate(kind)
    places = {(f.layer, f.neuron, f.target) for f in faults}
    wanted = 6 * 5 + 5 * 3 if kind.of_synapses else 5 + 3
    inputs = 0 if kind.of_synapses or kind in (NeuronFaultKind.threshold, NeuronFaultKind.leak) else 6
    assert len(faults) == len(places) == wanted + inputs
    faults.check(SMALL)
    assert faults.counts() == {kind.name: len(faults)}


def test_a_ratio_is_a_share_of_the_universe_rounded_down():
    universe = FaultUniverse(geometry=SpikingGeometry())
    counts = [universe.count(NeuronFaultKind.nasf, r) for r in (0, 0.03, 0.05, 0.1, 0.15, 0.2, 0.5, 1)]
    assert counts == [0, 27, 45, 91, 136, 182, 456, 912]
    rng, seen = np.random.default_rng(0), np.zeros(912)
    for _ in range(2000):
        table = universe.sample(NeuronFaultKind.nasf, 0.05, rng).table
        place = table["neuron"] + np.where(table["layer"] == 1, 784, 0)
        assert len(set(place.tolist())) == 45
        seen[place] += 1
    share = 45 / 912
    assert (np.abs(seen / 2000 - share) < 4.5 * np.sqrt(share * (1 - share) / 2000)).all()


def test_a_file_gives_the_faults_back(tmp_path):
    rng, universe = np.random.default_rng(1), FaultUniverse(geometry=SMALL, scope=ALL)
    tables = [universe.sample(kind, 0.5, rng, first=1, last=5).table for kind in NeuronFaultKind]
    faults = NeuronFaults(np.concatenate(tables))
    path = faults.save(tmp_path / "a.csv")
    assert NeuronFaults.load(path) == faults


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("kind,", "sort,"), "the columns"),
        (lambda text: text.replace("hsf", "hss"), "line 2"),
        (lambda text: text.replace("1,2,-1", "1,7,-1"), "a place in"),
        (lambda text: text.replace("10.0", "much"), "line 2"),
        (lambda text: text.replace("1,2,-1", "1,,-1"), "line 2"),
        (lambda text: text.replace("1,2,-1", "1,1.7,-1"), "line 2"),
        (lambda text: text.replace("1,2,-1", "1,99999999999999999999,-1"), "line 2"),
        (lambda text: "", "the columns .*, got nothing"),
    ],
)
def test_a_damaged_file_gets_one_line(tmp_path, change, words):
    faults = NeuronFaults.of([NeuronFault(kind=NeuronFaultKind.hsf, layer=1, neuron=2)])
    path = faults.save(tmp_path / "a.csv")
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=words):
        NeuronFaults.load(path).check(SMALL)
    with pytest.raises(InputError, match="can be read"):
        NeuronFaults.load(tmp_path / "nothing.csv")


def test_faults_of_a_neuron_add_up_and_two_of_a_synapse_are_refused():
    def fault(kind, value=None, neuron=1, target=-1, layer=1, **more):
        return NeuronFault(kind=kind, layer=layer, neuron=neuron, target=target, value=value, **more)

    kinds = NeuronFaultKind
    both = NeuronFaults.of([fault(kinds.hsf, 10), fault(kinds.esf, 4), fault(kinds.threshold, 3)])
    assert effects_of(SMALL, both).neurons[0][1][:, 1] == pytest.approx([0.4, 0, 1.5, 0.2])
    assert effects_of(SMALL, both).neurons[0][0][:, 1] == pytest.approx([1, 0, 0.5, 0.2])
    for others in ([fault(kinds.threshold, 20)], [fault(kinds.leak, 0.9)]):
        for order in (1, -1):
            stuck = NeuronFaults.of([fault(kinds.nasf), *others][::order])
            assert effects_of(SMALL, stuck).neurons[0][1][:, 1] == pytest.approx([0, 5, 0.5, 0])
    with pytest.raises(InputError, match="the same steps"):
        effects_of(SMALL, NeuronFaults.of([fault(kinds.hsf), fault(kinds.leak, 0.5, last=3)]))
    twice = [fault(kinds.swf, layer=0, target=2), fault(kinds.sasf, layer=0, target=2)]
    with pytest.raises(InputError, match="one fault a synapse"):
        effects_of(SMALL, NeuronFaults.of(twice))


def test_faults_of_one_class_answer_alike_and_those_without_effect_change_nothing():
    rng = np.random.default_rng(3)
    weights = [rng.choice([0.0, 0.25, 1.0, -0.5], shape) for shape in ((6, 5), (5, 3))]
    chip = SpikingConfig().program(SpikingNetwork(geometry=SMALL, weights=weights))
    x = rng.random((60, 6))
    universe, tables = FaultUniverse(geometry=SMALL, scope=ALL), []
    for kind, values in (
        (NeuronFaultKind.hsf, (4.0,)), (NeuronFaultKind.threshold, (4.0, 0.25)),
        (NeuronFaultKind.esf, (4.0,)), (NeuronFaultKind.dead, (0.0,)), (NeuronFaultKind.nasf, (0.0,)),
        (NeuronFaultKind.stuck_output, (0, 1)),
        (NeuronFaultKind.leak, (0.2, 0.5)), (NeuronFaultKind.swf, (1.0, 0.0)), (NeuronFaultKind.sasf, (0.0,)),
    ):  # fmt: skip
        for value in values:
            tables += [universe.enumerate(kind, value=value).table]
            tables += [universe.enumerate(kind, value=value, first=0, last=8).table]
            tables += [universe.enumerate(kind, value=value, first=3, last=6).table]
    faults = NeuronFaults(np.concatenate(tables))
    found = collapse(faults, SMALL, weights)
    assert found.group.max() + 1 == len(found.faults) < len(faults) / 2
    answers = run_many(chip, [chip.inject(f) for f in faults.each()], x)
    healthy = chip.run(x).scores
    classes = run_many(chip, [chip.inject(f) for f in found.faults.each()], x)
    for answer, group in zip(answers, found.group, strict=True):
        assert (answer == (healthy if group < 0 else classes[group])).all()
    assert (found.group < 0).any() and ((answers != healthy).any(axis=(1, 2)) & (found.group >= 0)).any()
