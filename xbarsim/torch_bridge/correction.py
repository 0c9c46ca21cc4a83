"""Biases that take back what rounding shifts: the mean of every output is that of the float network.

Few bits of weight leave errors that do not cancel over the inputs of an output, and its mean moves. The
network is run once on calibration inputs, layer after layer, each behind those that are corrected already;
the bias of every output gets the mean difference to floats. Layers that are used again keep their bias.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.2, with the means of data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from xbarsim.graph.grid import FloatArray, IntArray
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import MatMul, Node
from xbarsim.torch_bridge.captured import Captured
from xbarsim.torch_bridge.observe import run_captured
from xbarsim.torch_bridge.threads import torch_threads

INPUTS = 32


def with_corrected_biases(
    graph: IntegerGraph, captured: Captured, stands_for: Mapping[str, fx.Node], sample: Sequence[torch.Tensor]
) -> IntegerGraph:
    """Return a graph whose layers have, on the first 32 inputs, the float network's means.

    Parameters
    ----------
    graph : of the captured network, its scales one a channel
    stands_for : the values of the network that nodes of the graph are
    sample : (N, ...) the network's inputs, in its order

    Returns
    -------
    The graph as it is where it takes one input at a time.
    """
    if graph.one_by_one:
        return graph
    uses = [node for node in graph.nodes if isinstance(node, MatMul)]
    again = {node.shares for node in uses}
    chosen = {node.name: node for node in uses if node.shares is None and node.name not in again}
    inputs = [tensor[:INPUTS] for tensor in sample]
    with torch_threads(1):  # a mean may round across half a step
        wanted = _means(captured, inputs, {stands_for[name]: _axis(node) for name, node in chosen.items()})
    found: list[MatMul] = []

    def note(node: Node, out: NDArray, sources: Sequence[NDArray]) -> None:
        if not isinstance(node, MatMul) or node.name not in chosen:
            return
        grid = graph.grids[node.name]
        assert grid is not None
        mean = _over_channels(out.astype(np.float64), _axis(node))
        more = _within_bounds(node, np.rint(wanted[stands_for[node.name]] / grid.scale - mean))
        shape = [1] * out.ndim
        shape[_axis(node)] = -1
        out += more.reshape(shape)
        found.append(replace(node, bias=node.bias + more))

    arrays = tuple(tensor.numpy() for tensor in inputs)
    given = graph.quantize_input(arrays if len(arrays) > 1 else arrays[0])
    graph.execute(given, graph.multiply, note)
    return graph.with_layers(found)


def _within_bounds(layer: MatMul, more: FloatArray) -> IntArray:
    """No more than what keeps sums below the largest that scales were chosen for."""
    most = layer.weights.shape[1] << layer.input_bits
    return np.clip(more, -most, most).astype(np.int64)


def _axis(layer: MatMul) -> int:
    return -1 if layer.window is None else 1


def _over_channels(values: NDArray, axis: int) -> FloatArray:
    return np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis]).mean(axis=0)


def _means(
    captured: Captured, inputs: list[torch.Tensor], axes: Mapping[fx.Node, int]
) -> dict[fx.Node, FloatArray]:
    """The mean of every channel of some of a network's values."""
    found: dict[fx.Node, FloatArray] = {}

    def keep(node: fx.Node, value: torch.Tensor) -> None:
        if node in axes:
            found[node] = _over_channels(value.double().numpy(), axes[node])

    run_captured(captured, inputs, keep)
    return found
