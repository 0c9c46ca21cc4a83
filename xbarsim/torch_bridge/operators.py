"""What each torch operator becomes in an `IntegerGraph`: one entry an operator."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F

from xbarsim.errors import InputError
from xbarsim.graph.nodes import Add, AvgPool, Flatten, Input, MatMul, MaxPool, Node, Relu, Requantize
from xbarsim.graph.saturation import warn_of_vanished
from xbarsim.graph.scales import finest_fraction
from xbarsim.graph.window import Window
from xbarsim.torch_bridge.windows import conv_window, pool_window

LARGEST_BIAS = 2**52


@dataclass
class Builder:
    """Collects integer nodes while the traced module is walked."""

    module: fx.GraphModule
    observed: dict[str, Any]
    weight_bits: int
    activation_bits: int
    symmetric: bool
    nodes: list[Node] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    fractions: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def add(self, node: Node, bits: int, signed: bool, *, stands_for: fx.Node | None = None) -> None:
        """Append a node whose values fit `bits` bits."""
        self.nodes.append(node)
        self.fractions[node.name] = node.output_fraction([self.fractions[s] for s in node.sources])
        self.ranges[node.name] = (bits, signed)
        if stands_for is not None:
            self.names[stands_for.name] = node.name

    def source(self, node: fx.Node, position: int = 0) -> str:
        """The integer node that a traced node reads."""
        argument = argument_of(node, position)
        if not isinstance(argument, fx.Node) or argument.name not in self.names:
            raise InputError(f"node {node.name!r}", "tensors of the network as inputs", repr(argument))
        return self.names[argument.name]

    def alias(self, node: fx.Node, source: str) -> None:
        """Let a traced node stand for an integer node that exists."""
        self.names[node.name] = source

    def add_input(self, node: fx.Node) -> None:
        """The image."""
        low, high, _ = self.observed[node.name]
        bits, signed = self.activation_bits, low < 0
        fraction = finest_fraction(low, high, bits, signed)
        self.add(
            Input(name="input", bits=bits, signed=signed, fraction=fraction), bits, signed, stands_for=node
        )

    def requantize(self, node: fx.Node, source: str) -> None:
        """Bring accumulators back to activations; a ReLU that alone reads them is taken in."""
        reader = next(iter(node.users)) if len(node.users) == 1 else None
        if reader is not None and reader.op == "output":
            self.alias(node, source)
            return
        relu = reader is not None and is_relu(reader, self.module)
        low, high, _ = self.observed[reader.name if relu and reader is not None else node.name]
        signed = not relu and low < 0
        fraction = finest_fraction(low, high, self.activation_bits, signed)
        self.add(
            Requantize(
                name=f"{source}.out",
                sources=(source,),
                shift=self.fractions[source] - fraction,
                bits=self.activation_bits,
                signed=signed,
            ),
            self.activation_bits,
            signed,
            stands_for=node,
        )

    def finish(self, source: fx.Node) -> None:
        """Check that the last integer node is the output."""
        if self.names.get(source.name) != self.nodes[-1].name or isinstance(self.nodes[-1], Input):
            raise InputError("module", "its last operator as output", repr(source.name))


@dataclass(frozen=True)
class Operator:
    """How one kind of operator is recognised and built."""

    label: str
    modules: tuple[type[nn.Module], ...]
    functions: tuple[Any, ...]
    methods: tuple[str, ...]
    build: Callable[[Builder, fx.Node], None]

    @property
    def shares_memory(self) -> bool:
        """True if its result may be the very memory of its input."""
        return self.build in (_skip, _flatten)


def operator_of(node: fx.Node, module: fx.GraphModule) -> Operator | None:
    """The entry for a traced node, or None."""
    for entry in OPERATORS:
        if node.op == "call_module" and type(module.get_submodule(str(node.target))) in entry.modules:
            return entry
        if node.op == "call_function" and node.target in entry.functions:
            return entry
        if node.op == "call_method" and node.target in entry.methods:
            return entry
    return None


def argument_of(node: fx.Node, position: int) -> Any:
    """A traced node's first or second tensor argument, given by place or by name."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(("input", "other")[position])


def is_relu(node: fx.Node, module: fx.GraphModule) -> bool:
    """True if a traced node is a ReLU."""
    found = operator_of(node, module)
    return found is not None and found.build is _relu


def _weighted(builder: Builder, node: fx.Node) -> None:
    layer: Any = builder.module.get_submodule(str(node.target))
    source = builder.source(node)
    bits, signed = builder.ranges[source]
    window = conv_window(layer, str(node.target)) if isinstance(layer, nn.Conv2d) else None
    if window is None and len(builder.observed[node.name][2]) != 1:
        raise InputError(
            f"layer {node.target!r}", "(N, features) inputs of a linear layer", "more dimensions"
        )
    weight = layer.weight.detach().cpu().numpy()
    groups = layer.groups if window is not None else 1
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1).transpose(0, 2, 1)
    top = 2 ** (builder.weight_bits - 1) - 1
    low = -top if builder.symmetric else -top - 1
    fraction = finest_fraction(float(matrix.min()), float(matrix.max()), builder.weight_bits, True)
    quantized = np.clip(np.floor(matrix * 2.0**fraction + 0.5), low, top).astype(np.int64)
    warn_of_vanished(f"layer {node.target!r}", matrix, quantized)
    if layer.bias is None:
        bias = np.zeros(weight.shape[0], np.int64)
    else:
        scale = 2.0 ** (fraction + builder.fractions[source])
        rounded = np.floor(layer.bias.detach().cpu().numpy() * scale + 0.5)
        if np.abs(rounded).max(initial=0) > LARGEST_BIAS:
            raise InputError(
                f"layer {node.target!r}",
                "a bias that is not far above weights times inputs",
                f"{np.abs(rounded).max():.3g} steps",
                "scale the network or the images",
            )
        bias = rounded.astype(np.int64)
    matmul = MatMul(
        name=str(node.target),
        sources=(source,),
        weights=np.ascontiguousarray(quantized),
        bias=bias,
        weight_fraction=fraction,
        input_bits=bits,
        input_signed=signed,
        window=window,
    )
    builder.add(matmul, 63, True)
    builder.requantize(node, matmul.name)


