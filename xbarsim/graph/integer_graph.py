"""A network in integers: weights, wiring and scales, and its exact meaning.

Every value is scale * (integer - zero). Products accumulate without loss; requantization rounds them half up
to the next layer's inputs and saturates. Only `MatMul` runs on an accelerator; integer operators and tables
are digital logic beside the arrays and identical everywhere, so an accelerator is a function that multiplies.
Operators that stay in floating point say so by their `kind`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbarsim.arrays import check_inputs
from xbarsim.errors import InputError, check_int
from xbarsim.graph.beside import Float, RawInput
from xbarsim.graph.grid import Grid, IntArray
from xbarsim.graph.inputs import Batch, check_raw, in_order, part_of, same_length
from xbarsim.graph.nodes import Input, MatMul, Node
from xbarsim.graph.pipeline import Multiply, Step, as_integers, steps_of
from xbarsim.graph.product import Products
from xbarsim.graph.saturation import check_range, tell_saturated
from xbarsim.hints import check_fields, checked

Note = Callable[[Node, NDArray, Sequence[NDArray]], None]


def exact_product(layer: MatMul, x: NDArray) -> IntArray:
    """Multiply integers (..., K), or (N, C, *sizes), with a layer's own weights in int64: the definition.

    Returns
    -------
    (..., M), or (N, M, *positions) int64, without bias
    """
    return layer.gather(list(layer.rows(x, np.int64) @ layer.weights), x.shape)


@dataclass(frozen=True, eq=False)
class IntegerGraph:
    """A network as integer nodes in the order of execution; the last node gives the scores.

    Parameters
    ----------
    nodes : inputs first; every other names earlier nodes as its sources
    input_shape : of one input, without the batch; of the first where there are several
    outputs : (key, node) of everything that the network gives, the scores first; empty for the last node
        alone
    one_by_one : whether it was captured for a single input and takes no batches
    """

    nodes: tuple[Node, ...]
    input_shape: tuple[int, ...]
    outputs: tuple[tuple[str, str], ...] = ()
    one_by_one: bool = False

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
        if not self.nodes or not isinstance(self.nodes[0], (Input, RawInput)):
            raise InputError(
                "IntegerGraph.nodes", "an Input first", type(self.nodes[0] if self.nodes else None).__name__
            )
        unknown = [name for _, name in self.outputs if name not in seen]
        if unknown:
            raise InputError("IntegerGraph.outputs", "names of nodes", repr(unknown[0]))

    @cached_property
    def inputs(self) -> tuple[Input | RawInput, ...]:
        """The nodes that are given, in order."""
        return tuple(node for node in self.nodes if isinstance(node, (Input, RawInput)))

    @cached_property
    def layers(self) -> tuple[MatMul, ...]:
        """The nodes with weights of their own, in order: one for every matrix, however often it is used."""
        return tuple(node for node in self.nodes if isinstance(node, MatMul) and node.shares is None)

    @cached_property
    def output(self) -> str:
        """The name of the node that gives the scores."""
        return self.outputs[0][1] if self.outputs else self.nodes[-1].name

    @cached_property
    def grids(self) -> dict[str, Grid | None]:
        """What every node's integers stand for; None for floats."""
        found: dict[str, Grid | None] = {}
        for node in self.nodes:
            found[node.name] = node.grid([found[s] for s in node.sources])
        return found

    @cached_property
    def fractions(self) -> dict[str, int]:
        """Binary places after the point of every node's output.

        Raises
        ------
        InputError : a network whose scales are no powers of two.
        """
        return {name: grid.fraction for name, grid in self.grids.items() if grid is not None}

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Output shape of every node, without its first axis, which is the batch's in most."""
        return {name: shape[1:] for name, shape in self._shapes.items()}

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        parts = [np.zeros((1, *self.shape_of(node)), _dtype_of(node)) for node in self.inputs]
        start = parts[0] if len(parts) == 1 else Batch(parts)

        def note(node: Node, value: NDArray, sources: Sequence[NDArray]) -> None:
            found[node.name] = value.shape

        self.execute(start, _shape_alone, note)
        return found

    def shape_of(self, node: Input | RawInput) -> tuple[int, ...]:
        """Shape of one of the inputs that a node is given."""
        return self.input_shape if node.shape is None else node.shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of an image's scores."""
        return self.shapes[self.output]

    @checked
    def positions(self, layer: MatMul) -> int:
        """How many products with a layer's matrix an input takes, over all its uses."""
        return sum(self._values(node) for node in self._uses(layer)) // len(layer.bias)

    @checked
    def macs_of(self, layer: MatMul) -> int:
        """Multiply-accumulates of a layer's matrix an input, over all its uses."""
        return sum(self.macs[node.name] for node in self._uses(layer))

    @cached_property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates an input of every product, on the arrays or of activations in floats.

        Arrays count as they work: zeros around and between the values that they slide over are values.
        """
        found = {}
        for node in self.nodes:
            if isinstance(node, MatMul):
                found[node.name] = self._values(node) * node.weights.shape[1]
            elif isinstance(node, Float) and node.macs:
                found[node.name] = node.macs
        return found

    def _uses(self, layer: MatMul) -> list[MatMul]:
        """The nodes that have a layer's matrix."""
        return [n for n in self.nodes if isinstance(n, MatMul) and n.matrix == layer.matrix]

    def _values(self, node: Node) -> int:
        """How many numbers a node gives of an input."""
        return prod(self._shapes[node.name])

    def quantize_input(self, images: Any) -> NDArray | Batch:
        """Round inputs to the integers that the network takes; what is out of range saturates.

        More than one value in a thousand out of range is said, by a `SaturationWarning`.

        Parameters
        ----------
        images : (N, *input_shape) numbers; a tuple or a dict of arrays where the network has several inputs

        Raises
        ------
        InputError : inputs of the wrong shape, none at all, or that are not finite real numbers; integers out
            of range.
        """
        if len(self.inputs) == 1:
            given = in_order(images, [self.nodes[0].name]) if isinstance(images, (tuple, dict)) else [images]
            return self._quantized(self.inputs[0], given[0])
        given = in_order(images, [node.name for node in self.inputs])
        return same_length([self._quantized(node, x) for node, x in zip(self.inputs, given, strict=True)])

    def _quantized(self, node: Input | RawInput, values: Any) -> NDArray:
        if isinstance(node, RawInput):
            return check_raw(node.name, values, self.shape_of(node), node.dtype)
        x = check_inputs(values, self.shape_of(node))
        check_range(f"input {node.name!r}", x, *node.range)
        return node.quantize(x)

    @checked
    def run(
        self,
        images: Any,
        *,
        multiply: Multiply | None = None,
        batch_size: int = 64,
        on_batch: Callable[[int, int], None] | None = None,
        watched: bool = True,
    ) -> NDArray[np.float64]:
        """Run inputs through the network.

        Parameters
        ----------
        images : (N, *input_shape) numbers; a tuple or a dict of arrays where the network has several inputs
        multiply : an accelerator's product, one call a layer: the layer and integers (..., K), or
            (N, C, *sizes), of any type, give their sums, (..., M) or (N, M, *positions); by default the exact
            one
        batch_size : inputs at once; bounds the memory, changes no result
        on_batch : called with inputs done and in all
        watched : whether activations of the first batch that saturate are said; faults may cause them, too

        Returns
        -------
        (N, classes) float64 scores; exact integers times a scale, where no node of floats comes last.
        """
        found = self.run_all(
            images, multiply=multiply, batch_size=batch_size, on_batch=on_batch, watched=watched
        )
        return next(iter(found.values()))

    @checked
    def run_all(
        self,
        images: Any,
        *,
        multiply: Multiply | None = None,
        batch_size: int = 64,
        on_batch: Callable[[int, int], None] | None = None,
        watched: bool = True,
    ) -> dict[str, NDArray[np.float64]]:
        """Run inputs through the network: everything that it gives, by key, the scores first; see `run`."""
        check_int("batch_size", batch_size, 1, 2**31)
        x = self.quantize_input(images)
        size = self.batch_of(batch_size)
        parts: dict[str, list[NDArray]] = {}
        for start in range(0, len(x), size):
            tell = partial(tell_saturated, self.grids) if watched and not start else None
            found = self.fast(x[start : start + size], multiply or self.multiply, tell)
            for key, name in self.outputs or (("output", self.output),):
                parts.setdefault(key, []).append(self.to_scores(found[name], name))
            if on_batch is not None:
                on_batch(min(start + size, len(x)), len(x))
        return {key: np.concatenate(part) for key, part in parts.items()}

    def batch_of(self, batch_size: int) -> int:
        """How many inputs are run at once where so many are asked for."""
        return 1 if self.one_by_one else batch_size

    @checked
    def downstream(self, layers: Iterable[str]) -> frozenset[str]:
        """The names of the nodes with the weights of these layers, and of all that depend on one of them."""
        matrices = set(layers)
        found = set(matrices)
        for node in self.nodes:
            own = isinstance(node, MatMul) and node.matrix in matrices
            if own or not found.isdisjoint(node.sources):
                found.add(node.name)
        return frozenset(found)

    def to_scores(self, values: NDArray, name: str | None = None) -> NDArray[np.float64]:
        """A node's values, by default the last's, as numbers: exact where they are integers."""
        grid = self.grids[name or self.output]
        return values.astype(np.float64) if grid is None else grid.to_numbers(values)

    @checked
    def with_layers(self, layers: Iterable[MatMul]) -> IntegerGraph:
        """The same network with some layers replaced, matched by name; further uses of them follow."""
        new = {layer.name: layer for layer in layers}
        unknown = sorted(set(new) - {layer.name for layer in self.layers})
        if unknown:
            raise InputError("layers", "names of layers of this network", unknown[0])
        old = {layer.name: layer for layer in self.layers}
        nodes = []
        for node in self.nodes:
            again = isinstance(node, MatMul) and node.shares in new
            nodes.append(self._used_again(node, old[node.shares], new[node.shares]) if again else node)  # type: ignore
        return replace(self, nodes=tuple(new.get(node.name, node) for node in nodes))

    def _used_again(self, use: MatMul, old: MatMul, new: MatMul) -> MatMul:
        """Another use of a layer, with its new weights; its bias moves by as much, in its own steps."""
        before, after = (layer.bias + layer.input_zero * _sums(layer) for layer in (old, new))
        own = use.bias + use.input_zero * _sums(use)
        scales = [self.grids[layer.source].scale for layer in (old, use)]  # type: ignore[union-attr]
        ratio = scales[0] / scales[1]
        bias = own
        if (np.abs(before * ratio - own) <= 1 + ratio).all():  # the same bias, and not one of its own
            bias = own + np.floor((after - before) * ratio + 0.5).astype(np.int64)
        return replace(use, weights=new.weights, bias=bias - use.input_zero * _sums(new))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The nodes as they are run."""
        return tuple(steps_of(self.nodes, self._kept, self.grids))

    @cached_property
    def _products(self) -> Products:
        weights = {layer.name: layer.weights for layer in self.layers}
        return Products(lambda layer: weights[layer.matrix])

    def multiply(self, layer: MatMul, x: NDArray) -> NDArray[np.floating]:
        """`exact_product` in floats that do not round: what a perfect accelerator does, sooner."""
        return self._products(layer, x)

    @property
    def _kept(self) -> set[str]:
        return {name for _, name in self.outputs} | {self.output}

    def fast(
        self,
        x: NDArray | Batch,
        multiply: Multiply,
        tell: Callable[[Node, int, int], None] | None = None,
    ) -> dict[str, NDArray]:
        """What `execute` gives, sooner.

        `tell` is called with a node, how many of its values saturate, and of how many.
        """
        last_use = {s: i for i, step in enumerate(self.steps) for s in step.sources}
        values: dict[str, NDArray] = {}
        given = 0
        for i, step in enumerate(self.steps):
            if step.given:
                sources = [part_of(x, given)]
                given += 1
            else:
                sources = [values[s] for s in step.sources]
            values[step.name], outside = step.value(sources, multiply)
            if tell is not None and outside:
                tell(step.node, outside, values[step.name].size)
            for s in set(step.sources):
                if last_use[s] == i and s not in self._kept:
                    del values[s]
        return {name: as_integers(values[name], self.grids[name]) for name in self._kept}

    def execute(
        self, x: NDArray | Batch, multiply: Multiply, note: Note | None = None
    ) -> dict[str, NDArray]:
        """The values of the outputs' nodes, as the nodes define them.

        `note` is called with every node, its value and its sources'.
        """
        kept = self._kept
        last_use = {s: i for i, node in enumerate(self.nodes) for s in node.sources}
        values: dict[str, NDArray] = {}
        given = 0
        for i, node in enumerate(self.nodes):
            sources = [values[s] for s in node.sources]
            if isinstance(node, (Input, RawInput)):
                out = part_of(x, given)
                given += 1
            elif isinstance(node, MatMul):
                out = node.apply(sources[0], multiply)
            else:
                out = node.forward(*sources)
            if note is not None:
                note(node, out, sources)
            values[node.name] = out
            for s in set(node.sources):
                if last_use[s] == i and s not in kept:
                    del values[s]
        return values


def _sums(layer: MatMul) -> IntArray:
    """(groups * M,): the sum of every output's weights."""
    return layer.weights.sum(axis=1).reshape(-1)


def _shape_alone(layer: MatMul, x: NDArray) -> IntArray:
    """Zeros in place of the sums: shapes depend on no values."""
    outputs = len(layer.bias)
    if layer.window is None:
        return np.zeros((*x.shape[:-1], outputs), np.int64)
    return np.zeros((len(x), outputs, *layer.window.positions(*x.shape[2:])), np.int64)


def _dtype_of(node: Input | RawInput) -> str:
    return node.dtype if isinstance(node, RawInput) else "int64"
