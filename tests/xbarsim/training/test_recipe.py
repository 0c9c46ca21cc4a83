"""Recipes: schedules, losses, augmentation and gradients against their formulas."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.twins.crossbar import augmented_image
from xbarsim.errors import InputError
from xbarsim.training.loop import fit, initialise
from xbarsim.training.recipe import CROP_MARGIN, Recipe, augmented, loss_of


def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


def batch(count=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 3, 2, 2)).astype(np.float32), rng.integers(0, 3, count)


def rates_seen(recipe, images=20):
    """The learning rate of every step, as the optimizer had it."""
    seen = []
    module = initialise(small, 0)
    optimizers = []
    make = Recipe.make_optimizer

    def keep(self, of):
        optimizers.append(make(self, of))
        return optimizers[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recipe, "make_optimizer", keep)
        history = fit(
            module,
            *batch(images),
            recipe,
            seed=0,
            on_batch=lambda *_: seen.append(optimizers[0].param_groups[0]["lr"]),
        )
    assert [epoch.learning_rate for epoch in history] == seen[len(seen) // recipe.epochs - 1 :: 5]
    return seen


def test_cosine_is_that_of_pytorch():
    recipe = Recipe(epochs=4, batch_size=4, learning_rate=0.3, schedule="cosine", optimizer="sgd")
    optimizer = recipe.make_optimizer(small())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates_seen(recipe) == pytest.approx(expected, rel=1e-12)
    closed = [0.3 * (1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)]
    assert [recipe.rate_at(step, 5) for step in range(20)] == pytest.approx(closed, rel=1e-15)
    assert recipe.rate_at(20, 5) < 1e-16


def test_steps_come_after_whole_epochs():
    recipe = Recipe(
        epochs=7, batch_size=4, learning_rate=0.8, schedule="step", step_epochs=3, step_factor=0.5
    )
    assert rates_seen(recipe) == [0.8] * 15 + [0.4] * 15 + [0.2] * 5


def test_a_constant_rate_is_constant():
    assert rates_seen(Recipe(epochs=2, batch_size=4, learning_rate=0.01)) == [0.01] * 10


def test_squared_hinge_is_its_formula():
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(0, 2, (50, 7)), rng.integers(0, 7, 50)
    margins = [
        [max(0, 1 - (1 if c == target else -1) * score) ** 2 for c, score in enumerate(row)]
        for row, target in zip(scores, targets, strict=True)
    ]
    recipe = Recipe(epochs=1, loss="squared-hinge")
    found = loss_of(recipe, torch.from_numpy(scores), torch.from_numpy(targets))
    assert float(found) == pytest.approx(np.mean(margins), rel=1e-12)
    assert float(loss_of(recipe, torch.tensor([[1.0, -1.0]]), torch.tensor([0]))) == 0


def test_cross_entropy_and_soft_targets_are_their_formulas():
    rng = np.random.default_rng(1)
    scores, targets = rng.normal(0, 2, (50, 7)), rng.integers(0, 7, 50)
    shares = rng.dirichlet(np.ones(7), 50)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    hard, soft = Recipe(epochs=1), Recipe(epochs=1, loss="soft-targets")
    s, t = torch.from_numpy(scores), torch.from_numpy(targets)
    assert float(loss_of(hard, s, t)) == pytest.approx(-logs[np.arange(50), targets].mean(), rel=1e-12)
    assert float(loss_of(soft, s, torch.from_numpy(shares))) == pytest.approx(
        -(shares * logs).sum(axis=1).mean(), rel=1e-12
    )
    one_hot = nn.functional.one_hot(t, 7).double()
    assert float(loss_of(soft, s, one_hot)) == pytest.approx(float(loss_of(hard, s, t)), rel=1e-12)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared-hinge"])
def test_losses_of_bfloat16_scores_are_taken_in_single_precision(loss):
    scores, targets = torch.randn(8, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    recipe = Recipe(epochs=1, loss=loss)
    low = loss_of(recipe, scores.bfloat16(), targets)
    assert low.dtype == torch.float32
    assert torch.equal(low, loss_of(recipe, scores.bfloat16().float(), targets))


def test_soft_targets_train_like_the_classes_they_name():
    images, labels = batch(32)
    found = []
    for loss, y in (("cross-entropy", labels), ("soft-targets", np.eye(3, dtype=np.float32)[labels])):
        module = initialise(small, 0)
        fit(module, images, y, Recipe(epochs=2, batch_size=8, loss=loss), seed=1)
        found.append(module[1].weight.detach())
    assert torch.allclose(*found, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "labels"),
    [("soft-targets", np.zeros(8, np.int64)), ("cross-entropy", np.zeros((8, 3), np.float32))],
)
def test_labels_that_do_not_fit_the_loss_are_refused(loss, labels):
    with pytest.raises(InputError, match=f"labels.*for the loss '{loss}'"):
        fit(small(), batch()[0], labels, Recipe(epochs=1, loss=loss), seed=0)


@pytest.mark.parametrize("augment", ["flip", "crop-flip"])
@pytest.mark.parametrize("shape", [(30, 3, 8, 6), (30, 1, 5, 7)])
def test_augmentation_is_that_of_a_loop_over_images(augment, shape):
    images = torch.randn(shape)
    torch.manual_seed(7)
    found = augmented(Recipe(epochs=1, augment=augment), images)
    torch.manual_seed(7)
    mirrored = torch.rand(shape[0], 1)[:, 0] < 0.5
    margin, shift = 0, torch.zeros(2, shape[0], dtype=torch.int64)
    if augment == "crop-flip":
        margin, shift = CROP_MARGIN, torch.randint(0, 2 * CROP_MARGIN + 1, (2, shape[0], 1))[:, :, 0]
        assert shift.min() == 0 and shift.max() == 2 * CROP_MARGIN
    expected = [
        augmented_image(image.numpy(), bool(flip), int(down), int(across), margin)
        for image, flip, down, across in zip(images, mirrored, *shift, strict=True)
    ]
    assert found.shape == shape
    assert (found.numpy() == np.stack(expected)).all()
    assert 0 < mirrored.sum() < len(mirrored)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_no_augmentation_hands_the_images_on_and_draws_nothing():
    images = torch.randn(2, 3, 4, 4)
    state = torch.get_rng_state()
    assert augmented(Recipe(epochs=1), images) is images
    assert torch.equal(torch.get_rng_state(), state)


def test_augmentation_needs_images():
    flat = batch()[0].reshape(8, 12)
    with pytest.raises(InputError, match="augment: expected images"):
        fit(small(), flat, batch()[1], Recipe(epochs=1, augment="flip"), seed=0)


def test_gradients_are_cut_to_the_longest_that_a_step_takes():
    """One step of SGD with rate 1 moves the parameters by the gradient."""
    moves = {}
    for clip in (None, 0.05, 1e6):
        module = initialise(small, 0)
        before = nn.utils.parameters_to_vector(module.parameters()).detach().clone()
        recipe = Recipe(epochs=1, learning_rate=1.0, optimizer="sgd", clip_norm=clip)
        fit(module, *batch(), recipe, seed=0)
        moves[clip] = before - nn.utils.parameters_to_vector(module.parameters()).detach()
    assert moves[None].norm() > 0.1
    assert float(moves[0.05].norm()) == pytest.approx(0.05, rel=1e-3)
    assert torch.allclose(moves[0.05] / 0.05, moves[None] / moves[None].norm(), atol=1e-3)
    assert torch.equal(moves[1e6], moves[None])


def test_weight_decay_and_momentum_reach_the_optimizer():
    for optimizer in ("adam", "sgd"):
        recipe = Recipe(epochs=1, optimizer=optimizer, weight_decay=0.1, learning_rate=0.2)
        group = recipe.make_optimizer(small()).param_groups[0]
        assert (group["weight_decay"], group["lr"]) == (0.1, 0.2)
        assert group.get("momentum") == (0.9 if optimizer == "sgd" else None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 1.5}, {"batch_size": -1}, {"learning_rate": float("nan")}, {"learning_rate": 2e3},
        {"weight_decay": -1}, {"step_epochs": 0}, {"step_factor": 2}, {"clip_norm": 0}, {"clip_norm": -1},
        {"optimizer": "lamb"}, {"schedule": "cos"}, {"loss": "hinge"}, {"augment": "cut"},
        {"precision": "fp16"}, {"threads": 0},
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"^{name}:"):
        Recipe(**{"epochs": 1, **wrong})


def test_bf16_trains_and_keeps_parameters_in_single_precision():
    module = initialise(small, 0)
    images, labels = batch(64)
    recipe = Recipe(epochs=3, batch_size=16, learning_rate=0.05, precision="bf16")
    losses = [epoch.loss for epoch in fit(module, images, labels, recipe, seed=0)]
    assert losses[-1] < losses[0]
    assert {p.dtype for p in module.parameters()} == {torch.float32}
