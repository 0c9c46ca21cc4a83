"""What a training is shown: arrays that lie on the device as a whole, or a torch data set or loader.

Arrays are shuffled by the training. A data set is read anew in every epoch, in batches of the recipe's size,
shuffled; a loader keeps its own batches and order, and its transforms draw anew. What either draws from
torch's global generator hangs on the training's seed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from xbarsim.arrays import (
    INTEGERS,
    MOST_CLASSES,
    NUMBERS,
    REALS,
    as_array,
    check_array,
    check_labels,
    writable,
)
from xbarsim.data import Dataset
from xbarsim.errors import InputError
from xbarsim.torch_bridge.calls import Tensors, map_tensors, takes_tokens, tensors_of
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import IGNORED, Recipe

Batch = tuple[Tensors, Tensors]
LABELS = ("labels", "label", "targets", "target")
FLOATS = "hand in floats, as the module takes them: bytes divided by 255"
NUMBER_TARGETS = "for numbers hand in a loss: loss=torch.nn.functional.mse_loss"


class Batches(ABC):
    """Inputs and targets for a module, an epoch at a time."""

    steps: int | None  # an epoch's; None where only the end tells

    @abstractmethod
    def order(self, generator: torch.Generator) -> torch.Tensor:
        """Draw the order of an epoch."""

    @abstractmethod
    def epoch(
        self, order: torch.Tensor, methods: Sequence[TrainingMethod], rng: np.random.Generator
    ) -> tuple[int | None, Iterator[Batch]]:
        """The number of batches, and the batches, on the module's device."""


@dataclass(eq=False)
class ArrayBatches(Batches):
    """Tensors on the device."""

    inputs: Tensors
    targets: Tensors
    batch_size: int

    def __post_init__(self) -> None:
        self.count = len(tensors_of(self.inputs)[0])
        self.steps = -(-self.count // self.batch_size)

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """A permutation of the inputs."""
        return torch.randperm(self.count, generator=generator)

    def epoch(
        self, order: torch.Tensor, methods: Sequence[TrainingMethod], rng: np.random.Generator
    ) -> tuple[int | None, Iterator[Batch]]:
        """The data in this order, and what methods add between them."""
        x, y, order = self._with_extra(order, methods, rng)
        batches = order.to(tensors_of(x)[0].device).split(self.batch_size)
        return len(batches), ((_at(x, batch), _at(y, batch)) for batch in batches)

    def _with_extra(
        self, order: torch.Tensor, methods: Sequence[TrainingMethod], rng: np.random.Generator
    ) -> tuple[Tensors, Tensors, torch.Tensor]:
        more = _extra_of(methods)
        if not more:
            return self.inputs, self.targets, order
        x, y = self.inputs, self.targets
        if not isinstance(x, torch.Tensor) or not isinstance(y, torch.Tensor):
            raise InputError("methods", "none that add data to several inputs", "one of them")
        if any(labels.ndim != y.ndim for _, labels in more):
            raise InputError("labels", "classes, as methods that add data give them", "probabilities")
        x = torch.cat([x, *(images.to(x) for images, _ in more)])
        y = torch.cat([y, *(labels.to(y) for _, labels in more)])
        order = torch.cat([order, torch.arange(self.count, len(x))])
        return x, y, order[torch.from_numpy(rng.permutation(len(x)))]


@dataclass(eq=False)
class LoaderBatches(Batches):
    """Batches of somebody's loader: pairs (inputs, targets), or dicts with 'labels' among their keys."""

    loader: Any
    module: nn.Module
    device: torch.device
    dtype: torch.dtype
    tokens: bool

    def __post_init__(self) -> None:
        try:
            self.steps = len(self.loader)
        except TypeError:
            self.steps = None
        if self.steps == 0:
            raise InputError("loader", "at least one batch", "none")

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """None: it has its own."""
        return torch.zeros(0, dtype=torch.int64)

    def epoch(
        self, order: torch.Tensor, methods: Sequence[TrainingMethod], rng: np.random.Generator
    ) -> tuple[int | None, Iterator[Batch]]:
        """The loader's batches."""
        if _extra_of(methods):
            raise InputError("methods", "none that add data to a loader's", "one of them", "hand in arrays")
        return self.steps, self._batches()

    def _batches(self) -> Iterator[Batch]:
        empty = True
        for batch in self._read():
            inputs, targets = split_batch(batch)
            if isinstance(inputs, torch.Tensor) and not inputs.is_floating_point() and not self.tokens:
                raise InputError("inputs of the loader", "floating-point numbers", str(inputs.dtype), FLOATS)
            yield self._placed(inputs, images=True), self._placed(targets, images=False)
            empty = False
        if empty:
            raise InputError("loader", "at least one batch", "none")

    def _read(self) -> Iterator[Any]:
        try:
            yield from self.loader
        except InputError:
            raise
        except Exception as error:  # the data set may be anybody's, and raise anything
            text = " ".join(str(error).split())[:120]
            got = f"{type(error).__name__}: {text}"
            raise InputError("loader", "batches of tensors", got) from error

    def _placed(self, tensors: Tensors, *, images: bool) -> Tensors:
        lasting = images and isinstance(tensors, torch.Tensor) and tensors.ndim == 4 and tensors.shape[1] > 1

        def placed(tensor: torch.Tensor) -> torch.Tensor:
            tensor = tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)
            return tensor.contiguous(memory_format=torch.channels_last) if lasting else tensor

        if lasting:
            self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return map_tensors(placed, tensors)


