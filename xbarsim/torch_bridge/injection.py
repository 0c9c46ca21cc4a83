"""Error injection: layers that stick activations at their values while a network trains.

`fault_aware` puts one behind every activation, or behind the pooling that follows it. What it returns shares
its parameters with the module that was handed in, which stays as it was: train the one, save the other.

Source: FAT (Zahid et al.), section IV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F

from xbarsim.arrays import check_array
from xbarsim.errors import InputError, check_rate
from xbarsim.faults.activations import StuckActivations, StuckUnits
from xbarsim.hints import checked
from xbarsim.torch_bridge.brevitas_import import activation_values, is_activation
from xbarsim.torch_bridge.quantized import QuantActivation, RoundActivations, largest, rounded
from xbarsim.torch_bridge.tracing import trace

POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
POOL_FUNCTIONS = (F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, torch.max_pool2d)
ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardtanh, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU,
    nn.Hardswish, nn.Hardsigmoid,
)  # fmt: skip
ACTIVATION_FUNCTIONS = (
    F.relu, torch.relu, F.relu6, F.leaky_relu, F.hardtanh, torch.tanh, F.tanh, torch.sigmoid, F.sigmoid,
    torch.relu_, F.gelu, F.silu, F.elu, torch.sign,
)  # fmt: skip
ACTIVATION_METHODS = ("relu", "tanh", "sigmoid", "sign", "relu_", "tanh_", "sigmoid_")
Values = Sequence[float]


class StickUnits(torch.autograd.Function):
    """Write levels over some units: FAT's Eq. 1 forward; backward Eq. 3, zero where an error sits."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, stuck: StuckUnits, levels: torch.Tensor, in_place: bool
    ) -> torch.Tensor:
        """X, or a copy of it, with the stuck units set to the (stuck,) levels."""
        ctx.format = _format(x)
        if in_place and x.is_contiguous(memory_format=ctx.format):
            out = x
            ctx.mark_dirty(x)
        else:
            out = x.clone(memory_format=ctx.format)
        ctx.index = _places(stuck, out)
        return _write(out, ctx.index, levels)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """See the class."""
        out = gradients[0].clone(memory_format=ctx.format)
        return _write(out, ctx.index, out.new_zeros(1)), None, None, None


class RoundAndStick(torch.autograd.Function):
    """`RoundActivations` and then `StickUnits`, without a copy of what passes between them."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, bits: int, signed: bool, stuck: StuckUnits, levels: torch.Tensor
    ) -> torch.Tensor:
        """Round; then set the stuck units to the (stuck,) levels."""
        out, inside = rounded(x.contiguous(memory_format=_format(x)), bits, signed)
        index = _places(stuck, out)
        ctx.save_for_backward(_write(inside, index, inside.new_zeros(1)))
        ctx.top = largest(bits, signed)
        return _write(out, index, levels)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """See the two classes."""
        return RoundActivations.backward(ctx, *gradients)[0], None, None, None, None


def _format(x: torch.Tensor) -> torch.memory_format:
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


# for every axis a column or all of it, or a column of places in memory
Index = tuple[torch.Tensor | slice, ...] | torch.Tensor


def _places(stuck: StuckUnits, out: torch.Tensor) -> Index:
    """Where stuck units lie in activations; single ones, which are many, by their places in memory."""
    if stuck.units != stuck.shape:
        columns = stuck.where
        return tuple(i if isinstance(i, slice) else torch.from_numpy(i).to(out.device) for i in columns)
    at = stuck.at
    if not out.is_contiguous():  # channels last
        channels, positions = out.shape[1], out.shape[2:].numel()
        row = at // positions
        image = row // channels
        at = (image * positions + at - row * positions) * channels + row - image * channels
    return torch.from_numpy(at).to(out.device)


def _write(out: torch.Tensor, index: Index, levels: torch.Tensor) -> torch.Tensor:
    """`out`, with one level or a column of them written where the index says."""
    if isinstance(index, torch.Tensor):
        out.as_strided((out.numel(),), (1,)).scatter_(0, index, levels.expand(len(index)))
    else:
        extended = sum(isinstance(i, slice) for i in index)  # axes behind the units', in `out[index]`
        out[index] = levels.reshape(-1, *(1,) * extended)
    return out


class ErrorInjection(nn.Module):
    """Sticks activations at one of `values` while training and enabled; else it hands its input on.

    Forward is FAT's Eq. 1, drawn from torch's global generator (seed it as you do for dropout);
    backward Eq. 3: zero where an error sits, unchanged elsewhere. Nothing is scaled.

    Parameters
    ----------
    fault_model : which units are stuck, and how likely
    values : what activations can be, at least one
    activation : a layer to apply first, in the same step
    in_place : write into the input, which nothing else may need: neither another layer nor the backward of
        the one that made it

    Attributes
    ----------
    enabled : turn it off and on

    Raises
    ------
    InputError : no values.
    """

    def __init__(
        self,
        fault_model: StuckActivations,
        values: Values,
        *,
        activation: QuantActivation | None = None,
        in_place: bool = False,
    ) -> None:
        super().__init__()
        known = check_array("values", values, ("values",), remedy="those that an activation can take")
        self.fault_model, self.values = fault_model, tuple(float(v) for v in known)
        self.activation, self.in_place = activation, in_place
        self.enabled = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) or (N, C, H, W), the same shape out. A pixel of (N, C) would be everything: left alone."""
        whole = self.fault_model.unit == "pixel" and x.shape[2:].numel() == 1
        if not self.training or not self.enabled or self.fault_model.rate == 0 or whole:
            return x if self.activation is None else self.activation(x)
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        stuck = self.fault_model.draw_units(tuple(x.shape), len(self.values), rng)
        levels = torch.tensor(self.values, dtype=x.dtype)[torch.from_numpy(stuck.value)].to(x.device)
        if self.activation is not None:
            return RoundAndStick.apply(x, self.activation.bits, self.activation.signed, stuck, levels)
        return StickUnits.apply(x, stuck, levels, self.in_place)

    def extra_repr(self) -> str:
        """The model and the values."""
        return f"{self.fault_model}, {len(self.values)} values from {self.values[0]:g} to {self.values[-1]:g}"


