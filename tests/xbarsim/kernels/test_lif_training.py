"""Spikes and gradients of whole batches: those of the loop over steps, and PyTorch's own."""

import numba
import pytest
import torch

from networks.snn import Snn
from tests.helpers.snn import small, some_faults
from xbarsim.faults.neurons import NeuronFaultKind
from xbarsim.training.loop import initialise


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_spikes_in_100_000_neuron_steps_and_the_same_gradients(dtype):
    """With initial weights of many bits, at which sums are rounded in different orders."""
    kernel, loop = (initialise(lambda e=e: Snn(engine=e), 3).to(dtype) for e in ("kernel", "loop"))
    x = torch.rand(80, 784, generator=torch.Generator().manual_seed(1)).to(dtype)
    x = x * (x > 0.6)
    kinds = (NeuronFaultKind.hsf, NeuronFaultKind.esf, NeuronFaultKind.nasf, NeuronFaultKind.swf)
    faults = some_faults(kernel.geometry, 5, kinds, ratio=0.005)
    labels = torch.arange(80) % 10
    for given in (None, faults):
        found = []
        for module in (kernel, loop):
            module.set_faults(given)
            module.zero_grad()
            leaf = x.clone().requires_grad_()
            counts = module(leaf, seed=7)
            torch.nn.functional.cross_entropy(counts, labels).backward()
            found.append([counts.detach(), leaf.grad, *(w.grad.clone() for w in module.weights)])
        assert 80 * 10 * 138 > 100_000
        assert torch.equal(found[0][0], found[1][0])
        for ours, theirs in zip(found[0][1:], found[1][1:], strict=True):
            assert theirs.abs().max() > 0
            assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("window", [False, True])
def test_gradients_of_faulty_chains_are_pytorchs(window):
    kinds = tuple(k for k in NeuronFaultKind if not (window and k.of_synapses))
    module, loop = (small((9, 6, 8, 4), engine=engine, steps=7) for engine in ("kernel", "loop"))
    x = torch.rand(6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    faults, found = some_faults(module.geometry, 2, kinds, window), []
    for one in (module, loop):
        one.set_faults(faults)
        leaf = x.clone().requires_grad_()
        (one(leaf, seed=3) * torch.arange(24.0).reshape(6, 4)).sum().backward()
        found.append([leaf.grad, *(w.grad for w in one.weights)])
    for ours, theirs in zip(*found, strict=True):
        assert theirs.abs().max() > 0 and torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_threads_do_not_matter():
    module, before, found = initialise(lambda: Snn((50, 30, 10)), 1), numba.get_num_threads(), []
    x = torch.rand(33, 50, generator=torch.Generator().manual_seed(1))
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            module.zero_grad()
            module(x, seed=4).square().sum().backward()
            found.append([w.grad.clone() for w in module.weights])
    finally:
        numba.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
