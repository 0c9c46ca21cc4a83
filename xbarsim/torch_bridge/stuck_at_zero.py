"""Stuck-at-0 faults in a torch module: while a context lasts, or drawn anew by every call.

Weights and filters are of linear and convolution layers, nodes are the outputs of all linear layers but the
last one; a node that is stuck puts out 0, its bias included. It is set to 0 before its activation, so modules
with norms or with activations that are not 0 at 0 have no such nodes here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from xbarsim.errors import InputError
from xbarsim.faults.stuck_at_zero import StuckAtZero

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NOT_ZERO_AT_ZERO = (
    nn.Sigmoid, nn.Hardsigmoid, nn.Softplus, nn.Softmax, nn.LogSoftmax, nn.LogSigmoid, nn.BatchNorm1d,
    nn.LayerNorm,
)  # fmt: skip
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Masks = Mapping[str, NDArray[np.bool_]]


def faulty_shapes(module: nn.Module, unit: str) -> dict[str, tuple[int, ...]]:
    """The layers that can have faults of a unit, and the shape of a mask of each.

    Raises
    ------
    InputError : a module without such layers.
    """
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, LAYERS)}
    if unit == "weight":
        found = {name: tuple(layer.weight.shape) for name, layer in layers.items()}
    elif unit == "filter":
        found = {n: (layer.out_channels,) for n, layer in layers.items() if isinstance(layer, CONVOLUTIONS)}
    else:
        _check_zero_stays(module)
        linear = {n: layer.out_features for n, layer in layers.items() if isinstance(layer, nn.Linear)}
        found = {name: (size,) for name, size in list(linear.items())[:-1]}
    if not found:
        raise InputError(f"module {type(module).__name__}", f"layers with a {unit}", "none", "another unit")
    return found


def _check_zero_stays(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, NOT_ZERO_AT_ZERO):
            expected = "activations that are 0 at 0 and no norms, so that a node can be stuck at 0"
            raise InputError(f"layer {name!r}", expected, type(layer).__name__)


def draw_masks(
    module: nn.Module, faults: StuckAtZero, rng: np.random.Generator
) -> dict[str, NDArray[np.bool_]]:
    """Masks of the module's layers, true where a unit works."""
    return faults.draw(faulty_shapes(module, faults.unit), rng)


@contextmanager
def stuck(module: nn.Module, faults: StuckAtZero, masks: Masks) -> Iterator[None]:
    """The module with these faults; as it was, bit for bit, at the end."""
    layers = dict(module.named_modules())
    with ExitStack() as stack:
        for name, mask in masks.items():
            layer: Any = layers.get(name)
            if not isinstance(layer, LAYERS):
                expected = f"layers of {type(module).__name__} with weights"
                raise InputError("masks", expected, repr(name), "draw them for this module")
            works = torch.from_numpy(mask).to(layer.weight.device)
            if faults.unit == "node":
                stack.callback(layer.register_forward_hook(_silence(works)).remove)
            else:
                stack.enter_context(_without(layer, works))
        yield


def _silence(works: torch.Tensor) -> Any:
    return lambda layer, inputs, output: output * works


@contextmanager
def _without(layer: Any, works: torch.Tensor) -> Iterator[None]:
    """A layer with weights, or filters and their biases, of 0."""
    kept = [(parameter, parameter.data) for parameter in _stuck_parameters(layer, works)]
    try:
        for parameter, data in kept:
            parameter.data = data * _as(works, data)
        yield
    finally:
        for parameter, data in kept:
            parameter.data = data


@torch.no_grad()
def mask_gradients(module: nn.Module, faults: StuckAtZero, masks: Masks) -> None:
    """Take the gradients of stuck weights and filters, which nothing depends on, away."""
    layers = dict(module.named_modules())
    for name, mask in masks.items() if faults.unit != "node" else ():
        works = torch.from_numpy(mask)
        for parameter in _stuck_parameters(layers[name], works):
            if parameter.grad is not None:
                parameter.grad *= _as(works, parameter)


def _stuck_parameters(layer: Any, works: torch.Tensor) -> list[nn.Parameter]:
    """The weight; with whole filters the bias too."""
    return [layer.weight] if works.ndim > 1 or layer.bias is None else [layer.weight, layer.bias]


def _as(works: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    shape = works.shape if works.ndim == data.ndim else (-1, *[1] * (data.ndim - 1))
    return works.to(data.device).reshape(shape)
