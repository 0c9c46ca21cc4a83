"""A chip as a torch module: the integer graph in floating point, trainable through its faults.

The module has one faulty layer for every layer with weights and repeats every rounding of the integer
graph, so that in float64 its output equals the simulated chip's bit for bit (where no ADC clips, and no cell
off the diagonal of an array that groups share is faulty: masks are of weights).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from xbarsim.cells.encoding import WeightFormat
from xbarsim.errors import InputError
from xbarsim.faults.masks import CellMasks
from xbarsim.graph.beside import Dequantize, Float, Quantize, RawInput
from xbarsim.graph.grid import Grid
from xbarsim.graph.integer_graph import IntegerGraph
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
from xbarsim.graph.thresholds import Threshold
from xbarsim.hints import checked
from xbarsim.torch_bridge.free_nodes import free_node
from xbarsim.torch_bridge.layers import FaultyConv, FaultyLinear, OnGrid, Steps, pad


class ChipModule(nn.Module):
    """The network of an `IntegerGraph` on cells with stuck faults.

    Parameters
    ----------
    graph : the network
    form : how its weights are stored
    masks : by (layer, group), as `chip.training_masks()` gives them; layers left out are fault-free
    dtype : float32 to train; float64 to equal the chip bit for bit
    """

    @checked
    def __init__(
        self,
        graph: IntegerGraph,
        form: WeightFormat,
        masks: Mapping[tuple[str, int], CellMasks] | None = None,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.graph = graph
        self._keys = {layer.name: f"layer{i}" for i, layer in enumerate(graph.layers)}
        self.layers = nn.ModuleDict()
        for layer in graph.layers:
            kind = FaultyLinear if layer.window is None else FaultyConv
            self.layers[self._keys[layer.name]] = kind(layer, form, self._grid(layer.source))
        self.set_masks(masks or {})
        self.to(dtype)

    def set_masks(self, masks: Mapping[tuple[str, int], CellMasks]) -> None:
        """Give the cells these stuck faults and no others; see the class."""
        for faulty in self.layers.values():
            faulty.clear_masks()  # type: ignore[operator]
        for (name, group), mask in masks.items():
            self.layer(name).set_masks(group, mask)

    def _grid(self, name: str) -> Grid:
        found = self.graph.grids[name]
        assert found is not None
        return found

    def layer(self, name: str) -> FaultyLinear | FaultyConv:
        """The faulty layer of a layer's name in the graph."""
        if name not in self._keys:
            raise InputError("layer", "one of " + ", ".join(self._keys), repr(name))
        return self.layers[self._keys[name]]  # type: ignore[return-value]

    def forward(self, *images: torch.Tensor) -> torch.Tensor:
        """Scores (N, classes) of (N, ...) inputs, in the network's order where it has several."""
        given = iter(images)
        values: dict[str, torch.Tensor] = {}
        for node in self.graph.nodes:
            sources = [values[s] for s in node.sources] or [next(given)]
            values[node.name] = self._apply_node(node, sources)
        return values[self.graph.output]

    def project(self) -> None:
        """Fix the stuck bits in all weights; see `FaultyLinear.project`."""
        for layer in self.layers.values():
            layer.project()  # type: ignore[operator]

    def to_graph(self) -> IntegerGraph:
        """The network with the trained weights, to be written into the chip."""
        changed = []
        for layer in self.graph.layers:
            weights, bias = self.layer(layer.name).integers(layer.groups)
            changed.append(replace(layer, weights=weights, bias=bias))
        return self.graph.with_layers(changed)

    def _apply_node(self, node: Node, sources: list[torch.Tensor]) -> torch.Tensor:
        x = sources[0]
        match node:
            case Input() | Requantize() | Quantize():
                grid = self._grid(node.name)
                ends = integer_range(node.bits, node.signed)
                x = x.to(self.layers["layer0"].weight.dtype)  # type: ignore[arg-type]
                return OnGrid.apply(x, float(grid.scale), grid.zero, *ends)
            case MatMul():
                return self.layer(node.matrix)(x, self._grid(node.source))
            case Threshold():
                return Steps.apply(x, node, self.graph.fractions[node.source])
            case Relu():
                return torch.relu(x)
            case Flatten():
                return x.flatten(1)
            case Add():
                return x + sources[1]
            case MaxPool():
                w = node.window
                return F.max_pool2d(pad(x, w, float("-inf")), w.kernel, w.stride, 0, w.dilation)
            case AvgPool() if self._grid(node.name).is_fixed_point:
                return average(x, node, self._grid(node.name))
            case RawInput():
                return x
            case Dequantize():
                return x.float()
            case Float():
                return node.function.on_tensors(sources)  # type: ignore[attr-defined]
        return free_node(node, sources, [self.graph.grids[s] for s in node.sources])


def average(x: torch.Tensor, node: AvgPool, grid: Grid) -> torch.Tensor:
    """Average pooling on a grid of powers of two, where ties are exact."""
    w = node.window
    total = F.avg_pool2d(pad(x, w, 0.0), w.kernel, w.stride, divisor_override=1)
    count = torch.from_numpy(node.divisor(*x.shape[2:])).to(x)
    return OnGrid.apply(total / count, float(grid.scale), 0, -(2**52), 2**52)
