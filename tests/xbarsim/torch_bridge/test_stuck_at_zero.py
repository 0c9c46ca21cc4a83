"""Stuck-at-0 faults in a module: they silence their units, and the module is healed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from networks.adversarial_features import feature_network
from xbarsim.errors import InputError
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.torch_bridge.stuck_at_zero import draw_masks, faulty_shapes, stuck
from xbarsim.training.loop import initialise


@pytest.mark.parametrize("unit", ["weight", "filter", "node"])
def test_masks_silence_their_units_and_nothing_else(unit):
    module = initialise(lambda: feature_network("fashion-cnn").build(bias=True), 0).eval()
    x, before = torch.rand(3, 1, 28, 28), copy.deepcopy(module.state_dict())
    faults = StuckAtZero(unit=unit, share=0.3)
    masks = draw_masks(module, faults, np.random.default_rng(1))
    layers = dict(module.named_modules())
    seen = {}
    for name in masks:
        layers[name].register_forward_hook(
            lambda layer, inputs, output, name=name: seen.__setitem__(name, output)
        )
    healthy = module(x)
    hooks = len(layers["classifier.1"]._forward_hooks)
    with stuck(module, faults, masks):
        faulty = module(x)
        for name, mask in masks.items():
            works = torch.from_numpy(mask)
            assert abs(int((~works).sum()) - 0.3 * works.numel()) <= 0.5
            weight = layers[name].weight
            if unit == "weight":
                assert torch.equal(weight, before[f"{name}.weight"] * works)
            elif unit == "filter":
                assert (weight[~works] == 0).all() and (layers[name].bias[~works] == 0).all()
                assert torch.equal(weight[works], before[f"{name}.weight"][works])
    assert not torch.equal(faulty, healthy)
    assert all(torch.equal(a, before[n]) for n, a in module.state_dict().items())
    assert torch.equal(module(x), healthy)
    assert len(layers["classifier.1"]._forward_hooks) == hooks
    if unit == "node":
        assert list(masks) == ["classifier.1"]
        hidden = layers["classifier.1"]
        inputs = module.extractor(x)
        with stuck(module, faults, masks):
            out = hidden(inputs)
        assert (out[:, ~torch.from_numpy(masks["classifier.1"])] == 0).all()


def test_a_share_by_layer_leaves_the_others_alone():
    module = feature_network("fashion-mlp").build()
    names = list(faulty_shapes(module, "node"))
    masks = draw_masks(module, StuckAtZero(unit="node", share={names[1]: 0.5}), np.random.default_rng(0))
    assert [int((~mask).sum()) for mask in masks.values()] == [0, 512, 0]
    with pytest.raises(InputError, match="layers of"):
        draw_masks(module, StuckAtZero(unit="node", share={"fc": 0.5}), np.random.default_rng(0))


def masks_of_another():
    with stuck(nn.Linear(3, 2), StuckAtZero(unit="weight", share=0.5), {"fc": np.ones((2, 3), bool)}):
        pass


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: faulty_shapes(nn.Sequential(nn.Linear(3, 2)), "filter"), "layers with a filter"),
        (lambda: faulty_shapes(nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()), "node"), "0 at 0"),
        (lambda: masks_of_another(), "draw them for this module"),
    ],
)
def test_nonsense_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()