@checked
def fault_aware(
    module: nn.Module,
    fault_model: StuckActivations,
    *,
    values: Mapping[str, Values] | Values | None = None,
) -> fx.GraphModule:
    """The module with an `ErrorInjection` behind every activation, or behind the pooling that follows it.

    Parameters
    ----------
    module : stays as it is; both share parameters and buffers, and their state dicts are the same
    values : of activations that do not know their own (all but `QuantActivation` and Brevitas's), for all of
        them or by the name of the layer

    Returns
    -------
    The module to train. In evaluation it does what `module` does.

    Raises
    ------
    InputError : an activation without a known set of values, no activation at all, a module that cannot be
        traced.
    """

    def injection(traced: fx.GraphModule, node: fx.Node, behind: fx.Node) -> nn.Module:
        layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        known = _values_of(traced, node, values)
        if isinstance(layer, QuantActivation) and behind is node:
            return ErrorInjection(fault_model, known, activation=layer)
        # what a pooling puts out is needed by the injection alone
        return ErrorInjection(fault_model, known, in_place=behind is not node)

    return insert_after_activations(module, injection)


def with_dropout2d(module: nn.Module, rate: float) -> fx.GraphModule:
    """FAT's rival: Dropout2D where `fault_aware` puts its layers (Dropout behind fully connected ones)."""
    check_rate("rate", rate)
    return insert_after_activations(module, lambda *_: ChannelDropout(rate))


class ChannelDropout(nn.Module):
    """Dropout of whole channels: dropout2d on images, dropout on (N, C), where a channel is a number."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape out; zeros, and the rest divided by 1 - rate (Eqs. 6 and 7)."""
        drop = F.dropout2d if x.ndim == 4 else F.dropout
        return drop(x, self.rate, self.training)

    def extra_repr(self) -> str:
        """The rate."""
        return f"rate={self.rate:g}"


def injections(module: nn.Module) -> list[ErrorInjection]:
    """The error-injection layers of a module, in order."""
    return [m for m in module.modules() if isinstance(m, ErrorInjection)]


