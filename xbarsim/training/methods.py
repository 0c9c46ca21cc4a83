"""What a training method may do at each turn of the loop; `fit` takes any number of them.

A method draws from torch's global generator, or from the numpy one that it is handed: both are seeded anew
for every epoch, so that a resumed training draws what an uninterrupted one does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class TrainingMethod:
    """All turns; a method overrides those that it needs."""

    def describe(self) -> str:
        """The method with all settings that change a training: a resumed one has to have the same."""
        return type(self).__name__

    def before_epoch(self, module: nn.Module, epoch: int, rng: np.random.Generator) -> None:
        """An epoch begins."""

    def before_batch(self, module: nn.Module, rng: np.random.Generator) -> None:
        """The weights are about to be used."""

    def extra_data(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Images and labels to train on in this epoch beside the data, mixed with them."""

    def extra_loss(
        self, module: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: LossFunction
    ) -> torch.Tensor | None:
        """Something to add to the loss of a batch, which is augmented as it was shown; after its scores."""

    def after_backward(self, module: nn.Module) -> None:
        """The gradients are there, the step is not taken."""

    def after_step(self, module: nn.Module) -> None:
        """The weights have changed."""

    def after_training(self, module: nn.Module) -> None:
        """The last epoch is over, or the training failed: leave the module as it should stay."""

    def state(self) -> Mapping[str, torch.Tensor]:
        """Tensors to keep, so that a resumed training goes on as if nothing had happened."""
        return {}

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take back what `state` gave."""
