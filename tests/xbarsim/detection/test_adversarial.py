import numpy as np
import pytest
import torch
from torch import nn

from xbarsim.detection.adversarial import attack, fgsm, gradient_signs
from xbarsim.errors import InputError
from xbarsim.torch_bridge.threads import torch_threads


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
    step = {"epsilon": 0.1, "value_range": (0.0, 1.0)}
    original, adversarial = attack(module, *data, **step).pattern_sets(data[0], **step)
    assert (original.images == data[0]).all()
    assert (adversarial.images == fgsm(module, *data, **step)).all()
    for patterns in original, adversarial:
        with torch.no_grad():
            expected = module(torch.tensor(patterns.images)).double().numpy()
        np.testing.assert_allclose(patterns.logits, expected, rtol=1e-5, atol=1e-6)


def test_an_images_gradient_and_answers_do_not_depend_on_threads_or_on_other_images(module, data):
    images, labels = data
    step = {"epsilon": 0.1, "value_range": (0.0, 1.0)}
    whole = attack(module, images, labels, **step)
    for threads, chosen in ((1, [2]), (2, [20, 7, 9]), (3, list(range(29, -1, -1)))):
        with torch_threads(threads):
            some = attack(module, images[chosen], labels[chosen], **step)
        assert (some.signs == whole.signs[chosen]).all()
        assert (some.logits == whole.logits[chosen]).all()
        assert (some.attacked_logits == whole.attacked_logits[chosen]).all()


def test_a_digest_tells_attacks_apart(module, data):
    images, labels = data
    step = {"epsilon": 0.1, "value_range": (0.0, 1.0)}
    one, same = (attack(module, images, labels, **step) for _ in range(2))
    other = attack(module, images, (labels + 1) % 3, **step)
    assert one.digests == same.digests
    assert one.digests[0] == other.digests[0]  # the same images, the same answers
    assert one.digests[1] != other.digests[1]


def test_signs_are_those_of_the_gradient(module, data):
    x = torch.tensor(data[0], requires_grad=True)
    nn.functional.cross_entropy(module(x), torch.tensor(data[1]), reduction="sum").backward()
    near = x.grad.abs() < 1e-7
    assert ((torch.tensor(gradient_signs(module, *data)) == x.grad.sign()) | near).all()


def test_wrong_settings_are_refused(module, data):
    images, labels = data
    with pytest.raises(InputError, match="epsilon"):
        fgsm(module, images, labels, epsilon=0.0, value_range=(0.0, 1.0))
    with pytest.raises(InputError, match="labels"):
        fgsm(module, images, labels[:5], epsilon=0.1, value_range=(0.0, 1.0))
    with pytest.raises(InputError, match="labels"):
        fgsm(module, images[:0], labels[:0], epsilon=0.1, value_range=(0.0, 1.0))
