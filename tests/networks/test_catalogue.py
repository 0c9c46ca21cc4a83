"""Every named network is what its entry says: shapes, data, layers that the accelerators can hold."""

import pytest
import torch

from networks.catalogue import network, networks
from xbarsim.errors import InputError
from xbarsim.torch_bridge.quantized import QuantConv2d, QuantLinear


@pytest.mark.parametrize("name", networks())
def test_an_entry_gives_scores_of_ten_classes_for_images_of_its_shape(name):
    entry = network(name)
    module = entry.build().eval()
    with torch.no_grad():
        assert module(torch.rand(2, *entry.input_shape)).shape == (2, 10)
    assert entry.name == name and entry.description


@pytest.mark.parametrize("name", networks())
def test_quantized_entries_and_no_others_hold_quantized_layers(name):
    entry = network(name)
    held = any(isinstance(layer, QuantConv2d | QuantLinear) for layer in entry.build().modules())
    assert held == entry.quantized


@pytest.mark.parametrize("name", networks())
def test_two_modules_of_an_entry_share_nothing(name):
    first, second = network(name).build(), network(name).build()
    shared = {p.data_ptr() for p in first.parameters()} & {p.data_ptr() for p in second.parameters()}
    assert not shared


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"network: expected one of .*lenet.*, got 'lenet6'"):
        network("lenet6")
