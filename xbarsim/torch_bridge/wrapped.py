"""A network as torch.export takes it: an argument an input, and nothing but tensors as outputs."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree

WRAPPED = "_network"
Inputs = tuple[torch.Tensor, ...] | dict[str, torch.Tensor]
EXPORTED = (torch.Tensor, torch.SymInt, torch.SymFloat, torch.SymBool, int, float, str, type(None))


class Wrapped(nn.Module):
    """A network that gives what of its outputs are tensors: neither caches nor other objects.

    Its arguments are the inputs, each by its name, where the network's own may be `*args` and `**kwargs`.
    """

    def __init__(self, network: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        setattr(self, WRAPPED, network)

        def forward(*args: Any, **kwargs: Any) -> Any:
            given = network(*args, **kwargs)
            known = all(isinstance(leaf, EXPORTED) for leaf in _pytree.tree_leaves(given))
            return given if known else _tensors_of(given)

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = [inspect.Parameter(name, kind) for name in _names(network, inputs)]
        forward.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
        self.forward = forward


def _names(network: nn.Module, inputs: Inputs) -> list[str]:
    """What the network's `forward` calls its inputs; numbered where it takes any."""
    if isinstance(inputs, dict):
        return list(inputs)
    found = []
    for name, given in inspect.signature(network.forward).bind(*inputs).arguments.items():
        found += [f"{name}_{i}" for i in range(len(given))] if isinstance(given, tuple) else [name]
    return found


def _tensors_of(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, (Mapping, type)):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        kept = {str(key): _tensors_of(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}
    if isinstance(value, (list, tuple)):
        found = [_tensors_of(item) for item in value]
        return [item for item in found if item is not None]
    return value if isinstance(value, torch.Tensor) else None
