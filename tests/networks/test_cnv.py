"""CNV has FINN's layers, and every width between them."""

import pytest
import torch
from torch import nn

from networks.cnv import Cnv
from xbarsim.torch_bridge.quantized import QuantActivation, QuantConv2d, QuantLinear


@pytest.mark.parametrize("width", [8, 32, 64])
def test_channels_are_finns_at_any_width(width):
    module = Cnv(width=width)
    convolutions = [m for m in module.modules() if isinstance(m, QuantConv2d)]
    channels = [convolutions[0].in_channels, *(m.out_channels for m in convolutions)]
    assert channels == [3, width, width, 2 * width, 2 * width, 4 * width, 4 * width]
    linear = [m for m in module.modules() if isinstance(m, QuantLinear)]
    assert [(m.in_features, m.out_features) for m in linear] == [
        (4 * width, 8 * width), (8 * width, 8 * width), (8 * width, 10),
    ]  # fmt: skip


def test_images_shrink_by_windows_without_padding_and_two_pools():
    sizes, x = [], torch.zeros(1, 3, 32, 32)
    for layer in Cnv(width=8).eval().layers:
        x = layer(x)
        if isinstance(layer, QuantConv2d | nn.MaxPool2d):
            sizes.append(x.shape[-1])
    assert sizes == [30, 28, 14, 12, 10, 5, 3, 1]


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(1, 1), (1, 4), (2, 2)])
def test_every_layer_has_the_precision_that_was_asked_for(weight_bits, activation_bits):
    module = Cnv(weight_bits, activation_bits, width=8)
    layers = [m for m in module.modules() if isinstance(m, QuantConv2d | QuantLinear)]
    activations = [m for m in module.modules() if isinstance(m, QuantActivation)]
    assert {m.weight_bits for m in layers} == {weight_bits} and len(layers) == 9
    assert {m.bits for m in activations} == {activation_bits} and len(activations) == 8
