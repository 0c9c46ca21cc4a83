"""Spiking networks: kernel, loop, slow reference and snntorch agree."""

import numpy as np
import pytest
import torch

from networks.snn import Snn
from tests.helpers.snn import small, some_faults
from tests.twins.spiking import network_spikes
from xbarsim.errors import InputError
from xbarsim.faults.neurons import NeuronFault, NeuronFaultKind, NeuronFaults
from xbarsim.training.loop import initialise


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("faulty", [False, True])
@pytest.mark.parametrize("sizes", [(5, 3), (9, 6, 4), (7, 5, 6, 3)])
def test_kernel_and_loop_spike_as_the_reference_does(sizes, faulty, window):
    module, loop = (small(sizes, engine=engine, steps=7) for engine in ("auto", "loop"))
    x = torch.rand(6, sizes[0], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x[0, :2], x[1] = torch.tensor([0.0, 1.0]), 0
    faults = some_faults(module.geometry, 2, window=window) if faulty else None
    module.set_faults(faults)
    loop.set_faults(faults)
    counts = module(x, seed=11).detach().numpy()
    weights = [w.detach().numpy().T for w in module.weights]
    expected = [network_spikes(row, weights, module.effects, 11, i, 7) for i, row in enumerate(x.numpy())]
    assert (counts == [layers[-1].sum(0) for layers in expected]).all()
    assert (loop(x, seed=11).detach().numpy() == counts).all()
    inputs = torch.tensor(np.stack([layers[0] for layers in expected], axis=1))
    for layer, found in enumerate(loop.layer_spikes(inputs), 1):
        assert (found.detach().numpy() == np.stack([e[layer] for e in expected], axis=1)).all()
    assert counts.any() or faulty


def test_hidden_spikes_are_the_same_too():
    kernel, loop = (initialise(lambda e=e: Snn((784, 128, 128), engine=e), 3) for e in ("kernel", "loop"))
    kernel.layers[1].weight.data = loop.layers[1].weight.data = torch.eye(128)
    x = torch.rand(80, 784, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        counts = kernel(x, seed=1)
        assert torch.equal(counts, loop(x, seed=1))
    assert (counts.sum(0) > 0).sum() > 20


def test_inputs_spike_as_often_as_their_values_say():
    module = Snn((256, 4), steps=50)
    x = torch.linspace(0, 1, 256, dtype=torch.float64).repeat(400, 1)
    from xbarsim.torch_bridge.spiking import BernoulliSpikes

    for seed in (3, None):
        torch.manual_seed(1)
        spikes = BernoulliSpikes.apply(x, module.effects, 50, seed)
        share, p = spikes.mean((0, 1)), x[0]
        assert (share[[0, -1]] == p[[0, -1]]).all()
        assert ((share - p).abs() <= 4.5 * (p * (1 - p) / 20_000).sqrt()).all()
        flat = spikes[:, :, 128].flatten() - p[128]  # neighbours in step and image do not go together
        for lag in (1, 2, 400):
            assert abs((flat[lag:] * flat[:-lag]).mean()) < 4.5 * p[128] * (1 - p[128]) / 20_000**0.5


def test_snntorch_counts_the_same_spikes():
    snntorch = pytest.importorskip("snntorch")
    module = initialise(lambda: Snn((60, 40, 10), engine="loop"), 2)
    x = torch.rand(50, 60, generator=torch.Generator().manual_seed(1))
    spikes = (torch.rand(10, 50, 60, generator=torch.Generator().manual_seed(2)) < x).float()
    # it subtracts the potential of the last step where that was above the threshold, before it leaks
    layers = [snntorch.Leaky(beta=0.2, threshold=0.5, reset_mechanism="zero") for _ in range(2)]
    states, counts = [layer.init_leaky() for layer in layers], 0
    with torch.no_grad():
        for arriving in spikes:
            for i, layer in enumerate(layers):
                arriving, states[i] = layer(module.layers[i](arriving), states[i])
            counts = counts + arriving
        expected = module.layer_spikes(spikes)[-1].sum(0)
    assert torch.equal(counts, expected) and counts.any()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: Snn((784,)), "sizes"),
        (lambda: Snn((784, 0)), "sizes"),
        (lambda: Snn(steps=0), "steps"),
        (lambda: Snn(leak=1.5), "leak"),
        (lambda: Snn(threshold=0), "threshold"),
        (lambda: Snn(engine="gpu"), "engine"),
        (lambda: Snn((4, 2))(torch.rand(3, 5)), "4 pixels, got 5"),
        (lambda: Snn((4, 2))(torch.rand(3, 4) * 255), r"pixels in \[0, 1\]"),
        (lambda: Snn((4, 2))(torch.rand(3, 4), seed=-1), "seed"),
        (lambda: Snn((4, 2)).set_faults(one(layer=3)), "a place in 4-2"),
        (lambda: Snn((4, 2)).set_faults(one(layer=0, neuron=4)), "a place in 4-2"),
        (lambda: Snn((4, 2)).set_faults(one(kind=NeuronFaultKind.leak, layer=0)), "neither threshold nor"),
        (lambda: one(value=-1.0), "value of hsf"),
        (lambda: one(first=3, last=3), "last"),
    ],
)
def test_nonsense_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()


def one(kind=NeuronFaultKind.hsf, layer=1, neuron=0, **more):
    return NeuronFaults.of([NeuronFault(kind=kind, layer=layer, neuron=neuron, **more)])


def test_the_kernel_says_what_it_cannot():
    module = Snn((4, 3), engine="kernel")
    fault = NeuronFault(kind=NeuronFaultKind.swf, layer=0, neuron=1, target=2, first=0, last=3)
    module.set_faults(NeuronFaults.of([fault]))
    with pytest.raises(InputError, match="engine: expected 'loop'"):
        module(torch.rand(2, 4))
    module.engine = "auto"
    assert module(torch.rand(2, 4)).shape == (2, 3)


def test_a_network_never_has_the_faults_of_an_earlier_list():
    """Lists that are freed leave their place to others; effects must not be taken for theirs."""
    module = small((6, 5))
    x = torch.ones(1, 6, dtype=torch.float64)
    module.layers[0].weight.data.fill_(0.3)
    for turn in range(60):
        neuron = turn % 5
        module.set_faults(one(kind=NeuronFaultKind.dead, neuron=neuron))
        assert module(x)[0].tolist() == [0 if j == neuron else 10 for j in range(5)]
        if turn % 3 == 0:
            module.set_faults(None)
            assert (module(x) == 10).all()


def test_faults_follow_changed_gains():
    module = small((4, 3))
    x = torch.ones(2, 4, dtype=torch.float64)
    module.layers[0].weight.data.fill_(0.3)
    assert (module(x) == 10).all()
    module.gain0.fill_(0)
    assert (module(x) == 0).all()
    module.offset0[1] = 2
    assert (module(x)[:, 1] == 10).all()
