"""A network in integers: weights, wiring and fixed-point scales, and its exact meaning.

Every value is an integer times 2**-fraction. Products accumulate without loss; `Requantize` rounds them
half up to the next layer's inputs and saturates. Only `MatMul` runs on an accelerator; the rest is digital
logic beside the arrays and identical everywhere, so an accelerator is a function that multiplies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xbarsim.arrays import check_inputs
from xbarsim.errors import InputError, check_int
from xbarsim.graph.nodes import FloatArray, Input, MatMul, Node
from xbarsim.graph.saturation import check_range, watch_requantize
from xbarsim.hints import check_fields, checked

IntArray = NDArray[np.int64]
Multiply = Callable[[MatMul, FloatArray], Sequence[IntArray] | IntArray]


def exact_product(layer: MatMul, rows: FloatArray) -> IntArray:
    """Multiply (groups, n, K) integers with a layer's own weights: what a perfect accelerator does.

    Returns
    -------
    (groups, n, M) int64
    """
    weights = layer.weights
    limit = int(np.abs(weights).max(initial=0)) * int(np.abs(rows).max(initial=0)) * weights.shape[1]
    if limit < 2**53:
        return (rows @ weights.astype(np.float64)).astype(np.int64)
    return rows.astype(np.int64) @ weights


@dataclass(frozen=True, eq=False)
class IntegerGraph:
    """A network as integer nodes in the order of execution; the last node gives the logits.

    Parameters
    ----------
    nodes : the first is the `Input`; every other names earlier nodes as its sources
    input_shape : of one image, without the batch
    """

    nodes: tuple[Node, ...]
    input_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        seen: set[str] = set()
        for node in self.nodes:
            missing = [s for s in node.sources if s not in seen]
            if missing or node.name in seen:
                problem = f"source {missing[0]!r}" if missing else "its name twice"
                raise InputError(
                    f"node {node.name!r}", "earlier nodes as sources and a name of its own", problem
                )
            seen.add(node.name)
        if not self.nodes or not isinstance(self.nodes[0], Input):
            raise InputError(
                "IntegerGraph.nodes", "an Input first", type(self.nodes[0] if self.nodes else None).__name__
            )

    @cached_property
    def layers(self) -> tuple[MatMul, ...]:
        """The nodes with weights, in order."""
        return tuple(node for node in self.nodes if isinstance(node, MatMul))

    @cached_property
    def fractions(self) -> dict[str, int]:
        """Binary places after the point of every node's output."""
        found: dict[str, int] = {}
        for node in self.nodes:
            found[node.name] = node.output_fraction([found[s] for s in node.sources])
        return found

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Output shape of every node, without the batch."""
        found: dict[str, tuple[int, ...]] = {}
        start = np.zeros((1, *self.input_shape), np.int64)
        note = found.__setitem__
        self._execute(start, exact_product, lambda node, value, _: note(node.name, value.shape[1:]))
        return found

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of an image's logits."""
        return self.shapes[self.nodes[-1].name]

    @checked
    def positions(self, layer: MatMul) -> int:
        """Output positions of a layer: how many products with its matrix an image takes."""
        return int(np.prod(self.shapes[layer.name][1:], dtype=np.int64))

    def quantize_input(self, images: NDArray[np.floating]) -> IntArray:
        """Round images to the integer inputs of the network; what is out of range saturates.

        More than one value in a hundred out of range is said, by a `SaturationWarning`.

        Raises
        ------
        InputError : images of the wrong shape, none at all, or that are not finite real numbers; integers out
            of range.
        """
        x = check_inputs(images, self.input_shape)
        source = self.nodes[0]
        assert isinstance(source, Input)
        check_range(f"input {source.name!r}", x, *source.range)
        return source.quantize(x)

    @checked
    def run(
        self,
        images: NDArray[np.floating],
        *,
        multiply: Multiply = exact_product,
        batch_size: int = 64,
        on_batch: Callable[[int, int], None] | None = None,
        watched: bool = True,
    ) -> NDArray[np.float64]:
        """Run images through the network.

        Parameters
        ----------
        images : (N, *input_shape) floats
        multiply : an accelerator's product, one call a layer: (layer, (groups, n, K) integers) -> a sequence
            of the groups' (n, M) products, which may also hold those of several groups side by side
        batch_size : images at once; bounds the memory, changes no result
        on_batch : called with images done and in all
        watched : whether activations of the first batch that saturate are said; faults may cause them, too

        Returns
        -------
        (N, classes) float64 logits: exact integers times a power of two.
        """
        check_int("batch_size", batch_size, 1, 2**31)
        x = self.quantize_input(images)
        parts = []
        for start in range(0, len(x), batch_size):
            watch = watch_requantize if watched and not start else None
            parts.append(self._execute(x[start : start + batch_size], multiply, watch))
            if on_batch is not None:
                on_batch(min(start + batch_size, len(x)), len(x))
        return self.to_logits(np.concatenate(parts))

    @checked
    def downstream(self, layers: Iterable[str]) -> frozenset[str]:
        """The names of these layers and of every node that depends on one of them."""
        found = set(layers)
        for node in self.nodes:
            if not found.isdisjoint(node.sources):
                found.add(node.name)
        return frozenset(found)

    def to_logits(self, values: IntArray) -> NDArray[np.float64]:
        """The last node's integers as numbers: exact."""
        return np.ldexp(values.astype(np.float64), -self.fractions[self.nodes[-1].name])

    @checked
    def with_layers(self, layers: Iterable[MatMul]) -> IntegerGraph:
        """The same network with some layers replaced, matched by name."""
        new = {layer.name: layer for layer in layers}
        unknown = sorted(set(new) - {layer.name for layer in self.layers})
        if unknown:
            raise InputError("layers", "names of layers of this network", unknown[0])
        return replace(self, nodes=tuple(new.get(node.name, node) for node in self.nodes))

    def _execute(
        self, x: IntArray, multiply: Multiply, watch: Callable[[Node, IntArray, IntArray], None] | None = None
    ) -> IntArray:
        last_use = {s: i for i, node in enumerate(self.nodes) for s in node.sources}
        values: dict[str, IntArray] = {}
        for i, node in enumerate(self.nodes):
            if isinstance(node, Input):
                out = x
            elif isinstance(node, MatMul):
                out = node.apply(values[node.source], multiply)
            else:
                out = node.forward(*(values[s] for s in node.sources))
            if watch is not None:
                watch(node, out, values[node.source] if node.sources else x)
            values[node.name] = out
            for s in set(node.sources):
                if last_use[s] == i:
                    del values[s]
        return values[self.nodes[-1].name]
