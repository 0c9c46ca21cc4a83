"""ResNet-20 and ResNet-32 for CIFAR.

Shortcuts that change shape are 1 x 1 convolutions (option B), which crossbars can hold; the original pads
with zeros (option A). ResNet-20 has 272,474 parameters here, 269,722 there.

Source: He et al., CVPR 2016, section 4.2.
"""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch norm, and the way around them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu2 = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, M, H / stride, W / stride)."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + self.shortcut(x))


class ResNet(nn.Module):
    """6 n + 2 layers in three stages of n blocks with 16, 32 and 64 channels."""

    def __init__(self, blocks: int, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        stages: list[nn.Module] = []
        before = 16
        for width in (16, 32, 64):
            for i in range(blocks):
                stages.append(Block(before, width, 2 if i == 0 and width > 16 else 1))
                before = width
        self.blocks = nn.Sequential(*stages)
        self.pool = nn.AvgPool2d(8)
        self.fc = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, 32, 32) to (N, classes)."""
        x = self.pool(self.blocks(self.relu(self.bn(self.conv(x)))))
        return self.fc(x.flatten(1))


def resnet20() -> ResNet:
    """Three blocks a stage."""
    return ResNet(3)


def resnet32() -> ResNet:
    """Five blocks a stage."""
    return ResNet(5)
