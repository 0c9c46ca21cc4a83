"""The training loop: seeded, the whole data set on the device, resumable after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from xbarsim.arrays import REALS, check_array, check_labels, writable
from xbarsim.errors import InputError, check_int, check_type
from xbarsim.hints import checked
from xbarsim.rng import stream
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe, augmented, loss_of
from xbarsim.training.resume import Epoch, Part, StateFile, about_training

Array = np.ndarray | torch.Tensor
OnBatch = Callable[[int, int, float], None]
OnEpoch = Callable[[Sequence[Epoch]], None]


@checked
def initialise(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a module with initial weights that only `seed` decides; the global generator is left alone."""
    check_int("seed", seed, 0, 2**63 - 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = build()
    check_type("what build returns", built, nn.Module)
    return built


@checked
def fit(
    module: nn.Module,
    images: Array,
    labels: Array,
    recipe: Recipe,
    *,
    seed: int,
    methods: Sequence[TrainingMethod] = (),
    resume: str | Path | None = None,
    on_batch: OnBatch | None = None,
    on_epoch: OnEpoch | None = None,
    device: str | torch.device = "cpu",
) -> list[Epoch]:
    """Train a module in place.

    Parameters
    ----------
    images, labels : (N, ...) floats and (N,) classes; (N, classes) probabilities for 'soft-targets'
    seed : decides the order of the images and everything that is drawn
    methods : fault-tolerant training, pruning, projections; called in this order
    resume : file that is written after every epoch; if it is there, the training goes on from it, and ends
        in the same weights as one that was never interrupted
    on_batch : called with batches done, batches in all, loss
    on_epoch : called with all epochs so far after every epoch

    Returns
    -------
    Every epoch.

    Raises
    ------
    InputError : no data, a device that is not there, a loss that is not finite, a `resume` file of another
        training; the file of the last good epoch stays.
    """
    check_int("seed", seed, 0, 2**63 - 1)
    x, y = _on_device(module, images, labels, recipe, device)
    optimizer = recipe.make_optimizer(module)
    kept = None
    if resume is not None:
        parts: dict[str, Part] = {"module": module, "optimizer": optimizer}
        parts |= {f"method.{i}": method for i, method in enumerate(methods)}
        about = about_training(recipe, seed, methods)
        kept = StateFile(path=Path(resume), parts=parts, about=about, epoch=Epoch)
    history = [] if kept is None else kept.load()
    shuffle = torch.Generator().manual_seed(seed)
    module.train()
    try:
        for epoch in range(recipe.epochs):
            order = torch.randperm(len(x), generator=shuffle)  # drawn for past epochs too
            if epoch < len(history):
                continue
            start, cpu_start = time.perf_counter(), time.process_time()
            with _epoch_random(seed, epoch, x.device) as rng:
                loss = _epoch(module, optimizer, x, y, order, recipe, methods, epoch, rng, on_batch)
            rate, seconds = float(optimizer.param_groups[0]["lr"]), time.perf_counter() - start
            cpu = time.process_time() - cpu_start
            history.append(
                Epoch(epoch=epoch + 1, loss=loss, learning_rate=rate, seconds=seconds, cpu_seconds=cpu)
            )
            if kept is not None:
                kept.save(history)
            if on_epoch is not None:
                on_epoch(history)
    finally:
        with ExitStack() as stack:  # each of them, even if one fails
            stack.callback(module.eval)
            for method in reversed(methods):
                stack.callback(method.after_training, module)
    return history


def _epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: torch.Tensor,
    y: torch.Tensor,
    order: torch.Tensor,
    recipe: Recipe,
    methods: Sequence[TrainingMethod],
    epoch: int,
    rng: np.random.Generator,
    on_batch: OnBatch | None,
) -> float:
    """Train once on all images in this order; the mean loss."""
    for method in methods:
        method.before_epoch(module, epoch, rng)
    x, y, order = _with_extra(x, y, order, methods, rng)
    batches = order.to(x.device).split(recipe.batch_size)
    first, total = epoch * len(batches), 0.0
    for i, batch in enumerate(batches, first):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(i, len(batches))
        value = _step(module, optimizer, x[batch], y[batch], recipe, methods, rng)
        total += value * len(batch)
        if on_batch is not None:
            on_batch(i + 1, recipe.epochs * len(batches), value)
    return total / len(x)


