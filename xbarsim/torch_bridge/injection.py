"""Error injection: layers that stick activations at their values while a network trains.

`fault_aware` puts one behind every activation, or behind the pooling that follows it, and behind layers that
no activation follows (`xbarsim.torch_bridge.injection_places`). What it returns shares
its parameters with the module that was handed in, which stays as it was: train the one, save the other.

Source: FAT (Zahid et al.), section IV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from xbarsim.torch_bridge.injection_places import Point, points_of, reached_by
from xbarsim.torch_bridge.quantized import QuantActivation, RoundActivations, largest, rounded
from xbarsim.torch_bridge.reach import warn_of_left_out
from xbarsim.torch_bridge.tracing import trace

Values = Sequence[float]
WHAT = "error injection"


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
    axis : of the channels: 1, or -1 behind linear layers
    batch : the axis of the inputs: 0, or 1 behind recurrent layers and attention without `batch_first`

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
        axis: int = 1,
        batch: int = 0,
    ) -> None:
        super().__init__()
        known = check_array("values", values, ("values",), remedy="those that an activation can take")
        self.fault_model, self.values = fault_model, tuple(float(v) for v in known)
        self.activation, self.in_place = activation, in_place
        self.axis, self.batch = axis, batch
        self.enabled = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, ...), or as the axes say, the same shape out.

        A pixel of (N, C) would be everything: left alone.
        """
        if x.ndim < 3 or (self.axis == 1 and not self.batch):
            return self._stick(x)
        ends = (self.batch, self.axis % x.ndim)
        return self._stick(x.movedim(ends, (0, 1))).movedim((0, 1), ends)

    def _stick(self, x: torch.Tensor) -> torch.Tensor:
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

    Layers that no activation follows before the next layer (projections of attention, linear bottlenecks,
    states of recurrent layers) have one behind their output, where its values are given. Which weights have
    no errors behind them, a `ReachWarning` says.

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

    chosen: list[Point] = []

    def injection(traced: fx.GraphModule, point: Point) -> nn.Module | None:
        node = point.node
        layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        known = _values_of(traced, node, values) if point.own else _values_at(node, values)
        if known is None:
            return None
        chosen.append(point)
        behind = point.behind is node
        return ErrorInjection(
            fault_model,
            known,
            activation=layer if isinstance(layer, QuantActivation) and behind else None,
            in_place=point.own and not behind,  # what a pooling puts out is needed by the injection alone
            axis=point.axis,
            batch=point.batch,
        )

    traced = insert_after_activations(
        module, injection, lambda traced: warn_of_left_out(WHAT, module, reached_by(traced, chosen))
    )
    return traced


def with_dropout2d(module: nn.Module, rate: float) -> fx.GraphModule:
    """FAT's rival: Dropout2D where `fault_aware` puts its layers (Dropout behind fully connected ones)."""
    check_rate("rate", rate)
    return insert_after_activations(module, lambda _, point: ChannelDropout(rate, axis=point.axis))


class ChannelDropout(nn.Module):
    """Dropout of whole channels: dropout2d on images, dropout on (N, C), where a channel is a number."""

    def __init__(self, rate: float, *, axis: int = 1) -> None:
        super().__init__()
        self.rate, self.axis = rate, axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape out; zeros, and the rest divided by 1 - rate (Eqs. 6 and 7)."""
        if x.ndim == 4 and self.axis == 1:
            return F.dropout2d(x, self.rate, self.training)
        if x.ndim < 3 or not self.training:
            return F.dropout(x, self.rate, self.training)
        shape = [n if i in (0, self.axis % x.ndim) else 1 for i, n in enumerate(x.shape)]
        return x * F.dropout(x.new_ones(shape), self.rate)

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
    module: nn.Module,
    make: Callable[[fx.GraphModule, Point], nn.Module | None],
    see: Callable[[fx.GraphModule], None] = lambda traced: None,
) -> fx.GraphModule:
    """The traced module with new layers behind every activation, or what `Point` says is one.

    Parameters
    ----------
    make : gives what goes to a place, or None for nothing. An `ErrorInjection` with an `activation` takes the
        activation's place
    see : called with the traced module before anything is inserted
    """
    traced = trace(module)
    _add_unused(traced, module)
    made = [(point, layer) for point in points_of(traced) if (layer := make(traced, point)) is not None]
    if not made:
        raise InputError(f"module {type(module).__name__}", "at least one activation", "none")
    see(traced)
    count = 0
    for point, layer in made:
        while hasattr(traced, name := f"inserted_{count}"):
            count += 1
        traced.add_submodule(name, layer.train(module.training))
        swallows = getattr(layer, "activation", None) is not None
        with traced.graph.inserting_after(point.behind):
            new = traced.graph.call_module(name, point.node.args if swallows else (point.behind,))
        point.behind.replace_all_uses_with(new)
        if swallows:
            traced.graph.erase_node(point.node)
        else:
            new.replace_input_with(new, point.behind)
    traced.recompile()
    return traced


def _add_unused(traced: fx.GraphModule, module: nn.Module) -> None:
    """Layers that forward leaves out, which tracing drops: the state dict has them."""
    for name, layer in module.named_modules():
        if name and name not in dict(traced.named_modules()):
            traced.add_submodule(name, layer)


def _swallowed(layer: nn.Module) -> QuantActivation | None:
    """The activation of an injection layer of an earlier insertion."""
    return layer.activation if isinstance(layer, ErrorInjection) else None


def _values_at(node: fx.Node, given: Mapping[str, Values] | Values | None) -> Values | None:
    """The values that a layer's bare output shall have, if any were given."""
    if isinstance(given, Mapping):
        return given.get(str(node.target) if node.op == "call_module" else node.name)
    return given


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
