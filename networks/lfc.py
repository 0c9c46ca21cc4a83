"""FINN's LFC for MNIST: four fully connected layers.

Source: FINN (Umuroglu et al., FPGA 2017), section 5.
"""

from __future__ import annotations

import torch
from torch import nn

from xbarsim.torch_bridge.quantized import PixelSign, QuantActivation, QuantLinear, ScoreNorm


class Lfc(nn.Module):
    """784-1024-1024-1024-10 on binarized pixels."""

    def __init__(self, weight_bits: int = 1, activation_bits: int = 1, *, width: int = 1024) -> None:
        super().__init__()
        layers: list[nn.Module] = [PixelSign(), nn.Flatten()]
        for before in (784, width, width):
            layers += [QuantLinear(before, width, weight_bits=weight_bits), nn.BatchNorm1d(width)]
            layers += [QuantActivation(activation_bits)]
        layers += [QuantLinear(width, 10, weight_bits=weight_bits), ScoreNorm()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 1, 28, 28) in [0, 1] to (N, 10) scores."""
        return self.layers(x)
