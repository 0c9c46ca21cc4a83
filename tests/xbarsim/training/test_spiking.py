"""Fault-tolerant training of spiking networks and Algorithm 1's patterns."""

import numpy as np
import pytest
import torch

from accel_models.reram.config import accelerator
from accel_models.spiking.cells import program_on_cells
from networks.snn import Snn
from tests.helpers.spiking_trainings import GEOMETRY, NASF, RECIPE, UNIVERSE, build, digits
from xbarsim.errors import InputError
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, NeuronFaults
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.training.loop import fit, initialise
from xbarsim.training.recipe import Recipe
from xbarsim.training.spiking import NeuronFaultTraining
from xbarsim.training.stochastic import StuckCellTraining


class Watch(NeuronFaultTraining):
    """Notes the faults that scores are computed with."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.seen = []

    def after_backward(self, module):
        self.seen.append((self._faults.table.tolist(), module.faults))
        super().after_backward(module)


@pytest.mark.parametrize("loss", ["faulty", "both"])
def test_every_batch_meets_other_faults_and_the_network_is_healed(loss):
    module, method = initialise(build, 0), Watch(UNIVERSE, NASF, 0.1, loss=loss)
    fit(module, *digits(), Recipe(epochs=1, batch_size=32), seed=0, methods=[method])
    assert len(method.seen) == 19 and all(len(faults) == 9 for faults, _ in method.seen)
    assert len({str(faults) for faults, _ in method.seen}) == 19
    assert all(had is not None for _, had in method.seen)
    assert module.faults is None


def test_both_losses_are_added():
    x, y = (torch.as_tensor(part[:50]) for part in digits())
    module, method = initialise(build, 0), NeuronFaultTraining(UNIVERSE, NASF, 0.1)
    loss = torch.nn.functional.cross_entropy
    rng = np.random.default_rng(1)
    method.before_batch(module, rng)
    assert module.faults is None
    torch.manual_seed(3)
    added = method.extra_loss(module, x, y, loss)
    faults = UNIVERSE.sample(NASF, 0.1, np.random.default_rng(1))
    module.set_faults(faults)
    torch.manual_seed(3)
    assert torch.equal(added, loss(module(x), y))
    method.after_backward(module)
    assert module.faults is None
    assert NeuronFaultTraining(UNIVERSE, NASF, 0.1, loss="faulty").extra_loss(module, x, y, loss) is None


def test_equal_seeds_do_not_make_faults_and_weights_alike():
    """The generator of initial weights and that of faults are seeded with the same number."""
    for seed in range(5):
        module = initialise(lambda: Snn((784, 128, 10)), seed)
        universe = FaultUniverse(geometry=module.geometry, scope=("input", "hidden", "synapses"))
        from xbarsim.rng import stream

        faults = universe.sample(NeuronFaultKind.swf, 0.3, stream(seed, "faults"))
        mask = np.zeros((784, 128))
        first = faults.table[faults.table["layer"] == 0]
        mask[first["neuron"], first["target"]] = 1
        weights = module.weights[0].detach().numpy().T
        for values in (weights, np.abs(weights), weights > 0):
            assert abs(np.corrcoef(mask.ravel(), values.ravel())[0, 1]) < 4.5 / mask.size**0.5


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: NeuronFaultTraining(UNIVERSE, NASF, 1.2), "fault injection ratio"),
        (lambda: NeuronFaultTraining(UNIVERSE, NASF, 0.1, loss="all"), "loss"),
        (lambda: NeuronFaultTraining(UNIVERSE, NeuronFaultKind.swf, 0.1), "scope of swf"),
        (
            lambda: fit(
                initialise(lambda: Snn((64, 16, 10)), 0), *digits(), RECIPE, seed=0,
                methods=[NeuronFaultTraining(UNIVERSE, NASF, 0.1)],
            ),
            "the universe.s SpikingGeometry",
        ),
    ],
)  # fmt: skip
def test_nonsense_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()


def test_spiking_networks_train_on_stuck_cells_too():
    """In every batch the weights are what cells with the drawn faults act as."""
    module = initialise(build, 0)
    array, seen = accelerator("isaac").array, []

    class Watch(StuckCellTraining):
        def before_batch(self, layer, rng):
            before = [w.detach().clone() for w in module.weights]
            super().before_batch(layer, rng)
            seen.append([(b, w.detach().clone()) for b, w in zip(before, module.weights, strict=True)])

    fit(module, *digits(), Recipe(epochs=2), seed=0, methods=[Watch(StuckCells(rate=0.02), array)])
    assert len(seen) == 20
    for layers in seen:
        for true, acting in layers:
            changed = (true - acting).abs() > 2.0**-13  # 16 bits, weights below 1
            assert 0.02 < changed.float().mean() < 0.3
    chip = program_on_cells(GEOMETRY, [w.detach().numpy().T for w in module.weights], accelerator("isaac"))
    assert chip[0].run(digits()[0][:20]).scores.any()


def test_faults_of_none_are_no_faults():
    assert len(UNIVERSE.sample(NASF, 0, np.random.default_rng(0))) == 0
    module = Snn((64, 32, 10))
    module.set_faults(NeuronFaults.of([]))
    assert module(torch.rand(2, 64)).shape == (2, 10)
