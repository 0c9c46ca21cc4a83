"""The turns that the loop gives to a method: when, how often, and that doing nothing changes nothing."""

import numpy as np
import torch

from networks.mlp import Mlp
from xbarsim.training.loop import fit, initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe

RECIPE = Recipe(epochs=2, batch_size=8, learning_rate=0.01)
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.random((20, 6), np.float32), RNG.integers(0, 3, 20)


class Watched(TrainingMethod):
    """Notes every turn, adds four images to each epoch and a term to each loss."""

    def __init__(self, extra=True):
        self.turns, self.extra = [], extra

    def before_epoch(self, module, epoch, rng):
        self.turns.append(f"epoch {epoch}")

    def before_batch(self, module, rng):
        self.turns.append("batch")

    def extra_data(self):
        return (torch.zeros(4, 6), torch.zeros(4, dtype=torch.long)) if self.extra else None

    def extra_loss(self, module, x, y, loss):
        self.turns.append(f"loss of {len(x)}")
        return loss(module(x), y) if self.extra else None

    def after_backward(self, module):
        assert all(p.grad is not None for p in module.parameters())
        self.turns.append("backward")

    def after_step(self, module):
        self.turns.append("step")

    def after_training(self, module):
        self.turns.append("end")


def trained(*methods):
    module = initialise(lambda: Mlp((6, 5, 3)), 0)
    fit(module, IMAGES, LABELS, RECIPE, seed=0, methods=methods)
    return [p.detach().numpy().copy() for p in module.parameters()]


def test_turns_come_in_order_for_every_batch_of_every_epoch():
    watched = Watched(extra=False)
    trained(watched)
    batch = [["batch", f"loss of {n}", "backward", "step"] for n in (8, 8, 4)]
    epoch = [turn for turns in batch for turn in turns]
    assert watched.turns == ["epoch 0", *epoch, "epoch 1", *epoch, "end"]


def test_extra_data_are_trained_on_in_the_same_epoch():
    watched = Watched()
    trained(watched)
    sizes = [int(turn.split()[-1]) for turn in watched.turns if turn.startswith("loss")]
    assert sum(sizes) == RECIPE.epochs * (len(IMAGES) + 4)


def test_a_method_that_does_nothing_changes_nothing_and_one_that_does_changes_weights():
    plain, idle, busy = trained(), trained(TrainingMethod()), trained(Watched())
    assert all((a == b).all() for a, b in zip(plain, idle, strict=True))
    assert any((a != b).any() for a, b in zip(plain, busy, strict=True))


def test_a_method_without_memory_keeps_none():
    method = TrainingMethod()
    assert method.describe() == "TrainingMethod" and dict(method.state()) == {}
    method.load_state({})
