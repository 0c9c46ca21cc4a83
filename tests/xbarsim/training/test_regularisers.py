"""Rivals of adversarial features: penalties, and plain injection of faults."""

import pytest
import torch
from torch import nn

from networks.datasets import load_dataset
from xbarsim.errors import InputError
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.training.loop import fit, initialise
from xbarsim.training.recipe import Recipe
from xbarsim.training.regularisers import Penalty, StuckAtZeroTraining


def digits(count=300):
    data = load_dataset("digits", "train", limit=count)
    return data.images, data.labels


@pytest.mark.parametrize("unit", ["weight", "node"])
def test_injection_trains_under_masks_and_heals(unit):
    module = initialise(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10)), 0
    )
    x, y = digits()
    seen = []

    class Watch(StuckAtZeroTraining):
        def after_backward(self, layer):
            seen.append(layer[1].weight.detach().clone())
            super().after_backward(layer)
            stuck_weights = ~torch.from_numpy(self._masks["1"]) if unit == "weight" else None
            if stuck_weights is not None:
                assert (layer[1].weight.grad[stuck_weights] == 0).all()
                assert (seen[-1][stuck_weights] == 0).all()

    fit(module, x, y, Recipe(epochs=2), seed=0, methods=[Watch(StuckAtZero(unit=unit, share=0.4))])
    assert (module[1].weight != 0).all() and not module[1]._forward_hooks
    zeros = [float((w == 0).float().mean()) for w in seen]
    assert zeros == pytest.approx([0.4 if unit == "weight" else 0] * len(zeros), abs=1e-3)


@pytest.mark.parametrize("kind", ["lasso", "tikhonov"])
def test_penalties_are_those_of_the_equations(kind):
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10), nn.LayerNorm(10))
    found = Penalty(kind, 0.25).extra_loss(module, None, None, None)
    flat = torch.cat([module[0].weight.flatten(), module[2].weight.flatten()])
    assert found.item() == pytest.approx(0.25 * (flat.abs() if kind == "lasso" else flat**2).sum().item())
    heavy = initialise(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 0)
    fit(heavy, *digits(), Recipe(epochs=5, learning_rate=1e-2), seed=0, methods=[Penalty(kind, 0.1)])
    plain = initialise(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 0)
    fit(plain, *digits(), Recipe(epochs=5, learning_rate=1e-2), seed=0)
    assert heavy[1].weight.abs().mean() < 0.5 * plain[1].weight.abs().mean()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: Penalty("l3", 0.1), "penalty"),
        (lambda: Penalty("lasso", 0.1).extra_loss(nn.ReLU(), None, None, None), "linear or convolution"),
    ],
)
def test_nonsense_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()
