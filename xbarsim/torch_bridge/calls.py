"""Calling modules that take several inputs, or give more than scores.

Several inputs are a tuple, in the order of `forward`'s arguments, or a dict by their names. Of several
outputs the scores are what is called `logits`, and the first tensor where nothing is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from xbarsim.errors import InputError
from xbarsim.torch_bridge.onnx_import import OnnxModule

Tensors = torch.Tensor | tuple[torch.Tensor, ...] | dict[str, torch.Tensor]
LOGITS = "logits"


def call(module: nn.Module, inputs: Tensors) -> Any:
    """What a module gives for a tensor, a tuple or a dict of them."""
    if isinstance(inputs, torch.Tensor):
        return module(inputs)
    return module(**inputs) if isinstance(inputs, dict) else module(*inputs)


def scores_in(outputs: Any) -> torch.Tensor:
    """The scores among a module's outputs: a tensor, or a mapping, dataclass or tuple, perhaps of these.

    Raises
    ------
    InputError : no tensor in it.
    """
    if isinstance(outputs, torch.Tensor):
        return outputs
    found = list(_named(outputs, ""))
    if not found:
        raise InputError("module", "a tensor as output", type(outputs).__name__)
    named = [tensor for name, tensor in found if name.rpartition(".")[2] == LOGITS]
    return (named or [found[0][1]])[0]


def _named(value: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named(item, f"{name}.{key}")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _named(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, (list, tuple)):
        for key, item in zip(getattr(value, "_fields", range(len(value))), value, strict=True):
            yield from _named(item, f"{name}.{key}")


def map_tensors(function: Callable[[torch.Tensor], torch.Tensor], inputs: Tensors) -> Tensors:
    """A function of every tensor of a tuple or a dict, or of the only one."""
    if isinstance(inputs, torch.Tensor):
        return function(inputs)
    if isinstance(inputs, dict):
        return {name: function(tensor) for name, tensor in inputs.items()}
    return tuple(function(tensor) for tensor in inputs)


def tensors_of(inputs: Tensors) -> list[torch.Tensor]:
    """The tensors, in order."""
    if isinstance(inputs, torch.Tensor):
        return [inputs]
    return list(inputs.values() if isinstance(inputs, dict) else inputs)


def takes_tokens(module: nn.Module) -> bool:
    """Whether a module may take integers: it has an embedding, or comes from a file that says so."""
    kinds = (nn.Embedding, nn.EmbeddingBag)
    parts = module.modules()
    return any(isinstance(m, kinds) or (isinstance(m, OnnxModule) and m.takes_tokens) for m in parts)


@contextmanager
def refusing_shapes() -> Iterator[None]:
    """Say that inputs do not fit a module where torch says which of its matrices do not."""
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, IndexError, TypeError) as error:
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise InputError("images and labels", "ones that fit the module", f"'{reason}'") from error