def _with_extra(
    x: torch.Tensor,
    y: torch.Tensor,
    order: torch.Tensor,
    methods: Sequence[TrainingMethod],
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The data with what methods add, and the order of both, mixed."""
    more = [extra for method in methods if (extra := method.extra_data()) is not None and len(extra[1])]
    if not more:
        return x, y, order
    if any(labels.ndim != y.ndim for _, labels in more):
        raise InputError("labels", "classes, as methods that add data give them", "probabilities")
    count = len(x)
    x = torch.cat([x, *(images.to(x) for images, _ in more)])
    y = torch.cat([y, *(labels.to(y) for _, labels in more)])
    order = torch.cat([order, torch.arange(count, len(x))])
    return x, y, order[torch.from_numpy(rng.permutation(len(x)))]


def _step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: torch.Tensor,
    y: torch.Tensor,
    recipe: Recipe,
    methods: Sequence[TrainingMethod],
    rng: np.random.Generator,
) -> float:
    optimizer.zero_grad(set_to_none=True)
    for method in methods:
        method.before_batch(module, rng)
    shown = augmented(recipe, x)
    with refusing_shapes(), torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        scores = module(shown)
        more = [method.extra_loss(module, shown, y, partial(loss_of, recipe)) for method in methods]
    with refusing_shapes():
        loss = loss_of(recipe, scores, y)
    for extra in more:
        if extra is not None:
            loss = loss + extra
    loss.backward()
    for method in reversed(methods):
        method.after_backward(module)
    value = float(loss.detach())
    if not np.isfinite(value):
        raise InputError("training loss", "a finite number", value, "lower the learning rate")
    if recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(module.parameters(), recipe.clip_norm)
    optimizer.step()
    for method in methods:
        method.after_step(module)
    return value


@contextmanager
def _epoch_random(seed: int, epoch: int, device: torch.device) -> Iterator[np.random.Generator]:
    """Seed torch for one epoch, and give a numpy generator; the global generator is left as it was."""
    rng = stream(seed, "training", epoch)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(rng.integers(2**62)))
        yield rng


def _on_device(
    module: nn.Module, images: Array, labels: Array, recipe: Recipe, device: str | torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    place = check_device(device)
    dtype = _dtype_of(module)
    x = checked_images(images).to(place, dtype)
    y = _checked_targets(labels, len(x), recipe).to(place)
    if recipe.augment != "none" and x.ndim != 4:
        raise InputError("augment", "images (N, channels, height, width)", f"{tuple(x.shape)}", "use 'none'")
    module.to(place)
    if x.ndim == 4 and x.shape[1] > 1:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = x.contiguous(memory_format=torch.channels_last)
    return x, y


def check_device(device: str | torch.device) -> torch.device:
    """The device, if it is there."""
    try:
        place = torch.device(device)
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError("device", "cpu, or cuda or mps where they are", f"{device!s}: {reason}") from error
    return place


@checked
@torch.no_grad()
def accuracy(module: nn.Module, images: Array, labels: Array, *, batch_size: int = 1000) -> tuple[int, int]:
    """Right predictions of a module in eval mode, and how many images there were."""
    scores = scores_of(module, checked_images(images), batch_size=batch_size)
    if scores.ndim != 2:
        raise InputError("module", "(N, classes) scores", f"shape {tuple(scores.shape)}")
    y = torch.from_numpy(check_labels(labels, len(scores), classes=scores.shape[1]))
    return int((scores.argmax(dim=1) == y).sum()), len(y)


@torch.no_grad()
def scores_of(module: nn.Module, images: Array, *, batch_size: int = 1000) -> torch.Tensor:
    """(N, classes) scores of a module in eval mode, on the processor."""
    check_int("batch_size", batch_size, 1, 2**31)
    dtype = _dtype_of(module)
    device = next(module.parameters()).device
    module.eval()
    parts = torch.as_tensor(images).split(batch_size)
    with refusing_shapes():
        return torch.cat([module(part.to(device, dtype)).cpu() for part in parts])


@contextmanager
def refusing_shapes() -> Iterator[None]:
    """Say that images do not fit a module where torch says which of its matrices do not."""
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, IndexError, TypeError) as error:
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise InputError("images and labels", "ones that fit the module", f"'{reason}'") from error


def checked_images(images: Array) -> torch.Tensor:
    """Return images (N, ...) as a tensor, its type as it is.

    Raises
    ------
    InputError : another shape, no images, no floats, NaN or infinity.
    """
    remedy = "hand in floats, as the module takes them: bytes divided by 255"
    found = check_array("images", images, ("N", "..."), kinds=REALS, remedy=remedy)
    return images.detach() if isinstance(images, torch.Tensor) else torch.from_numpy(writable(found))


def _checked_targets(labels: Array, count: int, recipe: Recipe) -> torch.Tensor:
    """(N,) classes, or for 'soft-targets' (N, classes) probabilities, as a tensor."""
    where = f"labels for the loss {recipe.loss!r}"
    if recipe.loss != "soft-targets":
        return torch.from_numpy(check_labels(labels, count, where=where))
    remedy = "or choose another loss for classes"
    found = check_array(where, labels, (count, "classes"), kinds=REALS, low=0, high=1, remedy=remedy)
    return labels.detach() if isinstance(labels, torch.Tensor) else torch.from_numpy(writable(found))


def _dtype_of(module: nn.Module) -> torch.dtype:
    first = next(module.parameters(), None)
    if first is None:
        raise InputError("module", "one with weights", type(module).__name__)
    return first.dtype
