"""Multiply-accumulates of captured products, against loops over what they add up."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.twins.macs import convolution, product
from xbarsim.torch_bridge.capture import export
from xbarsim.torch_bridge.macs import macs
from xbarsim.torch_bridge.quantize import quantize


def counts(module, *shape):
    captured = export(module.eval(), (torch.randn(3, *shape),))
    return [count for count in (macs(captured, node) for node in captured.order()) if count]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, (3, 2), groups=2),
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2),
    ],
    ids=["grouped", "padded", "transposed"],
)
def test_convolutions_take_one_for_every_input_of_every_output(layer):
    assert counts(layer, 4, 5, 5) == [convolution(layer, (4, 5, 5))]


class Attention(nn.Module):
    """A projection to 3 x 4 numbers, and their products over 5 positions."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(6, 12)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return torch.softmax(q @ k.transpose(1, 2), -1) @ v


def test_linear_layers_and_products_of_activations_take_one_for_every_term():
    assert counts(Attention(), 5, 6) == [product(5, 6, 12), product(5, 4, 5), product(5, 5, 4)]


def test_the_graph_has_the_same_counts_by_node():
    x = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    graph = quantize(Attention(), x, weight_bits=8, activation_bits=8)
    kinds = {node.name: node.kind for node in graph.nodes}
    assert list(graph.macs.values()) == counts(Attention(), 5, 6)
    assert [kinds[name] for name in graph.macs] == ["arrays", "float", "float"]
