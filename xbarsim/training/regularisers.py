"""Rivals of adversarial features: Lasso, Tikhonov, and plain injection of faults while training.

Dropout of the nodes is `torch_bridge.injection.with_dropout2d` on a fully connected network.

Source: the adversarial-features paper (see "Sources" in docs/architecture.md), Eqs. 9 and 10.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Literal

import numpy as np
import torch
from torch import nn

from xbarsim.errors import InputError, check_choice, check_number
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.torch_bridge.stuck_at_zero import LAYERS, Masks, draw_masks, mask_gradients, stuck
from xbarsim.training.methods import LossFunction, TrainingMethod

PENALTIES = ("lasso", "tikhonov")


class Penalty(TrainingMethod):
    """Lasso adds `strength` times the sum of |w| to the loss (Eq. 9), Tikhonov that of w^2 (Eq. 10).

    Weights are those of linear and convolution layers; biases and batch norms are left out.
    """

    def __init__(self, kind: Literal["lasso", "tikhonov"], strength: float) -> None:
        self.kind = check_choice("penalty", kind, PENALTIES)
        self.strength = check_number("strength", strength, 0, 1e6)

    def describe(self) -> str:
        """Kind and strength."""
        return f"{self.kind} {self.strength:g}"

    def extra_loss(
        self, module: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: LossFunction
    ) -> torch.Tensor | None:
        """The penalty of the weights."""
        weights = [layer.weight for layer in module.modules() if isinstance(layer, LAYERS)]
        if not weights:
            raise InputError(f"module {type(module).__name__}", "linear or convolution layers", "none")
        size = torch.Tensor.abs if self.kind == "lasso" else torch.Tensor.square
        return self.strength * torch.stack([size(w).sum() for w in weights]).sum()


class StuckAtZeroTraining(TrainingMethod):
    """Plain fault injection: every batch meets other units that are stuck at 0; nothing is scaled."""

    def __init__(self, faults: StuckAtZero) -> None:
        self.faults = faults
        self._faulty = ExitStack()
        self._masks: Masks = {}

    def describe(self) -> str:
        """The faults."""
        return f"StuckAtZeroTraining({self.faults})"

    def before_batch(self, module: nn.Module, rng: np.random.Generator) -> None:
        """Draw the faults."""
        self._masks = draw_masks(module, self.faults, rng)
        self._faulty.enter_context(stuck(module, self.faults, self._masks))

    def after_backward(self, module: nn.Module) -> None:
        """Heal the network under its gradients."""
        self._faulty.close()
        mask_gradients(module, self.faults, self._masks)

    def after_training(self, module: nn.Module) -> None:
        """Heal it, also after an error."""
        self._faulty.close()
