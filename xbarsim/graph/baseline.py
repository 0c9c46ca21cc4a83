"""A batch on a healthy accelerator, for many accelerators that differ from it in some layers.

What does not depend on a changed layer is computed once. Where a changed layer reads unchanged values, its
rows and the healthy product are there to build on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from threading import RLock
from typing import Any

from numpy.typing import NDArray

from xbarsim.graph.inputs import Batch, part_of
from xbarsim.graph.integer_graph import IntegerGraph, Multiply
from xbarsim.graph.nodes import IntArray, MatMul
from xbarsim.graph.pipeline import Step, as_integers

MultiplyFromBase = Callable[[MatMul, NDArray, Callable[[], NDArray]], NDArray]


class Baseline:
    """The values of a graph's steps for one batch, each computed when it is first asked for.

    Parameters
    ----------
    graph : the network
    x : (N, ...) integers, from `IntegerGraph.quantize_input`
    multiply : the healthy accelerator's product

    Several threads may read it.
    """

    def __init__(self, graph: IntegerGraph, x: IntArray | Batch, multiply: Multiply) -> None:
        self._graph, self._x, self._multiply = graph, x, multiply
        self._steps = {step.name: step for step in graph.steps}
        self._lock = RLock()
        self._found: dict[Hashable, Any] = {}

    def value(self, name: str) -> NDArray:
        """(N, ...): what a step gives."""
        return self._once(name, lambda: self._compute(self._steps[name]))

    def sums(self, step: Step) -> NDArray:
        """What a layer sums up, without bias."""
        layer = step.layer
        assert layer is not None
        return self._once((step.name, "sums"), lambda: self._multiply(layer, self.value(layer.source)))

    def differ(self, changed: Iterable[str], multiply: Multiply, from_base: MultiplyFromBase) -> NDArray:
        """The last node's output on an accelerator that differs in the layers `changed`.

        Parameters
        ----------
        multiply : its product
        from_base : the same where the inputs are the healthy ones; may call its last argument for the
            healthy sums
        """
        dirty = self._graph.downstream(changed)
        values: dict[str, NDArray] = {}

        def value(name: str) -> NDArray:
            return values[name] if name in dirty else self.value(name)

        for step in self._graph.steps:
            if step.name not in dirty:
                continue
            layer, near = step.layer, dirty.isdisjoint(step.sources)
            if layer is not None and near:
                found = from_base(layer, self.value(layer.source), partial(self.sums, step))
                values[step.name] = step.finish(found)[0]
            else:
                values[step.name] = step.value([value(s) for s in step.sources], multiply)[0]
        last = self._graph.output
        return as_integers(value(last), self._graph.grids[last])

    def _compute(self, step: Step) -> NDArray:
        if step.given:
            place = [node.name for node in self._graph.inputs].index(step.name)
            return step.value([part_of(self._x, place)], self._multiply)[0]
        if step.layer is not None:
            return step.finish(self.sums(step))[0]
        return step.value([self.value(s) for s in step.sources], self._multiply)[0]

    def _once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._found:
                self._found[key] = compute()
            return self._found[key]
