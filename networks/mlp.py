"""Multilayer perceptrons, for MNIST (its widths are not in RRAMedy) and for 8 x 8 digits."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


class Mlp(nn.Module):
    """Fully connected layers with ReLU between them; flattens its inputs."""

    def __init__(self, widths: tuple[int, ...] = (784, 500, 250, 10)) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for k, m in pairwise(widths):
            layers += [nn.Linear(k, m), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, ...) to (N, classes)."""
        return self.layers(x)


def digits_mlp() -> Mlp:
    """64-64-32-10, for scikit-learn's 8 x 8 digits."""
    return Mlp((64, 64, 32, 10))
