"""Places for errors: behind activations, and behind layers that none follows; on the right axis."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from networks.cnv import Cnv
from networks.resnet import ResNet
from xbarsim.torch_bridge.injection_places import is_activation, points_of, reached_by
from xbarsim.torch_bridge.tracing import trace


def points(module):
    traced = trace(module)
    return traced, points_of(traced)


@pytest.mark.parametrize("build", [lambda: ResNet(1), lambda: Cnv(1, 1, width=8)])
def test_networks_of_activations_have_none_but_these_and_reach_every_weight(build):
    module = build()
    traced, found = points(module)
    assert all(point.own for point in found)
    assert all(is_activation(point.node, traced) for point in found)
    reached = {id(w) for w in reached_by(traced, found)}
    assert all(id(w) in reached for w in module.parameters() if w.ndim > 1)


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.conv = nn.Embedding(9, 4), nn.Conv1d(4, 6, 1)
        self.a, self.b, self.c = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, tokens):
        x = F.softplus(self.conv(self.embed(tokens).transpose(1, 2)))
        return self.c(self.b(self.a(x.transpose(1, 2))).mean(1))


def test_bare_layers_and_axes():
    traced, found = points(Mixer())
    assert [(p.node.name, p.axis, p.own) for p in found] == [
        ("softplus", 1, True), ("a", -1, False), ("b", -1, False),
    ]  # fmt: skip
    names = {id(w): name for name, w in traced.named_parameters()}
    few = {names[id(w)] for w in reached_by(traced, found[:1]) if w.ndim > 1}
    assert few == {"c.weight", "conv.weight"}
    everything = {names[id(w)] for w in reached_by(traced, found) if w.ndim > 1}
    assert everything == {"conv.weight", "a.weight", "b.weight", "c.weight"}


def test_of_recurrent_layers_the_last_states_are_outputs():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.gates, self.head = nn.LSTM(4, 5, num_layers=2, bidirectional=True), nn.Linear(10, 2)

        def forward(self, x):
            return self.head(self.gates(x)[0])

    traced, (only,) = points(Deep())
    assert (only.node.name, only.axis, only.batch) == ("gates", -1, 1)
    names = {id(w): name for name, w in traced.named_parameters()}
    reached = {names[id(w)] for w in reached_by(traced, [only]) if w.ndim > 1}
    assert reached == {
        "head.weight", "gates.weight_ih_l1", "gates.weight_hh_l1", "gates.weight_ih_l1_reverse",
        "gates.weight_hh_l1_reverse",
    }  # fmt: skip


def test_functions_with_constant_weights_are_layers():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.v = nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(4, 4))

        def forward(self, x):
            return (F.linear(x, self.v) @ self.w.exp()).sum(1)

    traced, found = points(Functional())
    assert [point.node.name for point in found] == ["linear"]
    assert len(reached_by(traced, found)) == 2 and len(reached_by(traced, [])) == 1


def test_a_layer_that_has_an_activation_of_its_own_is_none():
    module = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 3))
    traced = trace(module)
    assert not [node for node in traced.graph.nodes if is_activation(node, traced)]
