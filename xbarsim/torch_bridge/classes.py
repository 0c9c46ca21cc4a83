"""Which operators of a captured network are computed in integers, and which stay in floats.

An operator is exact where integers reach it and integers are wanted of it. Products with constant weights are
on the arrays and take integers. Operators that only move, add, multiply, average or look up values are exact
if all they read is, and something that needs integers reads them; the rest stays in floats, and so does what
only such operators read.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import fx

from xbarsim.torch_bridge.captured import Captured, aten
from xbarsim.torch_bridge.products import VIEWS, Weighted, affine_of
from xbarsim.torch_bridge.slopes import prelu_of

MOVES = {
    *VIEWS,
    aten.flatten.using_ints,
    aten.permute.default,
    aten.transpose.int,
    aten.t.default,
    aten.expand.default,
    aten.slice.Tensor,
    aten.select.int,
    aten.unsqueeze.default,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.split_with_sizes.default,
    aten.split.Tensor,
    aten.unbind.int,
    aten.index_select.default,
    aten.index.Tensor,
    aten.flip.default,
    aten.roll.default,
    aten.repeat.default,
    aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default,
    aten.detach.default,
    aten.lift_fresh_copy.default,
}
THROUGH_FLOATS = {
    aten.max_pool2d.default,
    aten.max_pool2d_with_indices.default,
    aten.max_pool3d_with_indices.default,
    aten.max_pool1d.default,
    aten.max_pool3d.default,
    aten.adaptive_max_pool2d.default,
    aten.amax.default,
    aten.upsample_nearest1d.vec,
    aten.upsample_nearest2d.vec,
    aten.upsample_nearest3d.vec,
    aten.upsample_nearest1d.default,
    aten.upsample_nearest2d.default,
    aten.upsample_nearest3d.default,
    aten.reflection_pad1d.default,
    aten.reflection_pad2d.default,
    aten.reflection_pad3d.default,
    aten.replication_pad1d.default,
    aten.replication_pad2d.default,
    aten.replication_pad3d.default,
}
PADS = {aten.constant_pad_nd.default}
MEANS = {aten.mean.dim, aten.sum.dim_IntList}
WINDOW_MEANS = {
    aten.avg_pool1d.default,
    aten.avg_pool2d.default,
    aten.avg_pool3d.default,
    aten.adaptive_avg_pool2d.default,
    aten._adaptive_avg_pool2d.default,
}
SUMS = {aten.add.Tensor, aten.sub.Tensor}
_ELEMENTWISE = frozenset(
    """
