"""Perceptrons of any widths: ReLU between layers, none behind the last."""

import torch
from torch import nn

from networks.mlp import Mlp, digits_mlp


def test_scores_are_those_of_the_layers_by_hand():
    torch.manual_seed(0)
    module, x = Mlp((6, 5, 4, 3)), torch.randn(7, 2, 3)
    first, second, last = (m for m in module.layers if isinstance(m, nn.Linear))
    hidden = second(first(x.reshape(7, 6)).clamp(min=0)).clamp(min=0)
    assert torch.equal(module(x), last(hidden))
    assert (last(hidden) < 0).any(), "the scores have no ReLU"


def test_widths_by_name():
    for module, widths in ((Mlp(), [784, 500, 250, 10]), (digits_mlp(), [64, 64, 32, 10])):
        layers = [m for m in module.layers if isinstance(m, nn.Linear)]
        assert [layers[0].in_features, *(m.out_features for m in layers)] == widths
