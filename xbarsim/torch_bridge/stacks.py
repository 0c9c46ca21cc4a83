"""A stack of constant matrices, one a group (experts, grouped layers as `bmm`), as a grouped convolution.

torch.bmm multiplies the i-th matrix of (groups, n, inputs) activations with the i-th of (groups, inputs,
outputs) weights. On arrays that is a convolution of width 1 with as many groups.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from xbarsim.torch_bridge.captured import Captured, Times, aten
from xbarsim.torch_bridge.products import VIEWS

_REPEATS = (*VIEWS, aten.expand.default, aten.unsqueeze.default, aten.permute.default, aten.transpose.int)


def group_stacks(captured: Captured) -> None:
    """Write every product with a stack of different constant matrices as a grouped convolution, in place."""
    for node in captured.order():
        if node.target is aten.bmm.default:
            source, weights = node.args
            assert isinstance(source, fx.Node) and isinstance(weights, fx.Node)
            fixed = isinstance(node.meta["val"].shape[1], int)
            stack = _stack(captured, weights, fewest=fixed) if captured.is_data(source) else None
            if stack is not None:
                _Grouped(captured, node, source, stack, _name(captured, weights)).replace()


def _stack(captured: Captured, node: fx.Node, *, fewest: bool) -> torch.Tensor | None:
    """(groups, inputs, outputs) constants that a batch of matrices repeats, as often as the batch says.

    With `fewest`, as few groups as repeat; otherwise as many as no batch changes.
    """
    examples = captured.examples

    def value(n: fx.Node) -> Any:
        if n in captured.constants:
            return captured.constants[n]
        if "size" in n.meta:
            size = n.meta["size"]
            return size.batches * examples + size.more if isinstance(size, Times) else size
        if n.target not in _REPEATS:
            raise LookupError
        return n.target(*fx.map_arg(n.args, value), **fx.map_arg(dict(n.kwargs), value))  # type: ignore

    try:
        found = value(node)
    except LookupError:
        return None
    count = len(found) if isinstance(_length(node), int) else len(found) // examples
    if not _repeats(found, count) or _repeats(found, 1):
        return None
    if fewest:
        count = next(n for n in range(2, count + 1) if count % n == 0 and _repeats(found, n))
    return found[:count]


def _repeats(matrices: torch.Tensor, count: int) -> bool:
    """Whether the first matrices are all that there are, one after the other and again."""
    again = matrices[:count].repeat(len(matrices) // count, 1, 1)
    return again.shape == matrices.shape and torch.equal(again, matrices)


def _length(node: fx.Node) -> Any:
    """The first size of a node's value, a number where the batch is not in it."""
    return node.meta["val"].shape[0]


def _name(captured: Captured, node: fx.Node) -> str | None:
    while node not in captured.weights and node.all_input_nodes:
        node = node.all_input_nodes[0]
    return captured.weights.get(node)


class _Grouped:
    """One product as a convolution: what stands around it, and the same values behind."""

    def __init__(
        self, captured: Captured, node: fx.Node, source: fx.Node, stack: torch.Tensor, name: str | None
    ) -> None:
        self.captured, self.node, self.source, self.stack, self.name = captured, node, source, stack, name
        self.count, self.inputs, self.outputs = stack.shape

    def replace(self) -> None:
        """Put it in the product's place, unless two sizes depend on the batch."""
        first, rows = self.captured.sizes(self.node)[:2]
        with self.captured.graph.inserting_before(self.node):
            if first == self.count:
                made = self._rows_as_images(rows)
            elif isinstance(self.node.meta["val"].shape[1], int):
                made = self._rows_as_width(first // self.count, rows)
            else:
                return
        self.node.replace_all_uses_with(made)
        self.captured.outputs.update(
            {key: made for key, found in self.captured.outputs.items() if found is self.node}
        )
        self.captured.graph.erase_node(self.node)

    def _rows_as_images(self, rows: int) -> fx.Node:
        """(groups, rows, inputs) as rows images of one position."""
        turned = self._turned(self.source, (1, 0, 2), (rows, self.count, self.inputs))
        found = self._convolved(turned, rows, 1)
        parts = self._view(found, (rows, self.count, self.outputs))
        return self._turned(parts, (1, 0, 2), (self.count, rows, self.outputs))

    def _rows_as_width(self, times: int, rows: int) -> fx.Node:
        """(times * groups, rows, inputs) as images as wide as there are rows."""
        parts = self._view(self.source, (times, self.count, rows, self.inputs))
        turned = self._turned(parts, (0, 1, 3, 2), (times, self.count, self.inputs, rows))
        found = self._view(self._convolved(turned, times, rows), (times, self.count, self.outputs, rows))
        back = self._turned(found, (0, 1, 3, 2), (times, self.count, rows, self.outputs))
        return self._view(back, (times * self.count, rows, self.outputs))

    def _convolved(self, turned: fx.Node, images: int, width: int) -> fx.Node:
        weight = self.stack.transpose(1, 2).reshape(-1, self.inputs, 1).contiguous()
        held = self.captured.graph.placeholder(f"{self.node.name}_stack")
        held.meta.update(shape=tuple(weight.shape), dtype=weight.dtype)
        self.captured.constants[held] = weight
        if self.name is not None:
            self.captured.weights[held] = self.name
        x = self._view(turned, (images, self.count * self.inputs, width))
        sizes = (images, self.count * self.outputs, width)
        numbers = ([1], [0], [1], False, [0], self.count)
        return self._call(aten.convolution.default, sizes, x, held, None, *numbers)

    def _view(self, x: fx.Node, sizes: tuple[int, ...]) -> fx.Node:
        return self._call(aten.view.default, sizes, x, [-1, *sizes[1:]])

    def _turned(self, x: fx.Node, axes: tuple[int, ...], sizes: tuple[int, ...]) -> fx.Node:
        turned = self._call(aten.permute.default, sizes, x, list(axes))
        together = self._call(aten.clone.default, sizes, turned)
        together.kwargs = {"memory_format": torch.contiguous_format}
        return together

    def _call(self, target: Any, sizes: tuple[int, ...], *args: Any) -> fx.Node:
        made = self.captured.graph.call_function(target, args)
        made.meta.update(shape=sizes, dtype=self.node.meta["dtype"])
        self.captured.origins[made] = self.captured.where(self.node)
        return made
