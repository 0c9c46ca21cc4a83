"""What faults of neurons and synapses do together, and which of them are alike."""

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
