"""Algorithm 1's patterns: how they are made, and training on them."""

import numpy as np
import pytest
import torch

from tests.helpers.spiking_trainings import NASF, RECIPE, UNIVERSE, build, digits
from xbarsim.errors import InputError
from xbarsim.training.loop import fit, initialise
from xbarsim.training.recipe import Recipe
from xbarsim.training.spiking_patterns import RULES, PatternSettings, PatternTraining, make_patterns


@pytest.fixture(scope="module")
def trained():
    module = initialise(build, 0)
    fit(module, *digits(), Recipe(epochs=15, batch_size=32, learning_rate=3e-3), seed=0)
    return module


@pytest.mark.parametrize("rule", RULES)
def test_patterns_differ_and_images_move_by_the_rule(trained, rule):
    x, y = (torch.as_tensor(part[:800]) for part in digits())
    faults = UNIVERSE.sample(NASF, 0.1, np.random.default_rng(2))
    settings = PatternSettings(rule=rule, rounds=3)
    torch.manual_seed(0)
    patterns, labels = make_patterns(trained, faults, x, y, settings)
    assert 0 < len(patterns) == len(labels) < 800
    assert patterns.min() >= 0 and patterns.max() <= 1
    distance = (patterns[:, None] - x[None]).abs().amax(dim=(2, 3, 4)).amin(1)
    if rule != "paper":  # whose steps are not of length epsilon
        assert (distance > 0.05).all() and (distance <= 0.2 + 1e-6).all()
    torch.manual_seed(1)
    trained.set_faults(None)
    healthy = torch.stack([trained(patterns) for _ in range(20)]).argmax(2)
    trained.set_faults(faults)
    faulty = torch.stack([trained(patterns) for _ in range(20)]).argmax(2)
    trained.set_faults(None)
    assert (healthy != faulty).float().mean() > 0.5
    assert (healthy.mode(0).values == labels).float().mean() > 0.6


def test_options_of_patterns_do_what_they_say(trained):
    x, y = (torch.as_tensor(part[:200]) for part in digits())
    faults = UNIVERSE.sample(NASF, 0.15, np.random.default_rng(2))

    def made(**more):
        torch.manual_seed(0)
        return make_patterns(trained, faults, x, y, PatternSettings(rounds=1, **more))

    dropped, kept = made(), made(drop_differing=False)
    assert len(dropped[0]) == 0 < len(kept[0])
    assert all((pattern == x).all(dim=(1, 2, 3)).any() for pattern in kept[0])
    everything = made(drop_differing=False, right_only=False, needed=1)
    assert len(everything[0]) > len(kept[0])


def test_the_directions_are_those_of_the_gradients(trained):
    from xbarsim.training.spiking_patterns import _direction

    x = torch.as_tensor(digits()[0][:20])
    faults = UNIVERSE.sample(NASF, 0.1, np.random.default_rng(2))

    def loss(healthy, faulty):
        trained.set_faults(None)
        first = trained(healthy)
        trained.set_faults(faults)
        return (trained(faulty) - first).square().sum()

    leaves = x.clone().requires_grad_(), x.clone().requires_grad_()
    torch.manual_seed(4)
    ff, ft = torch.autograd.grad(loss(*leaves), leaves)
    expected = {"code": (ff - ft).sign(), "paper": ft - ff, "sum": (ff + ft).sign()}
    for rule, direction in expected.items():
        torch.manual_seed(4)
        assert torch.equal(_direction(trained, faults, x, rule), direction)
    random = _direction(trained, faults, x, "random")
    assert set(random.unique().tolist()) == {-1.0, 1.0} and abs(float(random.mean())) < 0.15
    trained.set_faults(None)


def pattern_training(loss="both", **more):
    settings = PatternSettings(rounds=4, most=30, batch_size=32, **more)
    return PatternTraining(UNIVERSE, NASF, 0.1, *digits(), settings=settings, loss=loss)


def test_patterns_grow_by_the_epoch_and_are_trained_on():
    module, method, sizes = initialise(build, 0), pattern_training(), []
    steps = []
    fit(
        module, *digits(), RECIPE, seed=0, methods=[method],
        on_epoch=lambda history: sizes.append(len(method.patterns)),
        on_batch=lambda done, total, loss: steps.append(done),
    )  # fmt: skip
    assert sizes[0] == 0 and all(0 < n <= 30 for n in np.diff(sizes))
    assert len(method.pattern_labels) == sizes[-1]
    assert len(steps) == sum(-(-(600 + n) // 32) for n in sizes)


@pytest.mark.parametrize("stopped", [1, 2, 3])
def test_a_resumed_training_ends_in_the_same_weights_and_patterns(tmp_path, stopped):
    whole, method = initialise(build, 0), pattern_training()
    fit(whole, *digits(), RECIPE, seed=0, methods=[method])

    class StopError(Exception):
        pass

    def stop(history):
        if len(history) == stopped:
            raise StopError

    again = pattern_training()
    for on_epoch in (stop, None):
        module, again = initialise(build, 0), pattern_training()
        try:
            fit(module, *digits(), RECIPE, seed=0, methods=[again], resume=tmp_path / "a", on_epoch=on_epoch)
        except StopError:
            continue
    assert all(torch.equal(a, b) for a, b in zip(whole.weights, module.weights, strict=True))
    assert torch.equal(method.patterns, again.patterns)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: PatternSettings(rule="up"), "rule"),
        (lambda: PatternSettings(needed=6), "needed"),
        (lambda: PatternTraining(UNIVERSE, NASF, 0.1, np.zeros((0, 64)), np.zeros(0)), "at least one"),
    ],
)
def test_nonsense_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()
