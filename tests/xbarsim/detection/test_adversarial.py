import numpy as np
import pytest
import torch
from torch import nn

from xbarsim.detection.adversarial import fgsm, pattern_sets
from xbarsim.errors import InputError


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((30, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, 30)


def test_fgsm_steps_by_epsilon_along_the_sign_of_the_gradient(module, data):
    images, labels = data
    attacked = fgsm(module, images, labels, epsilon=0.01, value_range=(-10.0, 10.0))
    step = attacked - images
    for n in range(3):
        x = images[n].astype(np.float64)
        for place in np.ndindex(x.shape):
            losses = []
            for sign in (1, -1):
                moved = x.copy()
                moved[place] += sign * 1e-5
                logits = module.double()(torch.tensor(moved[None]))
                losses.append(nn.functional.cross_entropy(logits, torch.tensor(labels[n : n + 1])).item())
            if abs(losses[0] - losses[1]) > 1e-9:
                assert step[n][place] == pytest.approx(0.01 * np.sign(losses[0] - losses[1]), abs=1e-6)
    module.float()


def test_fgsm_stays_among_valid_images(module, data):
    attacked = fgsm(module, *data, epsilon=0.9, value_range=(0.0, 1.0))
    assert attacked.min() == 0.0
    assert attacked.max() == 1.0


def test_patterns_of_both_sets_carry_the_float_networks_answers(module, data):
    for patterns in pattern_sets(module, *data, epsilon=0.1, value_range=(0.0, 1.0)):
        with torch.no_grad():
            assert (patterns.logits == module(torch.tensor(patterns.images)).double().numpy()).all()


def test_wrong_settings_are_refused(module, data):
    images, labels = data
    with pytest.raises(InputError, match="epsilon"):
        fgsm(module, images, labels, epsilon=0.0, value_range=(0.0, 1.0))
    with pytest.raises(InputError, match="labels"):
        fgsm(module, images, labels[:5], epsilon=0.1, value_range=(0.0, 1.0))
    with pytest.raises(InputError, match="labels"):
        fgsm(module, images[:0], labels[:0], epsilon=0.1, value_range=(0.0, 1.0))
