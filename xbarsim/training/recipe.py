"""How a network is trained: optimizer, schedule, loss, augmentation, precision, in one record."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from xbarsim.errors import InputError, check_choice, check_int, check_number, check_positive
from xbarsim.hints import check_fields

MAX_LEARNING_RATE = 1e3
MOST_THREADS = 1024
CROP_MARGIN = 4
MOMENTUM = 0.9
OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("constant", "cosine", "step")
LOSSES = ("cross-entropy", "squared-hinge", "soft-targets")
AUGMENTATIONS = ("none", "flip", "crop-flip")
PRECISIONS = ("float32", "bf16")
IGNORED = -100  # a target that is none, as in PyTorch


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training.

    Parameters
    ----------
    optimizer : 'adam', or 'sgd' with momentum 0.9
    schedule : 'constant', 'cosine' (falls to 0 over all steps), 'step' (times `step_factor` every
        `step_epochs` epochs)
    loss : 'cross-entropy', 'squared-hinge' (one class against the rest, margin 1), 'soft-targets' (cross
        entropy to given probabilities, as for distillation)
    augment : 'none', 'flip' (left and right), 'crop-flip' (and shifts of up to 4 pixels, zeros behind them)
    clip_norm : longest gradient that a step takes, over all parameters; None takes any
    precision : 'float32', or 'bf16' where autocast chooses it; faster on processors with bf16 units only
    threads : of the processor. A setting and not the machine's number, since with another one sums round
        otherwise and other weights come out

    Raises
    ------
    InputError : a setting out of range.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "step"] = "constant"
    step_epochs: int = 40
    step_factor: float = 0.5
    loss: Literal["cross-entropy", "squared-hinge", "soft-targets"] = "cross-entropy"
    augment: Literal["none", "flip", "crop-flip"] = "none"
    clip_norm: float | None = None
    precision: Literal["float32", "bf16"] = "float32"
    threads: int = 1

    def __post_init__(self) -> None:
        check_int("epochs", self.epochs, 0, 10**6)
        check_int("batch_size", self.batch_size, 1, 10**6)
        if check_positive("learning_rate", self.learning_rate) > MAX_LEARNING_RATE:
            raise InputError(
                "learning_rate", f"at most {MAX_LEARNING_RATE:g}", self.learning_rate, "try 1e-3"
            )
        check_int("threads", self.threads, 1, MOST_THREADS)
        check_number("weight_decay", self.weight_decay, 0, 1e3)
        check_int("step_epochs", self.step_epochs, 1, 10**6)
        check_number("step_factor", self.step_factor, 0, 1)
        if self.clip_norm is not None:
            check_positive("clip_norm", self.clip_norm)
        known = zip(
            ("optimizer", "schedule", "loss", "augment", "precision"),
            (OPTIMIZERS, SCHEDULES, LOSSES, AUGMENTATIONS, PRECISIONS),
            strict=True,
        )
        for name, choices in known:
            check_choice(name, getattr(self, name), choices)
        check_fields(self)

    def rate_at(self, step: int, steps_an_epoch: int) -> float:
        """The learning rate of a step.

        >>> recipe = Recipe(epochs=4, learning_rate=1.0, schedule="cosine")
        >>> [round(recipe.rate_at(s, 1), 3) for s in range(4)]
        [1.0, 0.854, 0.5, 0.146]
        """
        if self.schedule == "cosine":
            return self.learning_rate * (1 + cos(pi * step / max(1, self.epochs * steps_an_epoch))) / 2
        if self.schedule == "step":
            return self.learning_rate * self.step_factor ** (step // (self.step_epochs * steps_an_epoch))
        return self.learning_rate

    def make_optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a module's parameters."""
        if self.optimizer == "sgd":
            rate, decay = self.learning_rate, self.weight_decay
            return torch.optim.SGD(module.parameters(), rate, MOMENTUM, weight_decay=decay)
        return torch.optim.Adam(module.parameters(), self.learning_rate, weight_decay=self.weight_decay)


def loss_of(recipe: Recipe, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean loss of scores; targets are classes, or (N, classes) probabilities for 'soft-targets'.

    Scores are (N, classes), or as `rows_of_classes` takes them; targets of -100 count nothing.
    """
    scores = scores.float() if scores.dtype == torch.bfloat16 else scores
    if recipe.loss != "soft-targets":
        scores, targets = rows_of_classes(scores, targets)
    if recipe.loss == "squared-hinge":
        scores, targets = scores[targets != IGNORED], targets[targets != IGNORED]
        signs = 2 * F.one_hot(targets, scores.shape[1]).to(scores.dtype) - 1
        return F.relu(1 - signs * scores).square().mean()
    return F.cross_entropy(scores, targets)


def rows_of_classes(scores: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores (rows, classes) and classes (rows,) of any scores that have one axis more than the targets.

    Parameters
    ----------
    scores : (N, classes); (N, classes, ...), as of the pixels of images; (N, ..., classes), as of the tokens
        of texts

    Raises
    ------
    InputError : targets that are no integers, other shapes, ones that fit both ways.
    """
    if targets.is_floating_point() or targets.dtype == torch.bool:
        remedy = "hand in a loss for others: loss=torch.nn.functional.mse_loss"
        raise InputError("labels", "classes, as integers", str(targets.dtype), remedy)
    if scores.ndim == 2 and targets.ndim == 1:
        return scores, targets
    behind = scores.ndim > 1 and scores.shape[:-1] == targets.shape
    second = scores.ndim > 1 and (scores.shape[0], *scores.shape[2:]) == tuple(targets.shape)
    if not behind and not second:
        expected = f"scores with an axis of classes more than labels {tuple(targets.shape)}"
        raise InputError("module", expected, str(tuple(scores.shape)), "or hand in a loss")
    if behind and second and scores.ndim > 2:
        got = f"{tuple(scores.shape)}, which may be the second or the last"
        raise InputError("module", "scores with one axis of classes", got, "hand in a loss")
    rows = scores if behind else scores.movedim(1, -1)
    return rows.reshape(-1, rows.shape[-1]), targets.reshape(-1)


def augmented(recipe: Recipe, images: torch.Tensor) -> torch.Tensor:
    """A batch (N, C, H, W), shifted and mirrored at random, by torch's global generator."""
    if recipe.augment == "none":
        return images
    n, _, height, width = images.shape
    mirrored = torch.rand(n, 1, device="cpu") < 0.5
    columns = torch.arange(width).expand(n, width)
    columns = torch.where(mirrored, width - 1 - columns, columns)
    rows = torch.arange(height).expand(n, height)
    if recipe.augment == "crop-flip":
        images = F.pad(images, (CROP_MARGIN,) * 4)
        shift = torch.randint(0, 2 * CROP_MARGIN + 1, (2, n, 1))
        rows, columns = rows + shift[0], columns + shift[1]
    at = torch.arange(n)[:, None, None]
    # the indexed axes come first, channels last: a view in PyTorch's order of the layout convolutions like
    return images.permute(0, 2, 3, 1)[at, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
