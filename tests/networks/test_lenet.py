"""LeNet is Caffe's: its weights, and its only ReLU."""

import torch

from networks.lenet import LeNet


def test_weights_without_biases_are_caffes():
    weights = {name: p.numel() for name, p in LeNet().named_parameters() if name.endswith("weight")}
    assert weights == {
        "conv1.weight": 500,
        "conv2.weight": 25_000,
        "fc1.weight": 400_000,
        "fc2.weight": 5_000,
    }


def test_layers_follow_each_other_as_written():
    torch.manual_seed(0)
    module, x = LeNet().eval(), torch.randn(3, 1, 28, 28)
    pooled = torch.max_pool2d(module.conv2(torch.max_pool2d(module.conv1(x), 2)), 2)
    hidden = module.fc1(pooled.reshape(3, 800)).clamp(min=0)
    assert torch.equal(module(x), module.fc2(hidden))
    assert (pooled < 0).any(), "the convolutions have no ReLU"
