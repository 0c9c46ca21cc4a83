"""Networks of plain layers as core operators, by torch.fx: what torch.export gives, in milliseconds.

Plain are linear layers of (N, features), convolutions, batch norm behind them, ReLU, pooling, flatten,
addition and dropout. Whatever else there is, or works in place on a value that others read, is left to the
export.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from xbarsim.errors import InputError
from xbarsim.torch_bridge.captured import Captured, aten
from xbarsim.torch_bridge.norms import fold_batch_norm
from xbarsim.torch_bridge.tracing import trace
from xbarsim.torch_bridge.windows import pair

RELU = (F.relu, torch.relu, torch.relu_, F.relu_, "relu", "relu_")
RESHAPE = (torch.flatten, "flatten", "view", "reshape")
ADD = (operator.add, operator.iadd, torch.add, "add", "add_")
SIZES = (getattr, operator.getitem, operator.mul, "size")
Emit = Callable[[Any, list[Any], dict[str, Any]], Any]


class NotPlain(Exception):
    """A network that torch.export has to capture."""


def plain(module: nn.Module, sample: torch.Tensor) -> Captured:
    """Capture a network of plain layers.

    Parameters
    ----------
    module : in eval mode; it is left as it is
    sample : (N, ...) inputs

    Raises
    ------
    NotPlain : see there.
    """
    try:
        traced = trace(copy.deepcopy(module))
        _check_in_place(traced)
        traced = traced.to(sample.dtype)
        fold_batch_norm(traced)
        shapes = _Shapes(traced).of(sample[:2])
    except InputError as error:
        raise NotPlain from error
    return _Emission(traced, shapes, sample.dtype).captured()


class _Shapes(fx.Interpreter):
    """Runs a module and notes the shape of every node."""

    def of(self, sample: torch.Tensor) -> dict[fx.Node, tuple[int, ...]]:
        self.found: dict[fx.Node, tuple[int, ...]] = {}
        self.extra_traceback = False
        with torch.no_grad():
            try:
                self.run(sample)
            except Exception as error:  # whatever it is, the export says it better
                raise NotPlain from error
        return self.found

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.found[n] = tuple(value.shape)
        return value


class _Emission:
    """The core operators of a traced module, node by node."""

    def __init__(
        self, traced: fx.GraphModule, shapes: dict[fx.Node, tuple[int, ...]], dtype: torch.dtype
    ) -> None:
        self.traced, self.shapes, self.dtype = traced, shapes, dtype
        self.graph = fx.Graph()
        self.made: dict[fx.Node, fx.Node] = {}
        self.constants: dict[fx.Node, torch.Tensor] = {}
        self.weights: dict[fx.Node, str] = {}
        self.origins: dict[fx.Node, str] = {}
        self.held: dict[int, fx.Node] = {}

    def captured(self) -> Captured:
        inputs, outputs = [], {}
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                if node not in self.shapes:
                    raise NotPlain
                made = self.graph.placeholder(node.name)
                self._note(node, made)
                inputs.append(made)
            elif node.op == "output":
                if not isinstance(node.args[0], fx.Node) or node.args[0] not in self.made:
                    raise NotPlain
                outputs["output"] = self.made[node.args[0]]
            elif node in self.shapes:
                self._note(node, self._emit(node))
            elif node.op == "get_attr" or not self._is(node, SIZES):
                raise NotPlain
        if len(inputs) != 1:
            raise NotPlain
        return Captured(
            graph=self.graph,
            inputs=inputs,
            outputs=outputs,
            constants=self.constants,
            fixed_batch=None,
            origins=self.origins,
            weights=self.weights,
        )

    def _note(self, node: fx.Node, made: fx.Node) -> None:
        self.made[node] = made
        if "shape" in made.meta:
            return
        made.meta["shape"], made.meta["dtype"] = self.shapes[node], self.dtype
        layer = self._layer(node)
        kind = type(layer).__name__
        self.origins[made] = f"node {node.name!r}" if layer is None else f"layer {node.target!r} ({kind})"
        made.meta["layer"] = node.name if layer is None else str(node.target)

    def _layer(self, node: fx.Node) -> Any:
        return self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None

    def _is(self, node: fx.Node, targets: tuple[Any, ...]) -> bool:
        return node.op in ("call_function", "call_method") and node.target in targets

    def _emit(self, node: fx.Node) -> fx.Node:
        """The core operator of one node; a node that changes nothing is the one that it reads."""
        layer = self._layer(node)
        kind = type(layer)
        x = self._source(node, 0, "input")
        if kind in (nn.Dropout, nn.Dropout2d, nn.Identity) or self._is(node, ("contiguous",)):
            return x
        if node.target is F.dropout and _option(node, 2, "training", True) is False:
            return x
        if kind is nn.Linear and len(self.shapes[node]) == 2:
            return self._call(aten.linear.default, x, *self._parameters(layer, node))
        if kind is nn.Conv2d and layer.padding_mode == "zeros":
            return self._convolution(node, x, layer)
        if kind is nn.ReLU or self._is(node, RELU):
            return self._call(aten.relu.default, x)
        if kind is nn.Flatten or self._is(node, RESHAPE):
            return self._flatten(node, x)
        if self._is(node, ADD):
            return self._add(node, x)
        return self._pool(node, x, layer)

    def _convolution(self, node: fx.Node, x: fx.Node, layer: nn.Conv2d) -> fx.Node:
        padding = [0, 0]
        if layer.padding == "same":
            totals = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
            if any(t % 2 for t in totals):
                ends = [side for t in reversed(totals) for side in (t // 2, t - t // 2)]
                x = self._call(aten.constant_pad_nd.default, x, ends, 0.0)
                n, c, h, w = self.shapes[node.args[0]]  # type: ignore[index]
                x.meta["shape"] = (n, c, h + totals[0], w + totals[1])
                x.meta["dtype"] = self.dtype
            else:
                padding = [t // 2 for t in totals]
        elif layer.padding != "valid":
            padding = list(pair(layer.padding))
        numbers = (list(layer.stride), padding, list(layer.dilation), False, [0, 0], layer.groups)
        return self._call(aten.convolution.default, x, *self._parameters(layer, node), *numbers)

    def _flatten(self, node: fx.Node, x: fx.Node) -> fx.Node:
        before, after = x.meta["shape"], self.shapes[node]
        if len(after) != 2 or before[0] != after[0]:
            raise NotPlain
        return x if before == after else self._call(aten.flatten.using_ints, x, 1)

    def _add(self, node: fx.Node, x: fx.Node) -> fx.Node:
        other = self._source(node, 1, "other")
        if x.meta["shape"] != other.meta["shape"] or node.kwargs.get("alpha", 1) != 1:
            raise NotPlain
        return self._call(aten.add.Tensor, x, other)

    def _pool(self, node: fx.Node, x: fx.Node, layer: Any) -> fx.Node:
        largest = isinstance(layer, nn.MaxPool2d) or node.target in (F.max_pool2d, torch.max_pool2d)
        average = isinstance(layer, nn.AvgPool2d) or node.target is F.avg_pool2d
        if isinstance(layer, nn.AdaptiveAvgPool2d) or node.target is F.adaptive_avg_pool2d:
            return self._call(aten.adaptive_avg_pool2d.default, x, list(self.shapes[node][2:]))
        if not (largest or average) or len(x.meta["shape"]) != 4:
            raise NotPlain
        names = ["kernel_size", "stride", "padding"]
        names += (
            ["dilation", "ceil_mode"] if largest else ["ceil_mode", "count_include_pad", "divisor_override"]
        )
        given = {n: getattr(layer, n) for n in names} if layer is not None else {}
        if layer is None:
            given = dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)
        if given.pop("return_indices", getattr(layer, "return_indices", False)):
            raise NotPlain
        kernel = list(pair(given["kernel_size"]))
        stride = given.get("stride")
        stride = kernel if stride is None or stride == [] else list(pair(stride))
        padding, ceil = list(pair(given.get("padding", 0))), bool(given.get("ceil_mode", False))
        if largest:
            dilation = list(pair(given.get("dilation", 1)))
            return self._call(aten.max_pool2d.default, x, kernel, stride, padding, dilation, ceil)
        counted = bool(given.get("count_include_pad", True))
        divisor = given.get("divisor_override")
        return self._call(aten.avg_pool2d.default, x, kernel, stride, padding, ceil, counted, divisor)

    def _source(self, node: fx.Node, place: int, name: str) -> fx.Node:
        found = node.args[place] if len(node.args) > place else node.kwargs.get(name)
        if not isinstance(found, fx.Node) or found not in self.made:
            raise NotPlain
        return self.made[found]

    def _parameters(self, layer: Any, node: fx.Node) -> list[fx.Node | None]:
        return [
            self._constant(layer.weight, f"{node.target}.weight"),
            None if layer.bias is None else self._constant(layer.bias, f"{node.target}.bias"),
        ]

    def _constant(self, value: torch.Tensor, name: str) -> fx.Node:
        if id(value) not in self.held:
            made = self.graph.placeholder(f"p{len(self.held)}")
            self.constants[made], self.weights[made] = value.detach(), name
            self.held[id(value)] = made
        return self.held[id(value)]

    def _call(self, target: Any, *args: Any) -> fx.Node:
        return self.graph.call_function(target, args)


def _option(node: fx.Node, place: int, name: str, default: Any) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _check_in_place(traced: fx.GraphModule) -> None:
    """Leave it to the export where an operator overwrites a value that something else reads as well."""
    for node in traced.graph.nodes:
        source = (
            node.args[0] if node.op.startswith("call") and node.args and _overwrites(node, traced) else None
        )
        while isinstance(source, fx.Node):
            if len(source.users) > 1:
                raise NotPlain
            through = source.args and _shares_memory(source, traced)
            source = source.args[0] if through else None


def _shares_memory(node: fx.Node, traced: fx.GraphModule) -> bool:
    """True if a node's value may be the very memory of the one it reads."""
    if node.op == "call_module":
        layer = traced.get_submodule(str(node.target))
        return isinstance(layer, (nn.Flatten, nn.Dropout, nn.Dropout2d, nn.Identity))
    return node.target in (*RESHAPE, F.dropout, "contiguous")


def _overwrites(node: fx.Node, traced: fx.GraphModule) -> bool:
    if node.op == "call_module":
        layer = traced.get_submodule(str(node.target))
        return bool(getattr(layer, "inplace", False)) and not isinstance(layer, nn.Dropout)
    name = str(getattr(node.target, "__name__", node.target))
    given = node.kwargs.get("inplace", name == "relu" and len(node.args) > 1 and node.args[1])
    return bool(given) or name in ("iadd", "relu_", "add_")