relu sigmoid tanh gelu silu hardtanh hardsigmoid hardswish leaky_relu elu celu selu mish softplus softshrink
hardshrink log_sigmoid exp expm1 log log1p log2 sqrt rsqrt reciprocal abs neg sign square erf sin cos tan asin
acos atan sinh cosh asinh acosh atanh ceil floor round trunc pow clamp clamp_min clamp_max threshold relu6
add sub rsub mul div maximum minimum where gt lt ge le eq ne logical_not logical_and logical_or isnan isinf
nan_to_num full_like ones_like zeros_like scalar_tensor fmod remainder atan2
""".split()  # noqa: SIM905
)


def is_elementwise(target: Any) -> bool:
    """Whether an operator takes tensors value by value."""
    name = str(target)
    return name.startswith("aten.") and name.split(".")[1].rstrip("_") in _ELEMENTWISE


@dataclass(eq=False)
class Classes:
    """The class of every node of a captured network.

    With `fixed_point`, sums and products of two tensors are never part of a table, and sums that are only
    moved until the network gives them are rounded for that.
    """

    captured: Captured
    products: dict[fx.Node, Weighted]
    fixed_point: bool = False

    def __post_init__(self) -> None:
        self.order = self.captured.order()
        self.folded = {n: w for w in self.products.values() for n in w.folded}
        self._live = set(self.order)

    def sources(self, node: fx.Node) -> list[fx.Node]:
        """The nodes with data that a node reads; those of a multiple result through it."""
        call = node.args[0] if node.target is operator.getitem else node
        assert isinstance(call, fx.Node)
        return [n for n in call.all_input_nodes if self.captured.is_data(n)]

    def target(self, node: fx.Node) -> Any:
        """The operator of a node, that of a multiple result through it."""
        return node.args[0].target if node.target is operator.getitem else node.target  # type: ignore[union-attr]

    def readers(self, node: fx.Node) -> list[fx.Node]:
        """The nodes that read one, multiple results through their items; itself where it is an output."""
        found: list[fx.Node] = []
        for user in node.users:
            if user not in self._live and user.target is not operator.getitem:
                continue
            parts = [u for u in user.users if u.target is operator.getitem and u in self._live]
            found.extend(parts if parts and user.target is not operator.getitem else [user])
        found = [n for n in found if n in self._live]
        return found + [node for out in self.captured.outputs.values() if out is node]

    @cached_property
    def data(self) -> set[fx.Node]:
        """The nodes that depend on inputs or arrays; the others are the same for all inputs of a batch."""
        return self.captured.behind([*self.captured.inputs, *self.products])

    def root(self, node: fx.Node) -> fx.Node | None:
        """The one node that an elementwise node is a function of, value by value, through such nodes."""
        return self._roots[node]

    @cached_property
    def _roots(self) -> dict[fx.Node, fx.Node | None]:
        found: dict[fx.Node, fx.Node | None] = {}
        for node in self.order:
            found[node] = None
            if node in self.folded or node in self.products or not is_elementwise(node.target):
                continue
            sources = self.sources(node)
            constants = [n for n in node.all_input_nodes if n in self.captured.constants]
            if any(self.captured.constants[n].numel() != 1 for n in constants):
                continue
            if any("size" in n.meta for n in node.all_input_nodes):
                continue
            binary = node.target in SUMS or node.target is aten.mul.Tensor
            if self.fixed_point and binary and all(map(self.captured.is_data, node.args[:2])):
                continue
            roots = {found[s] or s for s in sources}
            if len(roots) == 1:
                (root,) = roots
                same = self.captured.sizes(root) == self.captured.sizes(node)
                if same and root.meta["dtype"].is_floating_point:
                    found[node] = root
        return found

    @cached_property
    def can_be_integer(self) -> set[fx.Node]:
        """The nodes whose values integers can stand for, given those that they read."""
        found: set[fx.Node] = set()
        for node in self.order:
            if not self._of_floats(node):
                continue
            given = node in self.products or node in self.folded or node.op == "placeholder"
            made = self._is_exact(node) and all(s in found for s in self._read(node))
            if given or made or node not in self.data:
                found.add(node)
        return found

    def _of_floats(self, node: fx.Node) -> bool:
        return "dtype" in node.meta and node.meta["dtype"].is_floating_point

    def _read(self, node: fx.Node) -> list[fx.Node]:
        root, prelu = self._roots[node], prelu_of(self.captured, node)
        if prelu is not None:
            return [root or prelu.source]
        return self.sources(node) if root is None else [root]

    def _is_exact(self, node: fx.Node) -> bool:
        """Whether there is an exact operator for it."""
        target, sources = self.target(node), self.sources(node)
        if self._roots[node] is not None or affine_of(self.captured, node) is not None:
            return True
        if prelu_of(self.captured, node) is not None:
            return True
        if target in MOVES or target in THROUGH_FLOATS:
            item = node.args[1] if node.target is operator.getitem else 0
            return len(sources) == 1 and (target in MOVES or bool(item == 0))
        if target in PADS:  # other values may lie on no grid, as minus infinity before a largest value
            return not (node.args[2] if len(node.args) > 2 else 0)
        if target in MEANS or target in WINDOW_MEANS:
            return self._averages(node)
        if target is aten.cat.default:
            parts: Any = node.args[0]
            return all(self.captured.is_data(part) for part in parts)
        if target in SUMS or target is aten.mul.Tensor:
            return len(sources) == 2 and bool(node.kwargs.get("alpha", 1) == 1)
        return False

    def _averages(self, node: fx.Node) -> bool:
        """Whether all windows of a mean have a size of their own that integers divide by."""
        before = self.captured.sizes(self.sources(node)[0])
        after = self.captured.sizes(node)
        target: Any = self.target(node)
        if target in MEANS:
            axes: Any = node.args[1] if len(node.args) > 1 else None
            inner = all(int(a) % len(before) > 0 for a in axes or ())
            return inner and bool(axes) and "dtype" not in node.kwargs
        if target in (aten.adaptive_avg_pool2d.default, aten._adaptive_avg_pool2d.default):
            return all(b % a == 0 for b, a in zip(before[-2:], after[-2:], strict=True))
        options: dict[str, Any] = dict(zip(("ceil", "counted", "divisor"), node.args[4:], strict=False))
        return options.get("divisor") is None and len(before) == len(_kernel(node)) + 2

    @cached_property
    def integer(self) -> set[fx.Node]:
        """The nodes that are computed in integers, or on the arrays."""
        wanted: set[fx.Node] = set()
        found: set[fx.Node] = set()
        for node in reversed(self.order):
            if node in self.products:
                found.add(node)
                wanted.add(self.products[node].source)
                continue
            if any(out is node for out in self.captured.outputs.values()) and not self._moved_sums(node):
                wanted.add(node)
            if node not in self.can_be_integer or node not in wanted:
                continue
            found.add(node)
            wanted.update(self._read(node) if node in self.data and node.op != "placeholder" else ())
        return found

    def _moved_sums(self, node: fx.Node) -> bool:
        """Whether a value is the sums of a product, put elsewhere."""
        if self.fixed_point:
            return False
        while node not in self.products and (node in self.folded or self.target(node) in MOVES):
            node = self.sources(node)[0]
        return node in self.products


def _kernel(node: fx.Node) -> tuple[int, ...]:
    kernel: Any = node.args[1]
    return (kernel,) if isinstance(kernel, int) else tuple(kernel)


def in_float64(captured: Captured, node: fx.Node, root: fx.Node, values: torch.Tensor) -> torch.Tensor:
    """A node's function of its root, on values of it."""
    known: dict[fx.Node, torch.Tensor] = {root: values}

    def value(n: fx.Node) -> Any:
        if n in captured.constants:
            constant = captured.constants[n].reshape(())
            return constant.double() if constant.is_floating_point() else constant
        if n not in known:
            args = fx.map_arg(n.args, value)
            kwargs = fx.map_arg({k: v for k, v in n.kwargs.items() if k not in _IGNORED}, value)
            known[n] = n.target(*args, **kwargs)  # type: ignore[operator]
        return known[n]

    with torch.no_grad():
        return value(node).double()


_IGNORED = ("device", "pin_memory", "dtype", "layout", "memory_format")
