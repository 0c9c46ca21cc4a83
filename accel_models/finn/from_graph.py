"""From an `IntegerGraph`, and so from a quantized torch module, to the FINN network that computes the same.

A `Requantize` behind a product is a step function of the accumulator: it gives k or more exactly if
accumulator + bias + half >= k << shift, so it becomes integer thresholds and the network stays exact. The
graph's axes are (channel, row, column); FINN's are (row, column, channel).

Assumes a chain: input, then products, each with thresholds or a requantization and perhaps a ReLU, a
max-pool and a flatten behind it, and a product at the end, whose bias is kept.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.assembly import LayerChain
from accel_models.finn.floats import GraphPixels
from accel_models.finn.layer import BIPOLAR, MOST_BITS, IntArray, Stream
from accel_models.finn.network import FinnNetwork, Head, PixelInput
from xbarsim.arrays import check_inputs
from xbarsim.errors import InputError
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Flatten, Input, MatMul, MaxPool, Node, Relu, Requantize, integer_range
from xbarsim.graph.thresholds import Threshold
from xbarsim.graph.window import Window
from xbarsim.hints import checked

CHAIN = "input, products, each with a quantizer and perhaps a max-pool behind it, a product at the end"


@checked
def from_graph(
    graph: IntegerGraph, *, name: str = "network", class_text: str = "", weight_bits: int | None = None
) -> FinnNetwork:
    """The FINN network whose last accumulators are the graph's last integers.

    Its class is their first maximum. The graph's input decides what a pixel means: v, the input's integer,
    is that of the network's `PixelInput`, whatever the input's fraction. Unsigned, of b bits:
    v = pixel >> (8 - b). Signed, of b bits: v = clip(floor(2**(b-1) (2 pixel / 255 - 1) + 1/2)); no pixel
    gives 0 if b is 8. Unsigned, of 8 bits, and behind it a `Threshold` at 127 to -1 and +1: `bipolar`.
    The network takes the graph's own floats, and `image_pixels` turns them into these pixels.

    Parameters
    ----------
    graph : products with at most 8 bits of weights and inputs; no groups, padding or dilation
    class_text : the names of the classes, a line each
    weight_bits : width of every weight memory; by default the narrowest for each layer's weights

    Raises
    ------
    InputError : a node that a FINN dataflow cannot hold; it names the node and what to do.
    """
    _check_line(graph)
    channels = graph.input_shape
    shape = (1, 1, channels[0]) if len(channels) == 1 else (channels[1], channels[2], channels[0])
    pixels, rest = _pixels(graph.nodes)
    chain = LayerChain(shape, pixels.stream)
    flat = len(channels) == 1
    for node in rest:
        _check_axes(node, flat)
        _add(chain, node, weight_bits)
        flat |= isinstance(node, Flatten)
    layers = chain.finish(f"node {graph.nodes[-1].name!r}")
    head = Head(kind="first-maximum", classes=layers[-1].rows)
    return FinnNetwork(
        name=name,
        layers=layers,
        image=shape,
        pixels=pixels,
        head=head,
        floats=_floats(graph, pixels),
        flat=len(channels) == 1,
        class_text=class_text,
    )


def image_pixels(graph: IntegerGraph, images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The pixels on which `from_graph(graph)` does what the graph does on these images.

    Parameters
    ----------
    images : (N, *input_shape) floats; the graph's input rounds and saturates them

    Returns
    -------
    (N, height, width, channels) uint8, or (N, 1, 1, features)

    Raises
    ------
    InputError : images that do not fit the graph; an integer that no pixel gives.
    """
    pixels, _ = _pixels(graph.nodes)
    found = _floats(graph, pixels).pixels(check_inputs(images, graph.input_shape))
    return found.reshape(*found.shape, *[1] * (4 - found.ndim)).transpose(0, 2, 3, 1)


def _floats(graph: IntegerGraph, pixels: PixelInput) -> GraphPixels:
    """What the graph's floats are: each of its integers has the lowest pixel that gives it."""
    node = graph.nodes[0]
    assert isinstance(node, Input)
    table = np.arange(256)
    if pixels.kind != "bipolar":
        table = np.full(pixels.stream.top + 1, -1)
        table[pixels.codes[::-1]] = np.arange(255, -1, -1)
    return GraphPixels(node=node, table=table)


def _check_line(graph: IntegerGraph) -> None:
    for before, node in pairwise(graph.nodes):
        if node.sources != (before.name,):
            remedy = "take branches and residual sums out of the network"
            raise _refused(node, f"the node before it, {before.name!r}, as its only source", remedy)
    if len(graph.input_shape) not in (1, 3):
        raise InputError("graph input", "(channels, height, width) or (features,)", str(graph.input_shape))


def _check_axes(node: Node, flat: bool) -> None:
    if isinstance(node, MatMul) and flat != (node.window is None):
        expected = "a window on images, none on flattened ones"
        raise _refused(node, expected, "put a Flatten before the first linear layer, and no other")
    if isinstance(node, MaxPool) and flat:
        raise _refused(node, "a max-pool on images", "pool before the Flatten")


