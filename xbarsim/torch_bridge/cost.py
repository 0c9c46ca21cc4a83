"""What training a module takes: numbers to keep and operations, layer by layer.

For a fully connected layer of n inputs and k outputs: (n + 1) k numbers (Eq. 18), of p bits each (Eq. 19);
with gradients and intermediate values twice as many and 2 n + 2 k (Eq. 20); 2 n k operations. For k filters
of c x h x w: c w h k + k numbers (Eq. 22); with intermediate values c M N + k (c w h + 1) + 2 k P (Eq. 23)
and 2 c w h P k operations, where P are the positions of the filter: (M - w + 1)(N - h + 1) without padding
and with stride 1, which the paper takes, and as many as there are here. Biases count where a layer has them;
groups of a convolution divide c. Eq. 23 has no gradients of the weights, unlike Eq. 20; they are not added.

Source: the adversarial-features paper (see "Sources" in docs/architecture.md), section VI-E.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from xbarsim.errors import InputError, check_int

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """Of one layer and one image.

    Attributes
    ----------
    parameters : numbers that the layer consists of (Eqs. 18, 22)
    parameter_bytes : what they take (Eq. 19)
    training_numbers : numbers to keep while it is trained (Eqs. 20, 23)
    operations : multiplications and additions of a forward pass
    """

    layer: str
    parameters: int
    parameter_bytes: float
    training_numbers: int
    operations: int


def training_cost(module: nn.Module, input_shape: Sequence[int], *, bits: int = 32) -> list[LayerCost]:
    """The cost of every linear and convolution layer, in the order in which they run.

    Parameters
    ----------
    input_shape : of one image, without the batch; a spiking network is taken for one step
    bits : of a number

    Raises
    ------
    InputError : no such layers, a module that does not take such images.

    >>> [cost] = training_cost(nn.Linear(784, 512), (784,))
    >>> cost.parameters, cost.training_numbers, cost.operations
    (401920, 806432, 802816)
    """
    check_int("bits", bits, 1, 64)
    if callable(own := getattr(module, "weighted_layers", None)):  # a spiking network
        names = {layer: name for name, layer in module.named_modules()}
        return [_cost(names[n], n, (n.in_features,), (n.out_features,), bits) for n, _ in own()]
    found: list[LayerCost] = []

    def note(name: str, layer: nn.Module, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        found.append(_cost(name, layer, inputs.shape[1:], outputs.shape[1:], bits))

    hooks = [
        layer.register_forward_hook(lambda layer, x, y, name=name: note(name, layer, x[0], y))
        for name, layer in module.named_modules()
        if isinstance(layer, LAYERS)
    ]
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        first = next(module.parameters(), torch.zeros(0))
        with torch.no_grad():
            module(torch.zeros((1, *input_shape), dtype=first.dtype, device=first.device))
    except (RuntimeError, ValueError, TypeError) as error:
        got = str(error).splitlines()[0][:80]
        raise InputError("input_shape", f"images for {type(module).__name__}", got) from error
    finally:
        for part, training in modes.items():
            part.training = training
        for hook in hooks:
            hook.remove()
    if not found:
        raise InputError(f"module {type(module).__name__}", "linear or convolution layers", "none")
    return found


def _cost(name: str, layer: nn.Module, inputs: Sequence[int], outputs: Sequence[int], bits: int) -> LayerCost:
    weights = layer.weight.numel()  # type: ignore[union-attr, operator]
    parameters = weights + (0 if layer.bias is None else layer.bias.numel())  # type: ignore[union-attr, operator]
    if isinstance(layer, nn.Linear):
        times = prod(outputs[:-1])  # where a layer runs on several positions of an image
        kept = 2 * parameters + 2 * times * (layer.in_features + layer.out_features)
    else:
        times = prod(outputs[1:])
        kept = prod(inputs) + parameters + 2 * prod(outputs)
    return LayerCost(
        layer=name,
        parameters=parameters,
        parameter_bytes=parameters * bits / 8,
        training_numbers=kept,
        operations=2 * weights * times,
    )
