"""From a captured network to an `IntegerGraph`, operator by operator.

A value is *wide* where it is exact sums (of a product on the arrays, of an addition), and on a *grid* of few
bits where an array or a table can read it. Sums are brought to a grid where something reads them there, and
to floats without a further rounding where an operator of floats reads them, or nothing does.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import fx

from xbarsim.errors import InputError
from xbarsim.graph.beside import Dequantize, Float, Quantize, RawInput
from xbarsim.graph.digital import Concat, Move, Product, Spread, Sum, Table, WindowSum
from xbarsim.graph.grid import Grid, free_grid
from xbarsim.graph.nodes import (
    Add,
    AvgPool,
    Flatten,
    Input,
    MatMul,
    MaxPool,
    Node,
    Relu,
    Requantize,
    integer_range,
)
from xbarsim.graph.rescale import (
    Rescale,
    Slopes,
    WeightedSum,
    affine_multipliers,
    multipliers,
    shared_multipliers,
)
from xbarsim.graph.scales import finest_fraction
from xbarsim.graph.window import Window
from xbarsim.torch_bridge.captured import Captured, Times, aten, torch_operator
from xbarsim.torch_bridge.classes import (
    MEANS,
    MOVES,
    PADS,
    SUMS,
    THROUGH_FLOATS,
    WINDOW_MEANS,
    Classes,
    in_float64,
)
from xbarsim.torch_bridge.macs import macs
from xbarsim.torch_bridge.products import Weighted, affine_of
from xbarsim.torch_bridge.slopes import PRelu, prelu_of
from xbarsim.torch_bridge.weights import Weights, quantize_weights

RELUS = (aten.relu.default,)
CLIPS = (*RELUS, aten.hardtanh.default, aten.clamp.default)


@dataclass(frozen=True, eq=False)
class Value:
    """A node of the graph and what its integers are.

    `largest` is the magnitude that sums can have; `bits` of sums is 0.
    """

    name: str
    grid: Grid
    bits: int = 0
    signed: bool = True
    largest: int = 0


@dataclass(eq=False)
class Importer:
    """Builds the nodes.

    Parameters
    ----------
    classes : of the captured network's operators
    ranges : lowest and highest value of every node that was seen in calibration
    weight_bits, activation_bits, symmetric, fixed_point : see `quantize`
    """

    classes: Classes
    ranges: dict[fx.Node, tuple[float, float]]
    weight_bits: int
    activation_bits: int
    symmetric: bool
    fixed_point: bool
    nodes: list[Node] = field(default_factory=list)
    on_grid: dict[fx.Node, Value] = field(default_factory=dict)
    wide: dict[fx.Node, Value] = field(default_factory=dict)
    floats: dict[fx.Node, str] = field(default_factory=dict)
    raw: dict[fx.Node, str] = field(default_factory=dict)
    weights: dict[str, list[tuple[str, Weights]]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    stands_for: dict[str, fx.Node] = field(default_factory=dict)

    @property
    def captured(self) -> Captured:
        """The network."""
        return self.classes.captured

    def build(self) -> tuple[tuple[Node, ...], tuple[tuple[str, str], ...]]:
        """The graph's nodes, and the keys and names of its outputs."""
        for node in self.captured.inputs:
            self._input(node)
        for node in self.classes.order:
            if node in self.captured.inputs or "shape" not in node.meta:
                continue
            if node in self.classes.products:
                self._product(self.classes.products[node])
            elif node in self.classes.integer and node in self.classes.data:
                self._exact(node)
            elif node not in self.classes.folded:
                self.as_floats(node)
        outputs = self._outputs()
        return tuple(self._used(outputs)), outputs

    def _used(self, outputs: tuple[tuple[str, str], ...]) -> list[Node]:
        """The nodes that the outputs depend on, and the inputs."""
        used = {name for _, name in outputs}
        for node in reversed(self.nodes):
            if node.name in used:
                used.update(node.sources)
        return [n for n in self.nodes if n.name in used or isinstance(n, (Input, RawInput))]

    def _outputs(self) -> tuple[tuple[str, str], ...]:
        found = []
        for key, node in self.captured.outputs.items():
            if node in self.captured.constants:
                raise InputError(f"output {key!r}", "values that depend on the inputs", "constants")
            if node in self.classes.integer:
                resolved = self._resolved(node)
                value = self.wide.get(resolved) or self.integers(node)
                found.append((key, value.name))
            else:
                found.append((key, self.as_floats(node)))
        return tuple(dict(found).items())

    # values

    def integers(self, node: fx.Node) -> Value:
        """A node's value on a grid of few bits."""
        node = self._resolved(node)
        if node not in self.on_grid:
            if node in self.wide:
                self.on_grid[node] = self._narrowed(node)
            elif node in self.classes.integer and node in self.classes.data and not self._is_input(node):
                self._exact(node)
                return self.integers(node)
            else:
                self.on_grid[node] = self._quantized(node)
        return self.on_grid[node]

    def as_floats(self, node: fx.Node) -> str:
        """The name of a node's value in floats."""
        node = self._resolved(node)
        if node not in self.floats:
            known = node in self.classes.data or self._is_input(node)
            exact = (self.wide.get(node) or self.on_grid.get(node)) if known else None
            if node in self.raw:
                self.floats[node] = self.raw[node]
            elif exact is not None:
                grid = exact.grid
                self.floats[node] = self._add(
                    Dequantize(
                        name=self._unique(f"{exact.name}.float"),
                        sources=(exact.name,),
                        source_scale=grid.scale,
                        source_zero=grid.zero,
                        axis=grid.axis,
                    ),
                    node,
                )
            elif node in self.classes.integer and node in self.classes.data and not self._is_input(node):
                self._exact(node)
                return self.as_floats(node)
            else:
                self.floats[node] = self._float(node)
        return self.floats[node]

    def _resolved(self, node: fx.Node) -> fx.Node:
        """The node that one stands for: what was folded into a product is the product, views of it apart."""
        while node in self.classes.folded:
            (node,) = self.classes.sources(node)[:1]
        return node

    def _is_input(self, node: fx.Node) -> bool:
        return node.op == "placeholder"

    def _add(self, node: Node, stands_for: fx.Node | None = None) -> str:
        if stands_for is not None:
            node = replace(node, origin=self.captured.where(stands_for))
            self.stands_for[node.name] = stands_for
        self.nodes.append(node)
        self.taken.add(node.name)
        return node.name

    def _unique(self, name: str) -> str:
        found, count = name, 2
        while found in self.taken:
            found, count = f"{name}.{count}", count + 1
        return found

    def _name(self, node: fx.Node) -> str:
        return self._unique(node.meta.get("layer", node.name))

    # grids

    def _range(self, node: fx.Node) -> tuple[float, float]:
        return self.ranges.get(node, (0.0, 0.0))

    def _grid_of(self, node: fx.Node, *, unsigned: bool = False) -> tuple[Grid, int, bool]:
        """The finest grid for the values that were seen of a node, its bits, and whether they are signed."""
        low, high = self._range(node)
        bits = self.activation_bits
        try:
            if not self.fixed_point:
                return free_grid(0.0 if unsigned else low, high, bits), bits, False
            signed = not unsigned and low < 0
            return Grid(scale=2.0 ** -finest_fraction(low, high, bits, signed)), bits, signed
        except InputError as error:
            raise InputError(self.captured.where(node), error.expected, error.got, error.remedy) from error

    def _narrowed(self, node: fx.Node) -> Value:
        """Sums on a grid."""
        ranged = node
        if node in self.classes.products:
            ranged = self.classes.products[node].ranged
        clips = None if self.fixed_point else self._cut_off(ranged)
        if clips:  # what moves between the sums and where they are cut off takes them cut off as well
            ranged = max(clips, key=lambda clip: self._range(clip)[1])
        grid, bits, signed = self._grid_of(ranged)
        return self._to_grid(self.wide[node], grid, bits, signed, ranged, self._meant(ranged))

    def _cut_off(self, node: fx.Node) -> list[fx.Node] | None:
        """The nodes that cut a value off at 0, if all that read it do, perhaps behind moves; or None."""
        found: list[fx.Node] = []
        for reader in self.classes.readers(node):
            if reader is node:
                return None
            if reader.target in CLIPS and self._only_clips(reader, node) and _ends(reader)[0] == 0:
                found.append(reader)
            elif self.classes.target(reader) in (*MOVES, *THROUGH_FLOATS) and reader in self.classes.integer:
                behind = self._cut_off(reader)
                if behind is None:
                    return None
                found += behind
            else:
                return None
        return found

    def _to_grid(
        self,
        value: Value,
        grid: Grid,
        bits: int,
        signed: bool,
        node: fx.Node,
        meant: tuple[bool, bool] = (False, False),
    ) -> Value:
        name = self._unique(f"{value.name}.out")
        if value.grid.is_fixed_point and grid.is_fixed_point and self.fixed_point:
            shift = value.grid.fraction - grid.fraction
            made: Node = Requantize(name=name, sources=(value.name,), shift=shift, bits=bits, signed=signed)
        else:
            largest = value.largest or (1 << value.bits)
            ratios = np.atleast_1d(value.grid.scale) / grid.scale
            factors, shifts = multipliers(ratios, largest + value.grid.zero, self.captured.where(node))
            made = Rescale(
                name=name,
                sources=(value.name,),
                scale=float(grid.scale),
                zero=grid.zero,
                bits=bits,
                signed=signed,
                meant=meant,
                multipliers=factors,
                shifts=shifts,
                offsets=np.zeros_like(factors),
                source_zero=value.grid.zero,
                axis=value.grid.axis,
            )
        return Value(self._add(made, node), grid, bits, signed)

    # inputs, floats

    def _input(self, node: fx.Node) -> None:
        dtype = str(node.meta["dtype"]).removeprefix("torch.")
        shape = self.captured.sizes(node)[1:]
        name = "input" if len(self.captured.inputs) == 1 else node.name
        if node in self.classes.integer:
            grid, bits, signed = self._grid_of(node)
            fraction = grid.fraction if self.fixed_point else 0
            made: Node = Input(
                name=name,
                bits=bits,
                signed=signed,
                fraction=fraction,
                scale=1.0 if self.fixed_point else float(grid.scale),
                zero=grid.zero,
                shape=shape if self.nodes else None,
            )
            self.on_grid[node] = Value(self._add(made, node), grid, bits, signed)
        else:
            self.raw[node] = self._add(RawInput(name=name, dtype=dtype, shape=shape), node)

    def _quantized(self, node: fx.Node) -> Value:
        """Floats on a grid."""
        grid, bits, signed = self._grid_of(node)
        source = self.as_floats(node)
        made = Quantize(
            name=self._unique(f"{source}.quantized"),
            sources=(source,),
            scale=float(grid.scale),
            zero=grid.zero,
            bits=bits,
            signed=signed,
        )
        return Value(self._add(made, node), grid, bits, signed)

    def _float(self, node: fx.Node) -> str:
        """An operator of floats: the captured one."""
        function, sources, sized = torch_operator(self.captured, node)
        names = [*map(self.as_floats, sources), *([self._batch()] if sized else [])]
        common: dict[str, Any] = {"name": self._name(node), "sources": tuple(names), "function": function}
        if self.classes.target(node) in MOVES and sources:
            return self._add(Move(**common), node)
        return self._add(Float(**common, macs=macs(self.captured, node)), node)

    # products

    def _product(self, weighted: Weighted) -> None:
        node = weighted.node
        source = self.integers(weighted.source)
        zero = source.grid.zero
        window = None
        if weighted.stride is not None:
            if weighted.spread is not None:
                steps, padding = weighted.spread
                spread = Spread(
                    name=self._unique(f"{source.name}.spread"),
                    sources=(source.name,),
                    steps=steps,
                    padding=padding,
                    zero=zero,
                )
                source = replace(source, name=self._add(spread, node))
            window = Window(
                kernel=tuple(weighted.weight.shape[2:]),
                stride=weighted.stride,
                padding=weighted.padding,
                dilation=weighted.dilation,
            )
        found = quantize_weights(
            self.captured.where(node),
            weighted,
            source.grid,
            bits=self.weight_bits,
            symmetric=self.symmetric or not self.fixed_point,
            fixed_point=self.fixed_point,
        )
        name, shares = self._shared(weighted, found)
        made = MatMul(
            name=name,
            sources=(source.name,),
            weights=found.integers,
            bias=found.bias - zero * found.integers.sum(axis=1).reshape(-1),
            weight_fraction=found.fraction,
            input_bits=source.bits,
            input_signed=source.signed,
            window=window,
            channel_scales=found.channel_scales,
            input_zero=zero,
            shares=shares,
        )
        grid = made.grid([source.grid])
        assert grid is not None
        inputs = int(found.integers.shape[1])
        largest = (inputs << (self.weight_bits - 1 + source.bits)) + int(np.abs(made.bias).max(initial=0))
        self.wide[node] = Value(self._add(made, weighted.ranged), grid, largest=largest)

    def _shared(self, weighted: Weighted, found: Weights) -> tuple[str, str | None]:
        """The name of a product's node, and of an earlier one with the same weights."""
        name = self._unique(weighted.name)
        if weighted.key is not None:
            others = self.weights.setdefault(weighted.key, [])  # parts of the same weights, perhaps
            first = next((first for first, known in others if known.same_as(found)), None)
            if first is not None:
                return name, first
            others.append((name, found))
        return name, None

    # exact operators beside the arrays

    def _exact(self, node: fx.Node) -> None:
        """Build an exact operator, unless it is there or something that is folded away."""
        known = node in self.on_grid or node in self.wide or node in self.classes.folded
        if known or self._is_input(node):
            return
        target = self.classes.target(node)
        if self.classes.root(node) is not None:
            self.on_grid[node] = self._function(node)
        elif (affine := affine_of(self.captured, node)) is not None:
            self.on_grid[node] = self._affine(node, affine)
        elif (prelu := prelu_of(self.captured, node)) is not None:
            self.on_grid[node] = self._prelu(node, prelu)
        elif target in MOVES or target in THROUGH_FLOATS or target in PADS:
            self._move(node)
        elif target in MEANS:
            self._mean(node)
        elif target in WINDOW_MEANS:
            self._window_mean(node)
        elif target is aten.cat.default:
            self._concat(node)
        elif target in SUMS:
            self._sum(node)
        else:
            self._multiply(node)

    def _function(self, node: fx.Node) -> Value:
        """A function of one value: cut off where the sums are rounded, or looked up."""
        root = self.classes.root(node)
        assert root is not None
        resolved = self._resolved(root)
        if self.fixed_point and node.target in RELUS and self.classes.sources(node) == [root]:
            return self._fixed_point_relu(node, root)
        if not self.fixed_point and self._only_clips(node, root):
            if self._is_sum(resolved):
                return self._weighted_sum(resolved, node)
            if resolved in self.wide:
                grid, bits, signed = self._grid_of(node)
                return self._to_grid(self.wide[resolved], grid, bits, signed, node, self._meant(node))
            source = self.integers(root)
            if self._is_within(source, node):
                return source
        return self._table(node, root, self.integers(root))

    def _is_within(self, value: Value, clip: fx.Node) -> bool:
        """Whether a value's grid ends where a node cuts off, or before."""
        ends = value.grid.to_numbers(np.array(integer_range(value.bits, value.signed)))
        low, high = _ends(clip)
        return (low is None or ends[0] >= low) and (high is None or ends[1] <= high)

    def _meant(self, node: fx.Node) -> tuple[bool, bool]:
        """Whether the network itself cuts a node's values off at the ends of the range that was seen."""
        if node.target not in CLIPS:
            return False, False
        (low, high), seen = _ends(node), self._range(node)
        return low is not None and seen[0] <= low, high is not None and seen[1] >= high

    def _is_sum(self, node: fx.Node) -> bool:
        two = node in self.classes.integer and len(self.classes.sources(node)) == 2
        return two and node.target in SUMS and node not in self.classes.products

    def _only_clips(self, node: fx.Node, root: fx.Node) -> bool:
        """Whether a node is its root cut off, with zero inside, which a grid does by itself."""
        if node.target not in CLIPS or self.classes.sources(node) != [root]:
            return False
        low, high = _ends(node)
        return (
            (low is None or low <= 0) and (high is None or high > 0) and (low is not None or high is not None)
        )

    def _fixed_point_relu(self, node: fx.Node, root: fx.Node) -> Value:
        resolved = self._resolved(root)
        if resolved in self.wide and len(self.classes.readers(root)) == 1:
            grid, bits, _ = self._grid_of(node, unsigned=True)
            return self._to_grid(self.wide[resolved], grid, bits, False, node)
        source = self.integers(root)
        if not source.signed:
            return source
        made = Relu(name=self._unique(f"{source.name}.relu"), sources=(source.name,))
        return replace(source, name=self._add(made, node), bits=source.bits - 1, signed=False)

    def _table(self, node: fx.Node, root: fx.Node, source: Value) -> Value:
        low, high = integer_range(source.bits, source.signed)
        numbers = torch.from_numpy(source.grid.to_numbers(np.arange(low, high + 1)))
        values = in_float64(self.captured, node, root, numbers).numpy()
        grid, bits, signed = self._grid_of(node)
        table = grid.to_integers(np.nan_to_num(values), *integer_range(bits, signed))
        made = Table(
            name=self._name(node),
            sources=(source.name,),
            table=table,
            low=low,
            scale=float(grid.scale),
            zero=grid.zero,
        )
        return Value(self._add(made, node), grid, bits, signed)

    def _along(self, node: fx.Node, axis: int) -> Value:
        """A node's sums, or its value on a grid where the sums' scales lie along another axis."""
        value = self.wide.get(self._resolved(node)) or self.integers(node)
        dimensions = len(self.captured.sizes(node))
        if np.ndim(value.grid.scale) and axis % dimensions != value.grid.axis % dimensions:
            return self.integers(node)
        return value

    def _prelu(self, node: fx.Node, prelu: PRelu) -> Value:
        source = self._along(prelu.source, prelu.axis)
        grid, bits, signed = self._grid_of(node)
        ratios = np.atleast_1d(source.grid.scale) / grid.scale
        largest, where = (source.largest or (1 << source.bits)) + source.grid.zero, self.captured.where(node)
        above, shifts = multipliers(ratios, largest, where)
        below, shifts_below = multipliers(ratios * prelu.below, largest, where)
        made = Slopes(
            name=self._name(node),
            sources=(source.name,),
            scale=float(grid.scale),
            zero=grid.zero,
            bits=bits,
            signed=signed,
            multipliers=above,
            shifts=shifts,
            multipliers_below=below,
            shifts_below=shifts_below,
            source_zero=source.grid.zero,
            axis=prelu.axis,
        )
        return Value(self._add(made, node), grid, bits, signed)

    def _affine(self, node: fx.Node, affine: Any) -> Value:
        source = self._along(affine.source, affine.axis)
        grid, bits, signed = self._grid_of(node)
        largest = source.largest or (1 << source.bits)
        factors, shifts, offsets = affine_multipliers(
            affine.gain * source.grid.scale / grid.scale,
            affine.shift / grid.scale,
            largest + source.grid.zero,
            self.captured.where(node),
        )
        made = Rescale(
            name=self._name(node),
            sources=(source.name,),
            scale=float(grid.scale),
            zero=grid.zero,
            bits=bits,
            signed=signed,
            multipliers=factors,
            shifts=shifts,
            offsets=offsets,
            source_zero=source.grid.zero,
            axis=affine.axis,
        )
        return Value(self._add(made, node), grid, bits, signed)

    def _move(self, node: fx.Node) -> None:
        (source_node,) = self.classes.sources(node)
        target, source = self.classes.target(node), self.integers(source_node)
        if target in (aten.max_pool2d.default, aten.max_pool2d_with_indices.default):
            sizes = self.captured.sizes(source_node)
            if len(sizes) == 4:
                pool = MaxPool(name=self._name(node), sources=(source.name,), window=_pool_window(node))
                self.on_grid[node] = replace(source, name=self._add(pool, node))
                return
        if self._is_flatten(node, source_node):
            flat = Flatten(name=self._name(node), sources=(source.name,))
            self.on_grid[node] = replace(source, name=self._add(flat, node))
            return
        through = "float64" if target in THROUGH_FLOATS else None
        function, _, sized = torch_operator(self.captured, node, through=through)
        if target in PADS:
            function = replace(function, args=(*function.args[:2], source.grid.zero))
        names = [source.name, *([self._batch()] if sized else [])]
        made = Move(name=self._name(node), sources=tuple(names), function=function)
        self.on_grid[node] = replace(source, name=self._add(made, node))

    def _batch(self) -> str:
        """The node whose first axis is the batch."""
        first = self.captured.inputs[0]
        return self.raw[first] if first in self.raw else self.on_grid[first].name

    def _is_flatten(self, node: fx.Node, source: fx.Node) -> bool:
        before, after = self.captured.sizes(source), self.captured.sizes(node)
        if node.target is aten.flatten.using_ints:
            return len(after) == 2
        if node.target not in (aten.view.default, aten._unsafe_view.default):
            return False
        sizes: Any = node.args[1]
        size = sizes[0].meta.get("size") if isinstance(sizes[0], fx.Node) else None
        return len(after) == 2 and len(before) > 2 and size == Times(1) and before[0] == after[0]

    def _mean(self, node: fx.Node) -> None:
        (source_node,) = self.classes.sources(node)
        source = self.integers(source_node)
        before = self.captured.sizes(source_node)
        axes: Any = node.args[1]
        keep = bool(node.args[2]) if len(node.args) > 2 else bool(node.kwargs.get("keepdim", False))
        number = prod(before[a] for a in axes)
        count = number if node.target is aten.mean.dim else 1
        made = Sum(
            name=self._name(node),
            sources=(source.name,),
            axes=tuple(a % len(before) - len(before) for a in axes),
            keepdims=keep,
            count=count,
            source_zero=source.grid.zero,
        )
        self._sums(node, made, source, number)

    def _sums(self, node: fx.Node, made: Node, source: Value, number: int) -> None:
        grid = made.grid([source.grid])
        assert grid is not None
        largest = ((1 << source.bits) + source.grid.zero) * number
        self.wide[node] = Value(self._add(made, node), grid, largest=largest)

    def _window_mean(self, node: fx.Node) -> None:
        (source_node,) = self.classes.sources(node)
        source = self.integers(source_node)
        before, after = self.captured.sizes(source_node), self.captured.sizes(node)
        target = self.classes.target(node)
        counted = True
        if target in (aten.adaptive_avg_pool2d.default, aten._adaptive_avg_pool2d.default):
            kernel = tuple(b // a for b, a in zip(before[-2:], after[-2:], strict=True))
            window = Window(kernel=kernel, stride=kernel)
        else:
            window = _average_window(node)
            counted = bool(node.args[5]) if len(node.args) > 5 else True
        whole = counted or not any(map(any, window.padding))
        if self.fixed_point and len(window.kernel) == 2:
            pool = AvgPool(
                name=self._name(node), sources=(source.name,), window=window, count_padding=counted
            )
            self.on_grid[node] = replace(source, name=self._add(pool, node))
        elif whole and not window.ceil_mode:
            made = WindowSum(
                name=self._name(node), sources=(source.name,), window=window, source_zero=source.grid.zero
            )
            self._sums(node, made, source, prod(window.kernel))
        else:
            pool = AvgPool(
                name=self._name(node),
                sources=(source.name,),
                window=window,
                count_padding=counted,
                zero=source.grid.zero,
            )
            self.on_grid[node] = replace(source, name=self._add(pool, node))

    def _concat(self, node: fx.Node) -> None:
        parts: Any = node.args[0]
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        grid, bits, signed = self._grid_of(node)
        names = []
        for part in parts:
            value = self.wide.get(self._resolved(part))
            if value is None or (np.ndim(value.grid.scale) and self._is_moved(part)):
                value = self.integers(part)
            same = value.bits == bits and value.signed == signed and _equal(value.grid, grid)
            names.append(value.name if same else self._to_grid(value, grid, bits, signed, node).name)
        made = Concat(name=self._name(node), sources=tuple(names), axis=int(axis))  # type: ignore[arg-type]
        self.on_grid[node] = Value(self._add(made, node), grid, bits, signed)

    def _is_moved(self, node: fx.Node) -> bool:
        return len(self.captured.sizes(node)) != len(self.captured.sizes(self._resolved(node)))

    def _sum(self, node: fx.Node) -> None:
        first, second = node.args[:2]
        sources = [self.integers(first), self.integers(second)]  # type: ignore[arg-type]
        same = self.captured.sizes(first) == self.captured.sizes(second)  # type: ignore[arg-type]
        plain = same and all(s.grid.is_fixed_point for s in sources) and node.target is aten.add.Tensor
        if self.fixed_point and plain:
            fractions = [s.grid.fraction for s in sources]
            finest = max(fractions)
            shifts = (finest - fractions[0], finest - fractions[1])
            made: Node = Add(name=self._name(node), sources=tuple(s.name for s in sources), shifts=shifts)
            largest = sum(1 << (s.bits + shift) for s, shift in zip(sources, shifts, strict=True))
            self.wide[node] = Value(self._add(made, node), Grid(scale=2.0**-finest), largest=largest)
            return
        self.on_grid[node] = self._weighted_sum(node, node)

    def _weighted_sum(self, node: fx.Node, ranged: fx.Node) -> Value:
        """A sum on the grid of another node, which it is or which cuts it off."""
        sources = [self.integers(n) for n in node.args[:2]]  # type: ignore[arg-type]
        signs = (1, -1 if node.target is aten.sub.Tensor else 1)
        grid, bits, signed = self._grid_of(ranged)
        ratios = [float(sign * s.grid.scale / grid.scale) for sign, s in zip(signs, sources, strict=True)]
        largest = max((1 << s.bits) + s.grid.zero for s in sources)
        factors, shift = shared_multipliers(ratios, largest, self.captured.where(node))
        made = WeightedSum(
            name=self._name(ranged),
            sources=tuple(s.name for s in sources),
            scale=float(grid.scale),
            zero=grid.zero,
            bits=bits,
            signed=signed,
            meant=self._meant(ranged),
            multipliers=factors,
            shift=shift,
            source_zeros=(sources[0].grid.zero, sources[1].grid.zero),
        )
        return Value(self._add(made, ranged), grid, bits, signed)

    def _multiply(self, node: fx.Node) -> None:
        first, second = (self.integers(n) for n in node.args[:2])  # type: ignore[arg-type]
        made = Product(
            name=self._name(node),
            sources=(first.name, second.name),
            zeros=(first.grid.zero, second.grid.zero),
        )
        grid = made.grid([first.grid, second.grid])
        assert grid is not None
        largest = ((1 << first.bits) + first.grid.zero) * ((1 << second.bits) + second.grid.zero)
        self.wide[node] = Value(self._add(made, node), grid, largest=largest)


def _equal(one: Grid, other: Grid) -> bool:
    return not np.ndim(one.scale) and one.scale == other.scale and one.zero == other.zero


def _ends(node: fx.Node) -> tuple[float | None, float | None]:
    """Where a node cuts off."""
    if node.target in RELUS:
        return 0.0, None
    default = (-1.0, 1.0) if node.target is aten.hardtanh.default else (None, None)
    low = node.args[1] if len(node.args) > 1 else node.kwargs.get("min", default[0])
    high = node.args[2] if len(node.args) > 2 else node.kwargs.get("max", default[1])
    return low, high  # type: ignore[return-value]


def _pool_window(node: fx.Node) -> Window:
    call: Any = node.args[0] if node.target is operator.getitem else node
    options = dict(zip(("kernel", "stride", "padding", "dilation", "ceil"), call.args[1:], strict=False))
    return _window(options)


def _average_window(node: fx.Node) -> Window:
    return _window(dict(zip(("kernel", "stride", "padding", "ceil"), node.args[1:], strict=False)))


def _window(options: dict[str, Any]) -> Window:
    kernel = _sizes(options["kernel"], 0)
    axes = len(kernel)
    padding = _sizes(options.get("padding", 0), axes)
    return Window(
        kernel=kernel,
        stride=_sizes(options.get("stride") or kernel, axes),
        padding=tuple((p, p) for p in padding),
        dilation=_sizes(options.get("dilation", 1), axes),
        ceil_mode=bool(options.get("ceil", False)),
    )


def _sizes(value: Any, axes: int) -> tuple[int, ...]:
    found = (value,) if isinstance(value, int) else tuple(value)
    return found * axes if len(found) == 1 and axes else found