def _pixels(nodes: tuple[Node, ...]) -> tuple[PixelInput, tuple[Node, ...]]:
    """What enters, and the nodes that are left to translate."""
    first, *rest = nodes
    assert isinstance(first, Input)
    if not 1 <= first.bits <= MOST_BITS:
        expected = f"an input of 1..{MOST_BITS} bits, as pixels have"
        raise InputError(f"node {first.name!r}", expected, first.bits, "quantize to fewer activation bits")
    if rest and isinstance(rest[0], Threshold):
        if (first.bits, first.signed) != (8, False) or not _is_sign(rest[0]):
            remedy = "threshold an unsigned input of 8 bits at 127 to -1 and +1, or drop the node"
            raise _refused(rest[0], "a threshold that a pixel input has", remedy)
        return PixelInput(kind="bipolar", bits=1), tuple(rest[1:])
    kind: Literal["fixed-point", "unsigned"] = "fixed-point" if first.signed else "unsigned"
    return PixelInput(kind=kind, bits=first.bits), tuple(rest)


def _is_sign(node: Threshold) -> bool:
    stream = (node.low, node.step, node.thresholds.shape[1])
    return stream == (BIPOLAR.low, BIPOLAR.step, BIPOLAR.top) and bool((node.thresholds == 127).all())


def _add(chain: LayerChain, node: Node, weight_bits: int | None) -> None:
    where = f"node {node.name!r}"
    match node:
        case MatMul():
            down, across = (1, 1) if node.window is None else node.window.stride
            kernels = _kernels(chain, node)
            bias = node.bias if node.bias.any() else None
            stride = (down, across)
            chain.multiply(where, node.name, kernels, bias=bias, stride=stride, weight_bits=weight_bits)
        case Threshold():
            chain.threshold(where, node.thresholds, _stream(node, node.low, node.step, node.top))
        case Requantize():
            low, high = integer_range(node.bits, node.signed)
            rows, stream = chain.shape[2], _stream(node, low, 1, high)
            steps = _requantize_thresholds(np.arange(low + 1, high + 1, dtype=np.int64), node.shift)
            chain.threshold(where, np.tile(steps, (rows, 1)), stream)
        case Relu():
            chain.relu(where)
        case MaxPool():
            chain.pool(where, _pool_side(node))
        case Flatten():
            pass  # the window of the next product covers its whole input
        case _:
            raise _refused(node, CHAIN, "replace it, or run the network on another accelerator")


def _requantize_thresholds(levels: IntArray, shift: int) -> IntArray:
    """(n,) the largest accumulators below each level: T < a exactly if a rounds to the level or above."""
    if shift > 62 - MOST_BITS:
        raise InputError("Requantize.shift", f"at most {62 - MOST_BITS} places", shift)
    if shift <= 0:
        return -((-levels) >> -shift) - 1  # a << -shift >= level
    return (levels << shift) - (1 << (shift - 1)) - 1


def _stream(node: Node, low: int, step: int, high: int) -> Stream:
    top = (high - low) // step
    if not 1 <= top < 1 << MOST_BITS or step > 2 or abs(low) > 1 << MOST_BITS:
        remedy = f"quantize activations to 1..{MOST_BITS} bits, in steps of 1 or 2"
        raise _refused(node, "activations that a FINN stream carries", remedy)
    return Stream(low=low, step=step, top=top)


def _kernels(chain: LayerChain, node: MatMul) -> IntArray:
    """(M, kernel height, kernel width, channels) weights from a graph's (1, K, M)."""
    if node.groups > 1:
        raise _refused(node, "one group", "write the convolution with groups=1")
    height, width, channels = chain.shape
    columns = node.weights.shape[1]
    if node.window is not None:
        _check_plain(node, node.window)
        height, width = node.window.kernel
    if columns != height * width * channels:
        expected = f"weights for {height * width * channels} inputs"
        raise InputError(f"node {node.name!r}", expected, columns, "check the shape of the graph's input")
    return node.weights[0].reshape(channels, height, width, -1).transpose(3, 1, 2, 0)


def _pool_side(node: MaxPool) -> int:
    _check_plain(node, node.window)
    side = node.window.kernel[0]
    if node.window.kernel != (side, side) or node.window.stride != (side, side):
        raise _refused(node, "a square max-pool whose blocks do not overlap", "use kernel_size = stride")
    return side


def _check_plain(node: Node, window: Window) -> None:
    if any(window.padding[0]) or any(window.padding[1]):
        raise _refused(node, "no padding", "a FINN window stays inside its input: use padding=0")
    if window.dilation != (1, 1):
        raise _refused(node, "no dilation", "use dilation=1")


def _refused(node: Node, expected: str, remedy: str) -> InputError:
    return InputError(f"node {node.name!r}", expected, type(node).__name__, remedy)
