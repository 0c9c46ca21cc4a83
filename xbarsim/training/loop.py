"""The training loop: plain, seeded, the whole data set on the device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from xbarsim.checks import InputError, check_choice, check_int, check_positive

Array = np.ndarray | torch.Tensor
MAX_LEARNING_RATE = 1e3


def initialise(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a module with initial weights that only `seed` decides; the global generator is left alone."""
    check_int("seed", seed, 0, 2**63 - 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def fit(
    module: nn.Module,
    images: Array,
    labels: Array,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    optimizer: str = "adam",
    weight_decay: float = 0.0,
    schedule: str = "constant",
    after_step: Callable[[], None] | None = None,
    on_batch: Callable[[int, int, float], None] | None = None,
    device: str | torch.device = "cpu",
) -> list[float]:
    """Train a module in place with cross entropy.

    Parameters
    ----------
    images, labels : (N, ...) floats and (N,) classes
    optimizer : 'adam' or 'sgd' (momentum 0.9)
    schedule : 'constant' or 'cosine', which falls to 0 over all steps
    after_step : called after every step, for projections
    on_batch : called with batches done, batches in all, loss

    Returns
    -------
    Mean loss of every epoch.

    Raises
    ------
    InputError : no data, settings out of range, a loss that is not finite.
    """
    check_int("epochs", epochs, 0, 10**6)
    check_int("batch_size", batch_size, 1, 10**6)
    if check_positive("learning_rate", learning_rate) > MAX_LEARNING_RATE:
        raise InputError("learning_rate", f"at most {MAX_LEARNING_RATE:g}", learning_rate, "try 1e-3")
    dtype = next(module.parameters()).dtype
    x, y = torch.as_tensor(images).to(device, dtype), torch.as_tensor(labels).to(device)
    if len(x) == 0 or len(x) != len(y):
        raise InputError("training data", "one label an image, at least one image", f"{len(x)} and {len(y)}")
    module.to(device).train()
    steps = epochs * -(-len(x) // batch_size)
    optimiser = _optimizer(module, optimizer, learning_rate, weight_decay)
    check_choice("schedule", schedule, ("constant", "cosine"))
    rates = (
        torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps)) if schedule == "cosine" else None
    )
    shuffle = torch.Generator().manual_seed(seed)
    losses, done = [], 0
    for _ in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(x), generator=shuffle).to(device).split(batch_size):
            value = _step(module, optimiser, x[batch], y[batch])
            if rates is not None:
                rates.step()
            if after_step is not None:
                after_step()
            total, done = total + value * len(batch), done + 1
            if on_batch is not None:
                on_batch(done, steps, value)
        losses.append(total / len(x))
    module.eval()
    return losses


def _step(module: nn.Module, optimiser: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> float:
    optimiser.zero_grad(set_to_none=True)
    loss = F.cross_entropy(module(x), y)
    loss.backward()
    value = float(loss.detach())
    if not np.isfinite(value):
        raise InputError("training loss", "a finite number", value, "lower the learning rate")
    optimiser.step()
    return value


@torch.no_grad()
def accuracy(module: nn.Module, images: Array, labels: Array, *, batch_size: int = 1000) -> tuple[int, int]:
    """Right predictions of a module in eval mode, and how many images there were."""
    module.eval()
    first = next(module.parameters())
    x, y = torch.as_tensor(images), torch.as_tensor(labels)
    right = 0
    for images_part, labels_part in zip(x.split(batch_size), y.split(batch_size), strict=True):
        predictions = module(images_part.to(first.device, first.dtype)).argmax(dim=1).cpu()
        right += int((predictions == labels_part).sum())
    return right, len(y)


def _optimizer(module: nn.Module, name: str, rate: float, decay: float) -> torch.optim.Optimizer:
    check_choice("optimizer", name, ("adam", "sgd"))
    if name == "sgd":
        return torch.optim.SGD(module.parameters(), rate, momentum=0.9, weight_decay=decay)
    return torch.optim.Adam(module.parameters(), rate, weight_decay=decay)
