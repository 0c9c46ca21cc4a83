"""Modules for the tests of the quantizer, with the images that they take."""

import numpy as np
import torch
from torch import nn

from xbarsim.torch_bridge.quantize import quantize

IMAGES = np.random.default_rng(0).normal(size=(40, 3, 12, 12)).astype(np.float32)


class Residual(nn.Module):
    """Everything the quantizer takes: batch norms, groups, stride, padding, residual add, all pools."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding="same", groups=2)
        self.norm2 = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.conv3 = nn.Conv2d(8, 6, 3, stride=2, dilation=1)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(6, 5)
        self.norm3 = nn.BatchNorm1d(5)

    def forward(self, x):
        x = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(x))
        x = (x + y).relu()
        x = nn.functional.avg_pool2d(self.pool(x), 2, 1, ceil_mode=True)
        x = nn.functional.adaptive_avg_pool2d(self.conv3(x), 1)
        return self.norm3(self.linear(self.dropout(x.view(x.size(0), -1))))


class Functional(nn.Module):
    """A convolution and a function behind it."""

    def __init__(self, function) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 3), function

    def forward(self, x):
        return self.function(self.conv(x))


class Unsupported(nn.Module):
    """A convolution and a layer behind it, one level down."""

    def __init__(self, layer) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 3), layer)

    def forward(self, x):
        return self.inner(x)


def close(module):
    """Whether the quantized module follows the float one."""
    with torch.no_grad():
        expected = module(torch.tensor(IMAGES)).numpy()
    return np.abs(quantize(module, IMAGES).run(IMAGES) - expected).max() < 1e-3 * np.abs(expected).max()
