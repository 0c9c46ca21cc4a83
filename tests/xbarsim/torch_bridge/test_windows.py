"""Windows of torch's convolutions and pools: as many positions as torch has, and their options."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tests.helpers.torch_modules import Functional
from xbarsim.errors import InputError
from xbarsim.torch_bridge.tracing import trace
from xbarsim.torch_bridge.windows import conv_window, pair, pool_window

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADS = st.tuples(st.integers(0, 2), st.integers(0, 2))


def traced_pool(function):
    traced = trace(Functional(function))
    *_, node, _ = traced.graph.nodes
    return pool_window(node, traced)


@given(kernel=PAIRS, stride=PAIRS, padding=PADS, dilation=PAIRS)
def test_convolutions_have_as_many_windows_as_in_torch(kernel, stride, padding, dilation):
    layer = nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    window = conv_window(layer, "c")
    assert window.positions(9, 8) == tuple(layer(torch.zeros(1, 1, 9, 8)).shape[2:])
    assert (window.kernel, window.stride, window.dilation) == (kernel, stride, dilation)
    assert window.padding == ((padding[0],) * 2, (padding[1],) * 2)


def test_same_and_valid_padding_are_torchs():
    same = conv_window(nn.Conv2d(1, 1, (3, 4), padding="same", dilation=(1, 3)), "c")
    assert same.padding == ((1, 1), (4, 5))
    assert conv_window(nn.Conv2d(1, 1, 3, padding="valid"), "c").padding == ((0, 0), (0, 0))


def test_other_paddings_are_refused_by_layer():
    with pytest.raises(InputError, match=r"layer 'a\.b' \(Conv2d\): expected padding_mode 'zeros'"):
        conv_window(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "a.b")


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.MaxPool2d(3), lambda x: F.max_pool2d(x, 3)),
        (nn.MaxPool2d(3, 2, 1, 2, ceil_mode=True), lambda x: F.max_pool2d(x, 3, 2, 1, 2, True)),
        (nn.MaxPool2d((2, 3), (1, 2)), lambda x: F.max_pool2d(x, kernel_size=(2, 3), stride=(1, 2))),
        (nn.AvgPool2d(3, 2, 1, True, False), lambda x: F.avg_pool2d(x, 3, 2, 1, True, False)),
        (nn.AvgPool2d(2), lambda x: F.avg_pool2d(x, kernel_size=2)),
    ],
)
def test_pools_as_layers_and_as_functions_are_the_same_windows(layer, function):
    """Their images are 10 x 10 behind the convolution."""
    (one, options), (two, others) = traced_pool(layer), traced_pool(function)
    assert one == two
    assert one.positions(10, 10) == tuple(layer(torch.zeros(1, 1, 10, 10)).shape[2:])
    assert options.get("count_include_pad", True) == others.get("count_include_pad", True)


@pytest.mark.parametrize(
    "function", [nn.AvgPool2d(2, divisor_override=3), nn.MaxPool2d(2, return_indices=True)]
)
def test_pools_with_other_results_are_refused(function):
    with pytest.raises(InputError, match="without divisor_override or return_indices"):
        traced_pool(function)


def test_a_number_is_a_pair_of_it():
    assert pair(3) == (3, 3) and pair([1, 2]) == (1, 2)
