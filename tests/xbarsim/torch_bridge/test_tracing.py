"""Traced modules: layers stay whole and shared, modes stay, and what cannot be traced is named."""

import pytest
import torch
from torch import nn

from tests.helpers.torch_modules import Functional
from xbarsim.errors import InputError
from xbarsim.torch_bridge.quantized import QuantActivation, QuantLinear
from xbarsim.torch_bridge.tracing import trace


def test_control_flow_that_depends_on_values_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"torch\.fx can trace") as caught:
        trace(Functional(lambda x: x if x.sum() > 0 else -x))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layer", [nn.Linear(3, 2), QuantLinear(3, 2, weight_bits=2), QuantActivation(2)])
def test_layers_stay_whole_and_are_shared(layer):
    module = nn.Sequential(nn.Flatten(), layer)
    traced = trace(module)
    assert [node.op for node in traced.graph.nodes] == ["placeholder", "call_module", "call_module", "output"]
    assert traced.get_submodule("1") is layer
    x = torch.randn(4, 3)
    assert torch.equal(traced(x), module(x))


def test_a_layer_alone_is_traced_as_a_network_of_it():
    layer = nn.Conv2d(3, 4, 3)
    traced = trace(layer)
    (node,) = (node for node in traced.graph.nodes if node.op == "call_module")
    assert traced.get_submodule(node.target) is layer


@pytest.mark.parametrize("training", [True, False])
def test_modes_are_those_of_the_module_and_frozen_layers_stay_frozen(training):
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).train(training)
    module[1].train(not training)
    traced = trace(module)
    assert (traced.training, traced.get_submodule("1").training) == (training, not training)
