"""Biases take back what rounding shifts, and change nothing else."""

import numpy as np
import torch
from torch import nn

from tests.helpers.torch_modules import IMAGES, Residual
from xbarsim.graph.nodes import MatMul
from xbarsim.torch_bridge import quantize as importing
from xbarsim.torch_bridge.quantize import quantize


def plainly(monkeypatch, module, images, **settings):
    """The graph without a correction."""
    with monkeypatch.context() as patched:
        patched.setattr(importing, "with_corrected_biases", lambda graph, *_: graph)
        return quantize(module, images, **settings)


def few(bits=3):
    return {"weight_bits": bits, "activation_bits": 8}


def test_every_output_has_the_float_networks_mean(monkeypatch):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1152, 5)).eval()
    images = np.random.default_rng(0).random((32, 3, 12, 12))
    before = plainly(monkeypatch, module, images, **few())
    after = quantize(module, images, **few())
    with torch.no_grad():
        wanted = module(torch.tensor(images).float()).numpy().mean(0)
    steps = after.grids[after.output].scale
    assert (np.abs(after.run(images).mean(0) - wanted) <= steps).all()
    assert (np.abs(before.run(images).mean(0) - wanted) > 4 * steps).any()
    for old, new in zip(before.layers, after.layers, strict=True):
        assert (old.weights == new.weights).all() and (old.bias != new.bias).any()


def test_scales_of_more_bits_and_powers_of_two_are_left_alone(monkeypatch):
    module = Residual().eval()
    for settings in (few(9), {**few(), "scales": "power-of-two"}):
        old, new = plainly(monkeypatch, module, IMAGES, **settings), quantize(module, IMAGES, **settings)
        for first, second in zip(old.layers, new.layers, strict=True):
            assert (first.bias == second.bias).all()


def test_a_layer_that_is_used_again_keeps_its_bias(monkeypatch):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.same, self.last = nn.Linear(6, 6), nn.Linear(6, 4)

        def forward(self, x):
            return self.last(self.same(self.same(x).relu()).relu())

    torch.manual_seed(1)
    module, inputs = Twice().eval(), np.random.default_rng(0).normal(size=(40, 6))
    old, new = plainly(monkeypatch, module, inputs, **few()), quantize(module, inputs, **few())
    assert sum(isinstance(node, MatMul) for node in new.nodes) == 3
    same = [(a.bias == b.bias).all() for a, b in zip(old.layers, new.layers, strict=True)]
    assert same == [True, False]


def test_tokens_and_several_inputs_are_run_too():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.a, self.b = nn.Embedding(9, 6), nn.Linear(6, 5), nn.Linear(4, 5)

        def forward(self, tokens, x):
            return self.a(self.words(tokens).mean(1)) + self.b(x)

    rng = np.random.default_rng(0)
    given = rng.integers(0, 9, (40, 3)), rng.normal(size=(40, 4)).astype(np.float32)
    module = Two().eval()
    graph = quantize(module, given, **few())
    with torch.no_grad():
        wanted = module(*map(torch.from_numpy, given)).numpy()[:32].mean(0)
    found = graph.run(tuple(part[:32] for part in given)).mean(0)
    np.testing.assert_allclose(found, wanted, atol=0.02)
