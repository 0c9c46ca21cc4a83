"""MobileNetV2 has inverted residuals: wide within, narrow and linear between."""

import torch
from torch import nn

from networks.mobilenet import InvertedResidual, MobileNetV2


def test_parameters_and_depth():
    module = MobileNetV2()
    assert sum(p.numel() for p in module.parameters()) == 126_634
    assert sum(isinstance(m, InvertedResidual) for m in module.modules()) == 8
    depthwise = [m for m in module.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert len(depthwise) == 8 and all(m.groups == m.in_channels == m.out_channels for m in depthwise)


def test_a_block_of_one_shape_adds_its_input_behind_a_linear_layer():
    torch.manual_seed(0)
    block, x = InvertedResidual(4, 4, 1, 3).eval(), torch.randn(2, 4, 5, 5)
    assert isinstance(block.layers[-1], nn.BatchNorm2d)
    with torch.no_grad():
        assert torch.equal(block(x), x + block.layers(x))
    assert not InvertedResidual(4, 4, 2, 3).around and not InvertedResidual(4, 8, 1, 3).around


def test_an_expansion_of_one_widens_nothing():
    assert len([m for m in InvertedResidual(4, 6, 2, 1).layers if isinstance(m, nn.Conv2d)]) == 2
