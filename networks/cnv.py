"""FINN's CNV for CIFAR-10, in the precisions of FAT, and in half its width for processors.

Source: FINN (Umuroglu et al., FPGA 2017), section 5; FAT (Zahid et al.), section V.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from xbarsim.torch_bridge.quantized import QuantActivation, QuantConv2d, QuantInput, QuantLinear, ScoreNorm


class Cnv(nn.Module):
    """Six 3 x 3 convolutions without padding in three pairs, two max-pools, three fully connected layers.

    Parameters
    ----------
    weight_bits, activation_bits : W and A of WwAa
    width : channels of the first pair; 64 in FINN, 32 for the half-width network
    """

    def __init__(self, weight_bits: int = 1, activation_bits: int = 1, *, width: int = 64) -> None:
        super().__init__()
        channels = (3, width, width, 2 * width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = [QuantInput(8, fraction=8)]
        for i, (before, after) in enumerate(pairwise(channels)):
            layers += [QuantConv2d(before, after, 3, weight_bits=weight_bits), nn.BatchNorm2d(after)]
            layers += [QuantActivation(activation_bits)]
            if i in (1, 3):
                layers += [nn.MaxPool2d(2)]
        layers += [nn.Flatten()]
        for before, after in ((4 * width, 8 * width), (8 * width, 8 * width)):
            layers += [QuantLinear(before, after, weight_bits=weight_bits), nn.BatchNorm1d(after)]
            layers += [QuantActivation(activation_bits)]
        layers += [QuantLinear(8 * width, 10, weight_bits=weight_bits), ScoreNorm()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, 32, 32) in [-0.5, 0.5] to (N, 10) scores."""
        return self.layers(x)
