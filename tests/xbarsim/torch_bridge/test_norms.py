"""Batch norm behind layers: found, folded, refused elsewhere."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.helpers.torch_modules import Residual, close
from xbarsim.errors import InputError
from xbarsim.torch_bridge.norms import fold_batch_norm, weighted_layers
from xbarsim.torch_bridge.tracing import trace


def random_statistics(norm):
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.3, 3)
        if norm.weight is not None:
            norm.weight.normal_()
            norm.bias.normal_()
    return norm


@given(st.booleans(), st.booleans(), st.sampled_from([1, 2]), st.integers(0, 2**32))
def test_folded_layers_give_what_layer_and_norm_gave(bias, affine, groups, seed):
    torch.manual_seed(seed)
    conv = nn.Conv2d(4, 6, 3, groups=groups, bias=bias)
    linear = nn.Linear(6 * 4, 5, bias=bias)
    norms = nn.BatchNorm2d(6, affine=affine, eps=0.1), nn.BatchNorm1d(5, affine=affine)
    first, last = map(random_statistics, norms)
    module = nn.Sequential(conv, first, nn.ReLU(), nn.Flatten(), linear, last).double().eval()
    x = torch.randn(3, 4, 4, 4).double()
    with torch.no_grad():
        wanted = module(x)
        traced = trace(module)
        fold_batch_norm(traced)
        torch.testing.assert_close(traced(x), wanted)
    kinds = [type(traced.get_submodule(n.target)) for n in traced.graph.nodes if n.op == "call_module"]
    assert nn.BatchNorm2d not in kinds and nn.BatchNorm1d not in kinds


def test_layers_come_in_order_each_with_its_norm():
    module = Residual().eval()
    assert weighted_layers(module) == [
        (module.conv1, module.norm1),
        (module.conv2, module.norm2),
        (module.conv3, None),
        (module.linear, module.norm3),
    ]


def test_a_layer_that_is_called_twice_is_one():
    linear = nn.Linear(4, 4)
    assert weighted_layers(nn.Sequential(linear, nn.ReLU(), linear)) == [(linear, None)]


def test_a_norm_behind_a_layer_that_is_called_twice_is_not_folded():
    block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with pytest.raises(InputError, match=r"one call of a layer with a batch norm, got several"):
        fold_batch_norm(trace(nn.Sequential(block, nn.ReLU(), block).eval()))


def test_a_module_may_name_its_layers_itself():
    class Own(nn.Module):
        def weighted_layers(self):
            return ["mine"]

    assert weighted_layers(Own()) == ["mine"]


def test_networks_without_layers_are_refused():
    with pytest.raises(InputError, match="at least one linear or convolution layer, got none"):
        weighted_layers(nn.Flatten())


class ReadTwice(nn.Module):
    """A norm behind a layer that something else reads as well."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        x = self.layer(x)
        return x + self.norm(x)


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4)), "BatchNorm1d"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4)), "BatchNorm1d"),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)), "BatchNorm2d"),
        (ReadTwice(), "BatchNorm1d"),
    ],
)
def test_norms_elsewhere_are_refused_by_name(module, kind):
    for function in (weighted_layers, lambda m: fold_batch_norm(trace(m))):
        with pytest.raises(InputError, match=rf"layer '\w+' \({kind}\): expected running statistics"):
            function(module.eval())


def test_batch_norm_leaves_a_layer_that_shares_the_weights():
    a, norm, b = nn.Linear(432, 432), nn.BatchNorm1d(432), nn.Linear(432, 432)
    b.weight = a.weight
    with torch.no_grad():
        norm.running_var.fill_(9.0)
    assert close(nn.Sequential(nn.Flatten(), a, norm, nn.ReLU(), b).eval())