def _relu(builder: Builder, node: fx.Node) -> None:
    source = builder.source(node)
    bits, signed = builder.ranges[source]
    if not signed:
        builder.alias(node, source)
        return
    relu = Relu(name=f"{source}.relu", sources=(source,))
    builder.add(relu, bits - 1, False, stands_for=node)


def _max_pool(builder: Builder, node: fx.Node) -> None:
    source = builder.source(node)
    window, _ = pool_window(node, builder.module)
    pool = MaxPool(name=_unique(builder, node), sources=(source,), window=window)
    builder.add(pool, *builder.ranges[source], stands_for=node)


def _avg_pool(builder: Builder, node: fx.Node) -> None:
    window, options = pool_window(node, builder.module)
    _add_avg_pool(builder, node, window, bool(options.get("count_include_pad", True)))


def _adaptive_avg_pool(builder: Builder, node: fx.Node) -> None:
    argument = argument_of(node, 0)
    before, after = builder.observed[argument.name][2], builder.observed[node.name][2]  # type: ignore[union-attr,index]
    if before[1] % after[1] or before[2] % after[2]:
        raise InputError(
            f"node {node.name!r} (adaptive average pooling)",
            "an input size that the output size divides",
            f"{before[1:]} to {after[1:]}",
        )
    kernel = (before[1] // after[1], before[2] // after[2])
    _add_avg_pool(builder, node, Window(kernel=kernel, stride=kernel), True)


def _add_avg_pool(builder: Builder, node: fx.Node, window: Window, count_padding: bool) -> None:
    source = builder.source(node)
    pool = AvgPool(name=_unique(builder, node), sources=(source,), window=window, count_padding=count_padding)
    builder.add(pool, *builder.ranges[source], stands_for=node)


def _flatten(builder: Builder, node: fx.Node) -> None:
    source = builder.source(node)
    argument = argument_of(node, 0)
    before, after = builder.observed[argument.name][2], builder.observed[node.name][2]  # type: ignore[union-attr,index]
    if len(after) != 1 or int(np.prod(before)) != after[0]:
        raise InputError(f"node {node.name!r}", "a reshape to (N, features)", f"{before} to {after} an image")
    if len(before) == 1:
        builder.alias(node, source)
        return
    builder.add(
        Flatten(name=_unique(builder, node), sources=(source,)), *builder.ranges[source], stands_for=node
    )


def _add(builder: Builder, node: fx.Node) -> None:
    sources = builder.source(node, 0), builder.source(node, 1)
    fractions = [builder.fractions[s] for s in sources]
    shapes = {builder.observed[argument.name][2] for argument in (argument_of(node, 0), argument_of(node, 1))}  # type: ignore[union-attr,index]
    if len(shapes) > 1 or node.kwargs.get("alpha", 1) != 1:
        raise InputError(
            f"node {node.name!r} (add)", "two tensors of one shape, unscaled", str(sorted(shapes))
        )
    finest = max(fractions)
    add = Add(
        name=_unique(builder, node), sources=sources, shifts=(finest - fractions[0], finest - fractions[1])
    )
    builder.add(add, 63, True)
    builder.requantize(node, add.name)


def _skip(builder: Builder, node: fx.Node) -> None:
    if node.target is F.dropout and (
        node.args[2] if len(node.args) > 2 else node.kwargs.get("training", True)
    ):
        raise InputError(f"node {node.name!r} (dropout)", "training=self.training", "training=True")
    builder.alias(node, builder.source(node))


def _unique(builder: Builder, node: fx.Node) -> str:
    taken = {n.name for n in builder.nodes}
    name = str(node.target) if node.op == "call_module" else node.name
    return name if name not in taken else f"{name}.{node.name}"


def _no_tensor(builder: Builder, node: fx.Node) -> None:
    raise InputError(f"node {node.name!r}", "sizes used for reshaping only", "a tensor")


OPERATORS = (
    Operator("linear and convolution", (nn.Linear, nn.Conv2d), (), (), _weighted),
    Operator("ReLU", (nn.ReLU,), (F.relu, torch.relu, torch.relu_, F.relu_), ("relu", "relu_"), _relu),
    Operator("max pooling", (nn.MaxPool2d,), (F.max_pool2d, torch.max_pool2d), (), _max_pool),
    Operator("average pooling", (nn.AvgPool2d,), (F.avg_pool2d,), (), _avg_pool),
    Operator("average pooling", (nn.AdaptiveAvgPool2d,), (F.adaptive_avg_pool2d,), (), _adaptive_avg_pool),
    Operator("flatten", (nn.Flatten,), (torch.flatten,), ("flatten", "view", "reshape"), _flatten),
    Operator("residual add", (), (operator.add, operator.iadd, torch.add), ("add", "add_"), _add),
    Operator("dropout", (nn.Dropout, nn.Dropout2d, nn.Identity), (F.dropout,), ("contiguous",), _skip),
    Operator("size", (), (getattr, operator.getitem, operator.mul), ("size",), _no_tensor),
)