@contextmanager
def injected(module: nn.Module, chosen: Sequence[int]) -> Iterator[None]:
    """Enable these injection layers, by their place in `injections`, and no others; as before at the end."""
    layers = injections(module)
    before = [layer.enabled for layer in layers]
    try:
        enable_only(module, chosen)
        yield
    finally:
        for layer, enabled in zip(layers, before, strict=True):
            layer.enabled = enabled


def enable_only(module: nn.Module, chosen: Sequence[int]) -> None:
    """Enable these injection layers, by their place in `injections`, and disable the others."""
    for place, layer in enumerate(injections(module)):
        layer.enabled = place in chosen


def insert_after_activations(
    module: nn.Module, make: Callable[[fx.GraphModule, fx.Node, fx.Node], nn.Module]
) -> fx.GraphModule:
    """The traced module with new layers behind every activation or its pooling.

    Parameters
    ----------
    make : called with the traced module, the activation and what the new layer shall follow: the activation
        or its pooling. An `ErrorInjection` with an `activation` takes the activation's place.
    """
    traced = trace(module)
    _add_unused(traced, module)
    count, found = 0, False
    for node in list(traced.graph.nodes):
        if not _is_activation(node, traced):
            continue
        behind = _pool_behind(node, traced)
        while hasattr(traced, name := f"inserted_{count}"):
            count += 1
        layer = make(traced, node, behind).train(module.training)
        traced.add_submodule(name, layer)
        swallows = getattr(layer, "activation", None) is not None
        with traced.graph.inserting_after(behind):
            new = traced.graph.call_module(name, node.args if swallows else (behind,))
        behind.replace_all_uses_with(new)
        if swallows:
            traced.graph.erase_node(node)
        else:
            new.replace_input_with(new, behind)
        found = True
    if not found:
        raise InputError(f"module {type(module).__name__}", "at least one activation", "none")
    traced.recompile()
    return traced


def _add_unused(traced: fx.GraphModule, module: nn.Module) -> None:
    """Layers that forward leaves out, which tracing drops: the state dict has them."""
    for name, layer in module.named_modules():
        if name and name not in dict(traced.named_modules()):
            traced.add_submodule(name, layer)


def _is_activation(node: fx.Node, traced: fx.GraphModule) -> bool:
    if node.op == "call_module":
        layer = traced.get_submodule(str(node.target))
        known = isinstance(layer, (QuantActivation, *ACTIVATIONS)) or _swallowed(layer) is not None
        return known or (hasattr(layer, "act_quant") and not _is_input(node, traced))
    if node.op == "call_function":
        return node.target in ACTIVATION_FUNCTIONS
    return node.op == "call_method" and node.target in ACTIVATION_METHODS


def _swallowed(layer: nn.Module) -> QuantActivation | None:
    """The activation of an injection layer of an earlier insertion."""
    return layer.activation if isinstance(layer, ErrorInjection) else None


def _is_input(node: fx.Node, traced: fx.GraphModule) -> bool:
    """Whether no layer with weights comes before: a Brevitas layer that quantizes the images."""
    earlier = takewhile(lambda other: other is not node, traced.graph.nodes)
    layers = (traced.get_submodule(str(other.target)) for other in earlier if other.op == "call_module")
    return not any(hasattr(layer, "weight") for layer in layers)


def _pool_behind(node: fx.Node, traced: fx.GraphModule) -> fx.Node:
    reader = next(iter(node.users)) if len(node.users) == 1 else None
    if reader is None:
        return node
    if reader.op == "call_module" and isinstance(traced.get_submodule(str(reader.target)), POOLS):
        return reader
    return reader if reader.op == "call_function" and reader.target in POOL_FUNCTIONS else node


def _values_of(traced: fx.GraphModule, node: fx.Node, given: Mapping[str, Values] | Values | None) -> Values:
    name = str(node.target) if node.op == "call_module" else node.name
    if isinstance(given, Mapping):
        if name in given:
            return given[name]
    elif given is not None:
        return given
    layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    layer = (_swallowed(layer) if layer is not None else None) or layer
    known = activation_values(layer, name) if is_activation(layer) else getattr(layer, "values", None)
    if known is None:
        what = type(layer).__name__ if layer is not None else getattr(node.target, "__name__", node.target)
        raise InputError(
            f"activation {name!r} ({what})",
            "a known set of values",
            "none",
            "use QuantActivation, or pass values={name: (0.0, ...)}",
        )
    return known