def batches_of(
    module: nn.Module,
    images: Any,
    labels: Any,
    recipe: Recipe,
    *,
    own_loss: bool,
    device: torch.device,
    dtype: torch.dtype,
) -> Batches:
    """What `fit` is given, as batches on the device, and the module there.

    Parameters
    ----------
    images, labels : see `fit`
    own_loss : targets may be anything; otherwise they are what the recipe's loss takes
    dtype : of floats

    Raises
    ------
    InputError : no data, no targets, others than the loss takes.
    """
    tokens = takes_tokens(module)
    if isinstance(images, Dataset):
        _check_none(labels, "a data set")
        images, labels = images.images, images.labels
    loader = loader_of(images, recipe.batch_size, shuffle=True)
    if loader is not None:
        _check_none(labels, "a data set or loader")
        module.to(device)
        return LoaderBatches(loader, module, device, dtype, tokens)
    x = checked_inputs(images, tokens=tokens)
    x = map_tensors(lambda t: t.to(device, dtype if t.is_floating_point() else None), x)
    y = _checked_targets(labels, len(tensors_of(x)[0]), recipe, own_loss)
    y = map_tensors(lambda t: t.to(device, dtype if own_loss and t.is_floating_point() else None), y)
    module.to(device)
    if isinstance(x, torch.Tensor) and x.ndim == 4 and x.shape[1] > 1:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = x.contiguous(memory_format=torch.channels_last)
    return ArrayBatches(x, y, recipe.batch_size)


def loader_of(source: Any, batch_size: int, *, shuffle: bool) -> Any:
    """What gives a source's batches, again and again: itself or a `DataLoader`; None for arrays."""
    if hasattr(source, "__array__") or isinstance(source, (list, tuple, dict, str, bytes, type)):
        return None
    if isinstance(source, IterableDataset):
        return DataLoader(source, batch_size=batch_size)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        if not len(source):
            raise InputError("data set", "at least one input", "none")
        return DataLoader(source, batch_size=batch_size, shuffle=shuffle)
    return source if hasattr(source, "__iter__") and not hasattr(source, "__next__") else None


def split_batch(batch: Any) -> Batch:
    """The inputs and the targets of a loader's batch.

    Raises
    ------
    InputError : no pair, no dict with 'labels', others than tensors in it.
    """
    where, expected = "batch of the loader", "pairs (inputs, targets), or a dict with 'labels'"
    if isinstance(batch, Mapping):
        key = next((key for key in LABELS if key in batch), None)
        if key is None or len(batch) < 2:
            raise InputError(where, expected, f"a dict of {', '.join(map(str, batch))}"[:80])
        rest = {str(name): _tensors(value, where) for name, value in batch.items() if name != key}
        return rest, _tensors(batch[key], where)  # type: ignore[return-value]
    if isinstance(batch, (tuple, list)) and len(batch) > 1:
        *inputs, targets = batch
        several = inputs[0] if len(inputs) == 1 else tuple(inputs)
        return _tensors(several, where), _tensors(targets, where)
    raise InputError(where, expected, type(batch).__name__)


def _tensors(value: Any, where: str) -> Tensors:
    if isinstance(value, Mapping):
        return {str(name): _tensors(item, where) for name, item in value.items()}  # type: ignore[misc]
    if isinstance(value, (tuple, list)):
        return tuple(_tensors(item, where) for item in value)  # type: ignore[misc]
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(writable(value))
    if not isinstance(value, torch.Tensor):
        raise InputError(where, "tensors", type(value).__name__, "let its collate function make them")
    return value


