"""Weights that a training method leaves out are said, and no others."""

import warnings

import pytest
import torch
from torch import nn

from xbarsim.torch_bridge.norms import weighted_layers
from xbarsim.torch_bridge.reach import ReachWarning, warn_of_left_out
from xbarsim.training.pruning import magnitude_masks


class Recurrent(nn.Module):
    """An embedding, gates and a head: 80 of 80 + 768 + 1024 weights on arrays are in linear layers."""

    def __init__(self):
        super().__init__()
        self.words, self.gates = nn.Embedding(30, 12), nn.LSTM(12, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.gates(self.words(x))[0])


def test_what_is_left_out_is_counted_and_named():
    module = Recurrent()
    with pytest.warns(ReachWarning, match=r"^pruning reaches 4 % .* left out: gates\.weight_ih_l0, gates"):
        magnitude_masks(module, 0.5)


def test_nothing_is_said_where_all_are_reached():
    module = nn.Sequential(nn.Embedding(30, 12), nn.Flatten(), nn.Linear(24, 6), nn.ReLU(), nn.Linear(6, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        magnitude_masks(module, 0.5)
        warn_of_left_out("this", module, [module[2].weight, module[4].weight])
        weighted_layers(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()))


def test_stuck_cells_reach_what_they_say():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.plain, self.own = nn.Linear(4, 4), nn.Parameter(torch.zeros(4, 12))

        def forward(self, x):
            return self.plain(x) @ self.own

    with pytest.warns(ReachWarning, match="^training on stuck cells reaches 25 % .* left out: own$"):
        weighted_layers(Mixed())


def test_many_are_counted():
    module = nn.ModuleDict({str(i): nn.Bilinear(2, 2, 2) for i in range(6)})
    with pytest.warns(ReachWarning, match="0 % of the weights; left out: .* and 3 more$"):
        warn_of_left_out("it", module, [])
