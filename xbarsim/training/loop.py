"""The training loop: seeded, of arrays on the device or of a loader, resumable after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from xbarsim.arrays import check_labels
from xbarsim.data import Dataset
from xbarsim.errors import InputError, check_int, check_type
from xbarsim.hints import checked
from xbarsim.rng import stream
from xbarsim.torch_bridge.answers import AT_ONCE, in_parts
from xbarsim.torch_bridge.calls import Tensors, call, refusing_shapes, scores_in, takes_tokens, tensors_of
from xbarsim.torch_bridge.threads import torch_threads
from xbarsim.training.batches import (
    Batches,
    batches_of,
    checked_classes,
    checked_inputs,
    kind_and_dimensions,
    loader_of,
    split_batch,
)
from xbarsim.training.methods import LossFunction, TrainingMethod
from xbarsim.training.recipe import IGNORED, Recipe, augmented, loss_of, rows_of_classes
from xbarsim.training.resume import Epoch, Part, StateFile, about_training

OwnLoss = Callable[[Any, Any], torch.Tensor]
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
    images: Any,
    labels: Any = None,
    recipe: Recipe | None = None,
    *,
    seed: int,
    loss: OwnLoss | None = None,
    methods: Sequence[TrainingMethod] = (),
    resume: str | Path | None = None,
    on_batch: OnBatch | None = None,
    on_epoch: OnEpoch | None = None,
    device: str | torch.device = "cpu",
) -> list[Epoch]:
    """Train a module in place.

    Parameters
    ----------
    images : (N, ...) floats, or tokens for a module with embeddings; a tuple or a dict of arrays (N, ...) for
        a module of several inputs; or, with their targets, a data set or loader: `Dataset`, torch's
        `Dataset` and `DataLoader`, whose batches are pairs (inputs, targets) or dicts with 'labels'
    labels : (N,) classes; (N, ...) classes of pixels or tokens, -100 where there is none; (N, classes)
        probabilities for 'soft-targets'; whatever `loss` takes; None beside a data set or loader
    recipe : on the processor, seed and recipe decide the weights; whatever ran before, and however many
        threads there are. A loader's batches and order are its own
    seed : decides the order of the images and everything that is drawn
    loss : (outputs, targets) -> scalar tensor, of what the module gives, in place of the recipe's, which is
        of its scores: `logits` among several outputs, or the first of them
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
    if recipe is None:
        raise InputError("recipe", "a Recipe", "none", "say recipe=xb.Recipe(epochs=...)")
    place, dtype = check_device(device), _dtype_of(module)
    batches = batches_of(module, images, labels, recipe, own_loss=loss is not None, device=place, dtype=dtype)
    if batches.steps is None and recipe.schedule != "constant":
        expected = "'constant' for a loader without a length"
        raise InputError("Recipe.schedule", expected, repr(recipe.schedule))
    optimizer = recipe.make_optimizer(module)
    kept = None
    if resume is not None:
        parts: dict[str, Part] = {"module": module, "optimizer": optimizer}
        parts |= {f"method.{i}": method for i, method in enumerate(methods)}
        about = about_training(recipe, seed, methods, loss)
        kept = StateFile(path=Path(resume), parts=parts, about=about, epoch=Epoch)
    history = [] if kept is None else kept.load()
    step = _Step(module, optimizer, recipe, loss, methods)
    shuffle = torch.Generator().manual_seed(seed)
    module.train()
    try:
        for epoch in range(recipe.epochs):
            order = batches.order(shuffle)  # drawn for past epochs too
            if epoch < len(history):
                continue
            start, cpu_start = time.perf_counter(), time.process_time()
            with torch_threads(recipe.threads), _epoch_random(seed, epoch, place) as rng:
                mean = _epoch(step, batches, order, epoch, rng, on_batch)
            rate, seconds = float(optimizer.param_groups[0]["lr"]), time.perf_counter() - start
            cpu = time.process_time() - cpu_start
            history.append(
                Epoch(epoch=epoch + 1, loss=mean, learning_rate=rate, seconds=seconds, cpu_seconds=cpu)
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


@dataclass(frozen=True, eq=False)
class _Step:
    """What a step of a training needs, whatever the batch."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    own_loss: OwnLoss | None
    methods: Sequence[TrainingMethod]

    def loss(self, outputs: Any, targets: Any) -> torch.Tensor:
        """The mean loss of a batch.

        Raises
        ------
        InputError : outputs or targets that the loss does not take, a loss of one's own that is no number.
        """
        with refusing_shapes():
            if self.own_loss is None:
                return loss_of(self.recipe, scores_in(outputs), targets)
            found = self.own_loss(outputs, targets)
        if not isinstance(found, torch.Tensor) or found.numel() != 1 or not found.requires_grad:
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            kind = "one without a gradient" if shape == () else str(shape)
            raise InputError("loss", "a function that gives a scalar tensor of the weights", kind)
        return found.reshape(())

    def __call__(self, x: Tensors, y: Tensors, rng: np.random.Generator) -> float:
        """Take a step on a batch; the loss before it."""
        module, methods, recipe = self.module, self.methods, self.recipe
        self.optimizer.zero_grad(set_to_none=True)
        for method in methods:
            method.before_batch(module, rng)
        shown = self._augmented(x)
        place = next(module.parameters()).device.type
        half = recipe.precision == "bf16"
        with refusing_shapes(), torch.autocast(place, torch.bfloat16, enabled=half):
            outputs = call(module, shown)
            more = [_extra_loss(method, module, shown, y, self.loss) for method in methods]
        loss = self.loss(outputs, y)
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
        self.optimizer.step()
        for method in methods:
            method.after_step(module)
        return value

    def _augmented(self, x: Tensors) -> Tensors:
        if self.recipe.augment == "none":
            return x
        if not isinstance(x, torch.Tensor) or x.ndim != 4:
            got = str(tuple(x.shape)) if isinstance(x, torch.Tensor) else "several inputs"
            raise InputError("augment", "images (N, channels, height, width)", got, "use 'none'")
        return augmented(self.recipe, x)


def _extra_loss(
    method: TrainingMethod, module: nn.Module, x: Tensors, y: Tensors, loss: LossFunction
) -> torch.Tensor | None:
    return method.extra_loss(module, x, y, loss)  # type: ignore[arg-type]


def _epoch(
    step: _Step,
    batches: Batches,
    order: torch.Tensor,
    epoch: int,
    rng: np.random.Generator,
    on_batch: OnBatch | None,
) -> float:
    """Train once on all batches; the mean loss."""
    for method in step.methods:
        method.before_epoch(step.module, epoch, rng)
    steps, pairs = batches.epoch(order, step.methods, rng)
    total, seen, done = 0.0, 0, 0
    for done, (x, y) in enumerate(pairs, 1):
        at = epoch * (steps or 0) + done
        for group in step.optimizer.param_groups:
            group["lr"] = step.recipe.rate_at(at - 1, steps or 1)
        value = step(x, y, rng)
        size = len(tensors_of(x)[0])
        total, seen = total + value * size, seen + size
        if on_batch is not None:
            on_batch(at, step.recipe.epochs * steps if steps else at, value)
    return total / seen


@contextmanager
def _epoch_random(seed: int, epoch: int, device: torch.device) -> Iterator[np.random.Generator]:
    """Seed torch for one epoch, and give a numpy generator; the global generator is left as it was."""
    rng = stream(seed, "training", epoch)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(rng.integers(2**62)))
        yield rng


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
def accuracy(module: nn.Module, images: Any, labels: Any = None) -> tuple[int, int]:
    """Right predictions of a module in eval mode, and how many there were: of inputs, pixels or tokens.

    Parameters
    ----------
    images, labels : as `fit` takes them; labels of -100 count nothing

    Raises
    ------
    InputError : targets that are no classes, scores without an axis of classes.
    """
    right = counted = 0
    for scores, targets in _answered(module, images, labels):
        rows, classes = rows_of_classes(scores, targets)
        known = classes != IGNORED
        right += int((rows.argmax(dim=1) == classes)[known].sum())
        counted += int(known.sum())
    return right, counted


def _answered(module: nn.Module, images: Any, labels: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Scores and targets: all at once of arrays, and batch by batch of a loader."""
    if isinstance(images, Dataset):
        images, labels = images.images, images.labels
    loader = loader_of(images, AT_ONCE, shuffle=False)
    if loader is None:
        x = checked_inputs(images, tokens=takes_tokens(module))
        scores = scores_of(module, x)
        many = scores.shape[1] if scores.ndim == 2 else None
        if many is None or kind_and_dimensions(labels)[1] != 1:
            yield scores, torch.from_numpy(checked_classes(labels, len(scores)))
        else:
            yield scores, torch.from_numpy(check_labels(labels, len(scores), classes=many))
        return
    for batch in loader:
        inputs, targets = split_batch(batch)
        if not isinstance(targets, torch.Tensor):
            raise InputError("labels", "one tensor of classes", type(targets).__name__)
        yield scores_of(module, inputs), targets.cpu()


@torch.no_grad()
def scores_of(module: nn.Module, images: Any, *, batch_size: int = AT_ONCE) -> torch.Tensor:
    """(N, classes) scores of a module in eval mode, on the processor.

    Parameters
    ----------
    images : (N, ...), or a tuple or a dict of such
    batch_size : with another one sums round otherwise; see `xbarsim.torch_bridge.answers`
    """
    check_int("batch_size", batch_size, 1, 2**31)
    dtype = _dtype_of(module)
    device = next(module.parameters()).device
    module.eval()
    given = images if isinstance(images, (tuple, dict)) else torch.as_tensor(images)
    whole = not isinstance(given, torch.Tensor) or takes_tokens(module)

    def scores(*parts: torch.Tensor) -> torch.Tensor:
        kept = [whole and not part.is_floating_point() for part in parts]
        placed = [p.to(device, None if keep else dtype) for p, keep in zip(parts, kept, strict=True)]
        if isinstance(given, dict):
            return scores_in(call(module, dict(zip(given, placed, strict=True))))
        return scores_in(call(module, tuple(placed)))

    with refusing_shapes():
        return in_parts(scores, *tensors_of(given), at_once=batch_size)


def _dtype_of(module: nn.Module) -> torch.dtype:
    first = next(module.parameters(), None)
    if first is None:
        raise InputError("module", "one with weights", type(module).__name__)
    return first.dtype
