"""MobileNetV2 for CIFAR: inverted residuals, narrow enough that one processor core trains it in minutes.

A first convolution of stride 1 and 32 x 32 images, as CIFAR's networks have; 126,634 parameters.

Source: Sandler et al., CVPR 2018, section 3.
"""

from __future__ import annotations

import torch
from torch import nn

FIRST, LAST = 16, 256
# expansion, channels, blocks, stride of the first block
STAGES = ((1, 16, 1, 2), (4, 16, 2, 1), (4, 32, 2, 2), (4, 64, 3, 2))


class InvertedResidual(nn.Module):
    """A 1 x 1 convolution that widens, a depthwise 3 x 3 one, a linear 1 x 1 one; and the way around them.

    Parameters
    ----------
    expansion : how many times wider the inner channels are; with 1 nothing widens
    """

    def __init__(self, before: int, after: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        widen = [] if expansion == 1 else _convolution(before, inner, 1)
        depthwise = _convolution(inner, inner, 3, stride, groups=inner)
        narrow = [nn.Conv2d(inner, after, 1, bias=False), nn.BatchNorm2d(after)]
        self.layers = nn.Sequential(*widen, *depthwise, *narrow)
        self.around = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, M, H / stride, W / stride)."""
        y = self.layers(x)
        return x + y if self.around else y


class MobileNetV2(nn.Module):
    """Eight inverted residuals in four stages, from 32 x 32 pixels to 4 x 4."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        layers = _convolution(3, FIRST, 3)
        before = FIRST
        for expansion, width, blocks, stride in STAGES:
            for i in range(blocks):
                layers.append(InvertedResidual(before, width, stride if i == 0 else 1, expansion))
                before = width
        layers += _convolution(before, LAST, 1)
        self.features = nn.Sequential(*layers)
        self.pool = nn.AvgPool2d(4)
        self.fc = nn.Linear(LAST, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, 32, 32) to (N, classes)."""
        return self.fc(self.pool(self.features(x)).flatten(1))


def _convolution(before: int, after: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution that keeps the size, its batch norm, ReLU6."""
    convolution = nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU6()]
