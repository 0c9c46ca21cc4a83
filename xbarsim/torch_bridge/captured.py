"""What `capture` gives: a network as a graph of PyTorch's core operators, its constants worked out.

Modules, functions and methods are one thing here, recurrent cells are unrolled, shapes are numbers, or
multiples of the batch.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import fx

from xbarsim.errors import InputError

aten = torch.ops.aten


@dataclass(frozen=True)
class Times:
    """A size that is a multiple of the batch, and something more."""

    batches: int
    more: int = 0


@dataclass(frozen=True)
class Ref:
    """The value of a source, by its place."""

    place: int


@dataclass(eq=False)
class Captured:
    """A network of core operators.

    Attributes
    ----------
    graph : its nodes call functions on tensors; constants are in `constants`
    inputs : the placeholders, in order
    outputs : the nodes that it gives, by key; the one that scores are read from comes first
    constants : the values of the nodes that depend on no input
    fixed_batch : the batch that it was captured for, where it allows no other
    origins : the layer and line of the user's source that nodes come from
    weights : the names of the parameters that constants are, or are made of
    """

    graph: fx.Graph
    inputs: list[fx.Node]
    outputs: dict[str, fx.Node]
    constants: dict[fx.Node, torch.Tensor]
    fixed_batch: int | None
    origins: dict[fx.Node, str] = field(default_factory=dict)
    weights: dict[fx.Node, str] = field(default_factory=dict)

    def sizes(self, node: fx.Node) -> tuple[int, ...]:
        """The shape of a node's value in the example that was captured, batch and all."""
        return tuple(node.meta["shape"])

    @property
    def examples(self) -> int:
        """The batch that it was captured with."""
        return next((sizes[0] for sizes in map(self.sizes, self.inputs) if sizes), 1)

    def is_data(self, node: Any) -> bool:
        """Whether something is a node whose value depends on the inputs."""
        return isinstance(node, fx.Node) and node not in self.constants and "size" not in node.meta

    def order(self) -> list[fx.Node]:
        """The nodes with tensors that depend on the inputs or on the batch, in order of execution."""
        live = self._live()
        return [n for n in self.graph.nodes if n in live]

    def _live(self) -> set[fx.Node]:
        found: set[fx.Node] = set()
        waiting = [n for n in self.outputs.values() if n not in self.constants]
        while waiting:
            node = waiting.pop()
            if node in found:
                continue
            found.add(node)
            waiting.extend(n for n in node.all_input_nodes if self.is_data(n))
        return found

    def behind(self, known: Iterable[fx.Node]) -> set[fx.Node]:
        """These nodes, and all whose values depend on one of theirs."""
        found = set(known)
        for node in self.graph.nodes:
            if "size" not in node.meta and any(n in found for n in node.all_input_nodes):
                found.add(node)
        return found

    def where(self, node: fx.Node) -> str:
        """How a node is called in messages: its layer, and its place in the user's source."""
        return self.origins.get(node, f"node {node.name!r}")


@dataclass(frozen=True, eq=False)
class TorchOperator:
    """A captured operator on numpy arrays.

    Parameters
    ----------
    target : 'aten.softmax.int'
    args, kwargs : `Ref` stands for a source, `Times` for a size; constants are arrays
    item : which of several results; None for the only one
    through : the type that integers are computed in, for operators that know no integers
    """

    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    item: int | None = None
    through: str | None = None

    def __call__(self, *values: np.ndarray) -> np.ndarray:
        """Run it on (N, ...) arrays; the last is the network's input where a size depends on the batch."""
        tensors = [torch.from_numpy(v if min(v.strides, default=0) >= 0 else v.copy()) for v in values]
        if self.through is not None:
            tensors = [t.to(getattr(torch, self.through)) for t in tensors]
        with torch.no_grad():
            found = self.on_tensors(tensors)
        result = found.numpy()
        return result.astype(values[0].dtype) if self.through is not None else result

    def on_tensors(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        """The same on tensors, with gradients."""
        args = [_filled(a, tensors) for a in self.args]
        kwargs = {k: _filled(v, tensors) for k, v in self.kwargs.items()}
        found = function_of(self.target)(*args, **kwargs)
        return found if self.item is None else found[self.item]


# of tensors that lie in memory in any order
RESHAPES = {"aten.view.default": "aten.reshape.default", "aten._unsafe_view.default": "aten.reshape.default"}


def function_of(target: str) -> Any:
    """The function of a name like 'aten.add.Tensor'."""
    found: Any = torch.ops
    for part in RESHAPES.get(target, target).split("."):
        found = getattr(found, part)
    return found


def _filled(template: Any, tensors: list[torch.Tensor]) -> Any:
    if isinstance(template, Ref):
        return tensors[template.place]
    if isinstance(template, Times):
        return template.batches * len(tensors[-1]) + template.more
    if isinstance(template, (tuple, list)):
        return [_filled(item, tensors) for item in template]
    if isinstance(template, np.ndarray):
        return torch.from_numpy(template)
    if isinstance(template, str) and template.startswith("torch."):
        return getattr(torch, template.removeprefix("torch."))
    return template


def torch_operator(
    captured: Captured, node: fx.Node, **options: Any
) -> tuple[TorchOperator, list[fx.Node], bool]:
    """A node as an operator on arrays, the nodes that it reads, and whether it reads the batch's size as
    well.

    Where it does, something as long as the batch is its last argument.

    Raises
    ------
    InputError : an operator that is none of PyTorch's own.
    """
    item = None
    call = node
    if node.target is operator.getitem:
        call, item = node.args[0], int(node.args[1])  # type: ignore[assignment,arg-type]
    if not isinstance(call.target, torch._ops.OpOverload):
        raise InputError(
            captured.where(node), "an operator of PyTorch", str(call.target), "write it otherwise"
        )
    sources: list[fx.Node] = []
    uses_batch = False

    def template(value: Any) -> Any:
        nonlocal uses_batch
        if isinstance(value, fx.Node):
            if "size" in value.meta:
                size = value.meta["size"]
                uses_batch |= isinstance(size, Times)
                return size
            if value in captured.constants:
                constant = captured.constants[value].detach().contiguous()
                return (constant.float() if constant.dtype == torch.bfloat16 else constant).numpy()
            if value not in sources:
                sources.append(value)
            return Ref(sources.index(value))
        if isinstance(value, (list, tuple)):
            return tuple(template(v) for v in value)
        if isinstance(value, slice):
            raise InputError(captured.where(node), "an operator of PyTorch", "a slice", "write it otherwise")
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return str(value)
        return "torch.cpu" if isinstance(value, torch.device) else value

    args = tuple(template(a) for a in call.args)
    kwargs = {k: template(v) for k, v in call.kwargs.items() if k not in ("device", "pin_memory")}
    return TorchOperator(str(call.target), args, kwargs, item, **options), sources, uses_batch
