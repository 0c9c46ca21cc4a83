"""Every layer loses its share of units, each set as likely."""

import numpy as np
import pytest
from scipy import stats

from networks.adversarial_features import feature_network
from xbarsim.errors import InputError
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.rng import stream
from xbarsim.torch_bridge.stuck_at_zero import draw_masks
from xbarsim.training.loop import initialise


@pytest.mark.parametrize(
    ("share", "size", "lost"), [(0.0, 7, 0), (0.1, 10, 1), (0.25, 10, 3), (0.04, 10, 0), (1.0, 6, 6)]
)
def test_the_share_is_rounded_to_whole_units(share, size, lost):
    masks = StuckAtZero(unit="filter", share=share).draw({"conv": (size,)}, np.random.default_rng(0))
    assert masks["conv"].shape == (size,) and (~masks["conv"]).sum() == lost


def test_layers_have_shares_of_their_own_by_name():
    faults = StuckAtZero(unit="weight", share={"fc1": 0.5})
    masks = faults.draw({"fc1": (4, 6), "fc2": (3, 4)}, np.random.default_rng(0))
    assert masks["fc1"].shape == (4, 6) and (~masks["fc1"]).sum() == 12
    assert masks["fc2"].all() and masks["fc2"].shape == (3, 4)
    assert faults.share_of("fc1") == 0.5 and faults.share_of("fc2") == 0


def test_every_unit_is_as_likely():
    faults, rng, count = StuckAtZero(unit="node", share=0.25), np.random.default_rng(0), np.zeros(8)
    for _ in range(2000):
        count += ~faults.draw({"fc": (8,)}, rng)["fc"]
    assert count.sum() == 2 * 2000
    assert stats.chisquare(count).pvalue > 1e-4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"unit": "synapse", "share": 0.1}, "unit: expected one of filter, node, weight"),
        ({"unit": "node", "share": 1.2}, "share"),
        ({"unit": "node", "share": {"fc1": -0.1}}, "share"),
        ({"unit": "node", "share": float("nan")}, "share"),
    ],
)
def test_nonsense_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        StuckAtZero(**arguments)


def test_a_layer_that_is_not_there_is_named():
    with pytest.raises(InputError, match="share: expected layers of fc1, got fc9"):
        StuckAtZero(unit="node", share={"fc9": 0.1}).draw({"fc1": (4,)}, np.random.default_rng(0))


def test_masks_and_initial_weights_of_equal_seeds_are_not_alike():
    for seed in range(5):
        module = initialise(lambda: feature_network("fashion-mlp").build(), seed)
        masks = draw_masks(module, StuckAtZero(unit="weight", share=0.5), stream(seed, "faults"))
        for name, mask in masks.items():
            weight = module.get_parameter(f"{name}.weight").detach().numpy()
            for values in (weight, np.abs(weight), weight > 0):
                found = np.corrcoef(mask.ravel(), values.ravel())[0, 1]
                assert abs(found) < 4.5 / mask.size**0.5
