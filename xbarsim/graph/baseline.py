"""A batch on a healthy accelerator, for many accelerators that differ from it in some layers.

What does not depend on a changed layer is computed once. Where a changed layer reads unchanged values, its
rows and the healthy product are there to build on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from threading import RLock
from typing import Any

from xbarsim.graph.beside import RawInput
from xbarsim.graph.inputs import Batch, part_of
from xbarsim.graph.integer_graph import IntArray, IntegerGraph, Multiply
from xbarsim.graph.nodes import FloatArray, Input, MatMul

Products = Sequence[IntArray] | IntArray
MultiplyFromBase = Callable[[MatMul, FloatArray, Callable[[], Products]], Products]


class Baseline:
    """The values of a graph's nodes for one batch, each computed when it is first asked for.

    Parameters
    ----------
    graph : the network
    x : (N, ...) integers, from `IntegerGraph.quantize_input`
    multiply : the healthy accelerator's product

    Several threads may read it.
    """

    def __init__(self, graph: IntegerGraph, x: IntArray | Batch, multiply: Multiply) -> None:
        self._graph, self._x, self._multiply = graph, x, multiply
        self._nodes = {node.name: node for node in graph.nodes}
        self._lock = RLock()
        self._found: dict[Hashable, Any] = {}

    def value(self, name: str) -> IntArray:
        """(N, ...): a node's output."""
        return self._once(name, lambda: self._compute(name))

    def rows(self, layer: MatMul) -> FloatArray:
        """(groups, n, K): what a layer multiplies."""
        return self._once((layer.name, "rows"), lambda: layer.rows(self.value(layer.source)))

    def products(self, layer: MatMul) -> Products:
        """(n, M) of every group."""
        return self._once((layer.name, "products"), lambda: self._multiply(layer, self.rows(layer)))

    def differ(self, changed: Iterable[str], multiply: Multiply, from_base: MultiplyFromBase) -> IntArray:
        """The last node's output on an accelerator that differs in the layers `changed`.

        Parameters
        ----------
        multiply : its product
        from_base : the same where the rows are the healthy ones; may call its last argument for the
            healthy products
        """
        dirty = self._graph.downstream(changed)
        values: dict[str, IntArray] = {}

        def value(name: str) -> IntArray:
            return values[name] if name in dirty else self.value(name)

        for node in self._graph.nodes:
            if node.name not in dirty:
                continue
            if not isinstance(node, MatMul):
                values[node.name] = node.forward(*map(value, node.sources))
            elif node.source in dirty:
                values[node.name] = node.apply(values[node.source], multiply)
            else:
                values[node.name] = self._near(node, from_base)
        return value(self._graph.output)

    def _near(self, layer: MatMul, from_base: MultiplyFromBase) -> IntArray:
        products = from_base(layer, self.rows(layer), lambda: self.products(layer))
        return layer.assemble(products, self.value(layer.source).shape)

    def _compute(self, name: str) -> IntArray:
        node = self._nodes[name]
        if isinstance(node, (Input, RawInput)):
            return part_of(self._x, self._graph.inputs.index(node))
        if isinstance(node, MatMul):
            return node.assemble(self.products(node), self.value(node.source).shape)
        return node.forward(*map(self.value, node.sources))

    def _once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._found:
                self._found[key] = compute()
            return self._found[key]
