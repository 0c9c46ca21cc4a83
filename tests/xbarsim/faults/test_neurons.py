"""Faults of spiking networks: universes, samples, files, effects, equivalence."""

import numpy as np
import pytest

from xbarsim.errors import InputError
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