def checked_images(images: Any) -> torch.Tensor:
    """Return images (N, ...) as a tensor, its type as it is.

    Raises
    ------
    InputError : another shape, no images, no floats, NaN or infinity.
    """
    found = check_array("images", images, ("N", "..."), kinds=REALS, remedy=FLOATS)
    return images.detach() if isinstance(images, torch.Tensor) else torch.from_numpy(writable(found))


def checked_inputs(images: Any, *, tokens: bool) -> Tensors:
    """Return the inputs of a module as tensors: one array, or a tuple or a dict of arrays of one length.

    Parameters
    ----------
    tokens : integers are taken for one array, too; of several any may be integers or truth values

    Raises
    ------
    InputError : see `checked_images`; arrays of several lengths.
    """
    if not isinstance(images, (tuple, dict)):
        whole = tokens and kind_and_dimensions(images)[0] in "iu"
        return _several("inputs", images) if whole else checked_images(images)
    named = images if isinstance(images, dict) else dict(enumerate(images))
    found = {name: _several(f"input {name!r}", value) for name, value in named.items()}
    lengths = sorted({len(tensor) for tensor in found.values()})
    if len(lengths) != 1:
        got = " and ".join(map(str, lengths)) or "none"
        raise InputError("inputs", "as many of every input, at least one", got)
    if isinstance(images, dict):
        return {str(name): tensor for name, tensor in found.items()}
    return tuple(found.values())


def _several(where: str, values: Any) -> torch.Tensor:
    truths = kind_and_dimensions(values)[0] == "b"
    found = as_array(where, values) if truths else check_array(where, values, ("N", "..."), kinds=NUMBERS)
    if found.dtype.kind in "iu":
        found = found.astype(np.int64)
    return torch.from_numpy(writable(found))


def _checked_targets(labels: Any, count: int, recipe: Recipe, own_loss: bool) -> Tensors:
    """What a loss compares with: classes, probabilities for 'soft-targets', anything for a loss of one's own.

    Classes are (N,), or (N, ...) with -100 where there is none.
    """
    where = "labels" if own_loss else f"labels for the loss {recipe.loss!r}"
    if labels is None:
        raise InputError(where, "a target for every input", "none")
    if own_loss:
        return _own_targets(labels, count, where)
    if recipe.loss != "soft-targets":
        return torch.from_numpy(checked_classes(labels, count, where=where))
    remedy = "or choose another loss for classes"
    found = check_array(where, labels, (count, "classes"), kinds=REALS, low=0, high=1, remedy=remedy)
    return labels.detach() if isinstance(labels, torch.Tensor) else torch.from_numpy(writable(found))


def _own_targets(labels: Any, count: int, where: str) -> Tensors:
    if isinstance(labels, (tuple, dict)):
        found = checked_inputs(labels, tokens=True)
    else:
        found = _several(where, labels)
    if len(tensors_of(found)[0]) != count:
        raise InputError(where, f"{count} of them, as many as inputs", len(tensors_of(found)[0]))
    return found


def checked_classes(labels: Any, count: int, *, where: str = "labels") -> np.ndarray:
    """Return the classes of so many inputs, (N,) or (N, ...) int64; of the latter -100 stands for none.

    Raises
    ------
    InputError : another length, no integers, a class that there is not.
    """
    kind, dimensions = kind_and_dimensions(labels)
    if kind == "f":
        raise InputError(where, "integers", "floating-point numbers", NUMBER_TARGETS)
    if dimensions < 2:
        return check_labels(labels, count, where=where)
    remedy = f"classes as integers from 0, {IGNORED} where there is none"
    high = MOST_CLASSES - 1
    shape = (count, "...")
    found = check_array(where, labels, shape, kinds=INTEGERS, low=IGNORED, high=high, remedy=remedy)
    if ((found < 0) & (found != IGNORED)).any():
        raise InputError(where, f"numbers from 0, or {IGNORED}", int(found[found != IGNORED].min()), remedy)
    return found.astype(np.int64)


def kind_and_dimensions(values: Any) -> tuple[str, int]:
    """The kind of numbers and the dimensions of what numpy makes an array of; no kind for anything else."""
    try:
        found = np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
    except Exception:  # said by the check that follows
        return "O", 0
    return found.dtype.kind, found.ndim


def _at(tensors: Tensors, batch: torch.Tensor) -> Tensors:
    return map_tensors(lambda tensor: tensor[batch], tensors)


def _extra_of(methods: Sequence[TrainingMethod]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [extra for method in methods if (extra := method.extra_data()) is not None and len(extra[1])]


def _check_none(labels: Any, beside: str) -> None:
    if labels is not None:
        got = type(labels).__name__
        raise InputError("labels", f"none beside {beside}, which has them", got, "say recipe=..., seed=...")
