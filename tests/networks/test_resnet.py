"""ResNets have the paper's depth, and shortcuts that crossbars can hold."""

import pytest
import torch
from torch import nn

from networks.resnet import Block, resnet20, resnet32


@pytest.mark.parametrize(("build", "depth", "parameters"), [(resnet20, 20, 272_474), (resnet32, 32, 466_906)])
def test_depth_and_parameters(build, depth, parameters):
    module = build()
    layers = [
        m for name, m in module.named_modules()
        if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]  # fmt: skip
    assert len(layers) == depth
    assert sum(p.numel() for p in module.parameters()) == parameters


def test_a_block_adds_its_input_before_the_last_relu():
    torch.manual_seed(0)
    block, x = Block(4, 4, 1).eval(), torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        inner = block.bn2(block.conv2(block.bn1(block.conv1(x)).clamp(min=0)))
        assert torch.equal(block(x), (inner + x).clamp(min=0))


def test_a_shortcut_that_changes_shape_is_a_convolution_of_one_pixel():
    block = Block(4, 8, 2)
    assert block.shortcut[0].kernel_size == (1, 1) and block.shortcut[0].stride == (2, 2)
    assert block(torch.zeros(1, 4, 6, 6)).shape == (1, 8, 3, 3)
    assert isinstance(Block(4, 4, 1).shortcut, nn.Identity)
