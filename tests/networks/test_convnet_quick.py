"""cifar10_quick is Caffe's: its weights, and windows that go over the edge."""

import torch
from torch import nn

from networks.convnet_quick import ConvNetQuick


def test_weights_without_biases_are_caffes():
    layers = [m for m in ConvNetQuick().modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [m.weight.numel() for m in layers] == [2_400, 25_600, 51_200, 65_536, 640]
    assert sum(m.weight.numel() for m in layers) == 145_376


def test_pooling_windows_overlap_and_go_over_the_edge():
    sizes, x = [], torch.zeros(1, 3, 32, 32)
    for layer in ConvNetQuick().features:
        x = layer(x)
        sizes.append(x.shape[-1])
    assert sizes == [32, 16, 16, 16, 16, 8, 8, 8, 4]
    assert ConvNetQuick().classifier(x).shape == (1, 10)
