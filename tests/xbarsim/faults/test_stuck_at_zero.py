"""Stuck-at-0 faults: exact shares of every layer, each set of units as likely."""

import numpy as np
import pytest

from networks.adversarial_features import feature_network
from xbarsim.errors import InputError
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.rng import stream
from xbarsim.torch_bridge.stuck_at_zero import draw_masks
from xbarsim.training.loop import initialise


def test_masks_and_initial_weights_of_equal_seeds_are_not_alike():
    for seed in range(5):
        module = initialise(lambda: feature_network("fashion-mlp").build(), seed)
        masks = draw_masks(module, StuckAtZero(unit="weight", share=0.5), stream(seed, "faults"))
        for name, mask in masks.items():
            weight = module.get_parameter(f"{name}.weight").detach().numpy()
            for values in (weight, np.abs(weight), weight > 0):
                found = np.corrcoef(mask.ravel(), values.ravel())[0, 1]
                assert abs(found) < 4.5 / mask.size**0.5


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: StuckAtZero(unit="layer", share=0.1), "unit"),
        (lambda: StuckAtZero(unit="node", share={"a": 1.1}), "share"),
    ],
)
def test_nonsense_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()
