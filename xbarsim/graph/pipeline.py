"""A graph as steps: what a layer sums up is rounded as it leaves it, and channels lie side by side.

What a step gives is what the nodes' own `forward` defines, integer by integer. Integers up to 2**24 are held
in float32, larger ones in float64; where a node has no fast way, it gets int64 and runs as it is defined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xbarsim.graph.beside import Dequantize, Float, RawInput
from xbarsim.graph.fast import EXACT32, Run, Value, added, by_channel, fast, rounding_of, to_numbers
from xbarsim.graph.grid import Grid
from xbarsim.graph.nodes import Add, Input, MatMul, Node, Requantize
from xbarsim.graph.product import EXACT64, channels_last
from xbarsim.graph.rescale import Rescale
from xbarsim.kernels.rounding import Rounding, round_channels

Multiply = Callable[[MatMul, NDArray], NDArray]


@dataclass(frozen=True, eq=False)
class Step:
    """One node, or a layer or a sum with the node that rounds it.

    Attributes
    ----------
    node : whose value it gives
    grids : what the values of all nodes stand for
    before : the layer, or the sum, that it begins with, where it is more than one node
    """

    node: Node
    grids: Mapping[str, Grid | None]
    before: Node | None = None

    @property
    def name(self) -> str:
        """That of the node whose value it gives."""
        return self.node.name

    @property
    def sources(self) -> tuple[str, ...]:
        """The nodes that it reads."""
        return (self.before or self.node).sources

    @property
    def layer(self) -> MatMul | None:
        """The layer that it multiplies with."""
        first = self.before or self.node
        return first if isinstance(first, MatMul) else None

    @property
    def given(self) -> bool:
        """Whether it is an input."""
        return isinstance(self.node, (Input, RawInput))

    def value(self, sources: Sequence[NDArray], multiply: Multiply) -> Value:
        """What it gives, and how many values saturate."""
        if self.given:
            return self._input(sources[0]), 0
        if self.layer is not None:
            return self.finish(multiply(self.layer, sources[0]))
        if self._run is not None:
            held = [self._held(name, x) for name, x in zip(self.sources, sources, strict=True)]
            found = None if any(x is None for x in held) else self._run(*held)
            if found is not None:
                return found
        return self._as_defined(sources)

    def finish(self, sums: NDArray) -> Value:
        """From a layer's sums, without bias, to its value."""
        layer, held = self.layer, as_floats(sums)
        assert layer is not None
        axis = sums.ndim - 1 if layer.window is None else 1
        if held is None or self.before is None or getattr(self.node, "axis", axis) % sums.ndim != axis:
            out = np.asarray(sums).astype(np.int64) + layer.along(layer.bias, sums.ndim)
            return (out, 0) if self.before is None else self._defined([out])
        if isinstance(self.node, Dequantize):
            return to_numbers(self.node, held, layer.bias), 0
        to = self._rounding
        return by_channel(held, axis, lambda rows: round_channels(rows, to))

    @cached_property
    def _rounding(self) -> Rounding:
        assert self.layer is not None
        found = rounding_of(self.node, self.layer.bias)
        assert found is not None
        return found

    @cached_property
    def _run(self) -> Run | None:
        return added(self.before, self.node) if isinstance(self.before, Add) else fast(self.node)

    def _input(self, x: NDArray) -> NDArray:
        if isinstance(self.node, RawInput):
            return x
        assert isinstance(self.node, Input)
        kind = np.float32 if self.node.bits <= 24 else np.float64
        return channels_last(x, kind) if x.ndim > 2 else x.astype(kind)

    def _held(self, name: str, x: NDArray) -> NDArray | None:
        return x if self.grids[name] is None else as_floats(x)

    def _as_defined(self, sources: Sequence[NDArray]) -> Value:
        if isinstance(self.node, Float):  # reads floats, and the length of an input
            return self.node.forward(*sources), 0
        given = [as_integers(x, self.grids[name]) for name, x in zip(self.sources, sources, strict=True)]
        if self.before is not None:
            given = [self.before.forward(*given)]
        return self._defined(given)

    def _defined(self, given: Sequence[NDArray]) -> Value:
        outside = self.node.saturated(*given) if hasattr(self.node, "saturated") else 0
        return self.node.forward(*given), outside


def as_floats(x: NDArray) -> NDArray | None:
    """Hold integers in the narrowest floats that do; None where none does."""
    if x.dtype in (np.float32, np.float64):
        return x
    largest = max(abs(int(x.min())), abs(int(x.max()))) if x.size else 0
    return x.astype(np.float32 if largest <= EXACT32 else np.float64) if largest < EXACT64 else None


def as_integers(x: NDArray, grid: Grid | None) -> NDArray:
    """Integers that floats hold, as int64; floats that stand for themselves (no grid) as they are."""
    return x if grid is None else x.astype(np.int64, copy=False)


def steps_of(nodes: Sequence[Node], outputs: Iterable[str], grids: Mapping[str, Grid | None]) -> list[Step]:
    """Join every layer, and every sum, with what rounds it, where nothing else reads it."""
    readers = Counter(source for node in nodes for source in node.sources)
    kept = set(outputs)
    by_name = {node.name: node for node in nodes}
    joined: dict[str, Node] = {}
    for node in nodes:
        before = by_name[node.sources[0]] if node.sources else None
        if before is None or readers[before.name] > 1 or before.name in kept:
            continue
        if _join(before, node):
            joined[node.name] = before
    inner = {node.name for node in joined.values()}
    return [Step(node, grids, joined.get(node.name)) for node in nodes if node.name not in inner]


def _join(before: Node, node: Node) -> bool:
    if isinstance(before, Add):
        return isinstance(node, Requantize)
    to_floats = isinstance(node, Dequantize) and node.dtype == "float32"
    return isinstance(before, MatMul) and (to_floats or isinstance(node, (Requantize, Rescale)))
