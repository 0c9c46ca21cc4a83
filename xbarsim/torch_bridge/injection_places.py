"""Where errors go in a traced module: behind what, on which axis the channels lie, which weights they reach.

An error sits on an activation, or on the pooling behind it. Where no activation follows the output of a layer
before the next layer reads it (projections of attention, linear bottlenecks, states of recurrent layers), the
output is an activation itself. Scores are none: FAT injects nothing behind the last layer.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from xbarsim.torch_bridge.quantized import QuantActivation

POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
POOL_FUNCTIONS = (F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, torch.max_pool2d)
ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardtanh, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU,
    nn.Hardswish, nn.Hardsigmoid, nn.SELU, nn.CELU, nn.Mish, nn.Softplus, nn.PReLU, nn.RReLU,
)  # fmt: skip
ACTIVATION_FUNCTIONS = (
    F.relu, torch.relu, F.relu6, F.leaky_relu, F.hardtanh, torch.tanh, F.tanh, torch.sigmoid, F.sigmoid,
    torch.relu_, F.gelu, F.silu, F.elu, torch.sign, F.hardswish, F.hardsigmoid, F.selu, torch.selu, F.celu,
    F.mish, F.softplus, F.prelu, torch.prelu, F.rrelu,
)  # fmt: skip
ACTIVATION_METHODS = ("relu", "tanh", "sigmoid", "sign", "relu_", "tanh_", "sigmoid_")
PRODUCTS = (
    F.linear, F.bilinear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d,
    F.conv_transpose3d, torch.matmul, torch.mm, torch.bmm, torch.addmm, torch.einsum, operator.matmul,
)  # fmt: skip
PRODUCT_METHODS = ("matmul", "mm", "bmm", "addmm")
LAST = (nn.Linear, nn.Bilinear, nn.LayerNorm, nn.RNNBase, nn.MultiheadAttention)
LAST_FUNCTIONS = (F.linear, F.bilinear, F.layer_norm, torch.matmul, torch.mm, torch.addmm, operator.matmul)
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
BESIDE = (nn.Embedding, nn.EmbeddingBag, *NORMS)
SEVERAL = (nn.RNNBase, nn.MultiheadAttention)  # give more than one tensor


@dataclass(frozen=True, eq=False)
class Point:
    """A place for errors.

    Attributes
    ----------
    node : the activation, or the layer whose output it is
    behind : what the new layer follows: `node`, a norm or a pooling that alone reads it
    axis : of the channels
    batch : the axis of the inputs
    own : whether it is an activation, and not a layer's bare output
    """

    node: fx.Node
    behind: fx.Node
    axis: int = 1
    batch: int = 0
    own: bool = True


def points_of(traced: fx.GraphModule) -> list[Point]:
    """All places for errors, in order."""
    found = []
    for node in traced.graph.nodes:
        if is_activation(node, traced):
            found.append(Point(node, _pool_behind(node, traced), _axis_of(node, traced)))
        elif _has_weights(node, traced) and _ends_bare(node, traced):
            behind = _first_output(node, traced)
            if behind is not None:
                layer = _layer(node, traced)
                batch = 0 if getattr(layer, "batch_first", True) or not isinstance(layer, SEVERAL) else 1
                behind = _pool_behind(_norm_behind(behind, traced), traced)
                found.append(Point(node, behind, _axis_of(node, traced), batch, own=False))
    return found


def reached_by(traced: fx.GraphModule, chosen: list[Point]) -> list[torch.Tensor]:
    """The weights whose outputs errors sit on, and those of the scores, which are no activations.

    Parameters
    ----------
    chosen : the places that have errors; those of activations are all of them
    """
    bare = {point.node for point in chosen if not point.own}
    found: list[torch.Tensor] = []
    for node in traced.graph.nodes:
        if _has_weights(node, traced) and (node in bare or not _ends_bare(node, traced)):
            found += _reached_weights(node, traced)
    return found


def is_activation(node: fx.Node, traced: fx.GraphModule) -> bool:
    """Whether a node is an activation."""
    if node.op == "call_module":
        layer = traced.get_submodule(str(node.target))
        swallowed = getattr(layer, "activation", None)  # by an injection of an earlier insertion
        known = isinstance(layer, (QuantActivation, *ACTIVATIONS)) or isinstance(swallowed, QuantActivation)
        return known or (hasattr(layer, "act_quant") and not _is_input(node, traced))
    if node.op == "call_function":
        return node.target in ACTIVATION_FUNCTIONS
    return node.op == "call_method" and node.target in ACTIVATION_METHODS


def _layer(node: fx.Node, traced: fx.GraphModule) -> nn.Module | None:
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def _is_input(node: fx.Node, traced: fx.GraphModule) -> bool:
    """Whether no layer with weights comes before: a Brevitas layer that quantizes the images."""
    earlier = takewhile(lambda other: other is not node, traced.graph.nodes)
    layers = (traced.get_submodule(str(other.target)) for other in earlier if other.op == "call_module")
    return not any(hasattr(layer, "weight") for layer in layers)


def _pool_behind(node: fx.Node, traced: fx.GraphModule) -> fx.Node:
    reader = next(iter(node.users)) if len(node.users) == 1 else None
    if reader is None:
        return node
    if isinstance(_layer(reader, traced), POOLS):
        return reader
    return reader if reader.op == "call_function" and reader.target in POOL_FUNCTIONS else node


def _norm_behind(node: fx.Node, traced: fx.GraphModule) -> fx.Node:
    reader = next(iter(node.users)) if len(node.users) == 1 else None
    return reader if reader is not None and isinstance(_layer(reader, traced), NORMS) else node


def _has_weights(node: fx.Node, traced: fx.GraphModule) -> bool:
    layer = _layer(node, traced)
    if layer is not None:
        inner = any(nn.parameter.is_lazy(w) or w.ndim > 1 for w in layer.parameters())
        return inner and not isinstance(layer, BESIDE)
    products = PRODUCTS if node.op == "call_function" else PRODUCT_METHODS
    known = node.op.startswith("call") and node.target in products
    return known and next(_constants(node, traced), None) is not None


def _constants(node: fx.Node, traced: fx.GraphModule) -> Iterator[torch.Tensor]:
    """The weights of more than one dimension that a function reads, transposed or as they are."""
    for source in node.all_input_nodes:
        if source.op == "get_attr":
            held: Any = traced
            for name in str(source.target).split("."):
                held = getattr(held, name)
            if isinstance(held, nn.Parameter) and held.ndim > 1:
                yield held
        elif source.op != "call_module" and all(s.op == "get_attr" for s in source.all_input_nodes):
            yield from _constants(source, traced)


def _reached_weights(node: fx.Node, traced: fx.GraphModule) -> list[torch.Tensor]:
    """Those that the outputs are products with: neither attention's inner ones, nor earlier layers' gates."""
    layer = _layer(node, traced)
    if layer is None:
        return list(_constants(node, traced))
    if isinstance(layer, nn.MultiheadAttention):
        return [layer.out_proj.weight]
    if isinstance(layer, nn.RNNBase):
        last = f"l{layer.num_layers - 1}"
        return [w for name, w in layer.named_parameters() if last in name.split("_")]
    return [] if list(layer.children()) and not hasattr(layer, "weight") else list(layer.parameters())


def _ends_bare(node: fx.Node, traced: fx.GraphModule) -> bool:
    """Whether another layer reads an output on all ways before any activation does."""
    found = {"activation": False, "layer": False}
    seen: set[fx.Node] = set()
    waiting = list(node.users)
    while waiting:
        reader = waiting.pop()
        if reader in seen:
            continue
        seen.add(reader)
        if is_activation(reader, traced):
            found["activation"] = True
        elif _has_weights(reader, traced):
            found["layer"] = True
        else:
            waiting += reader.users
    return found["layer"] and not found["activation"]


def _first_output(node: fx.Node, traced: fx.GraphModule) -> fx.Node | None:
    """The node of a layer's first tensor, or None where nothing reads it or several do."""
    if not isinstance(_layer(node, traced), SEVERAL):
        layer = _layer(node, traced)
        composite = layer is not None and list(layer.children()) and not hasattr(layer, "weight")
        return None if composite else node
    firsts = [n for n in node.users if n.target is operator.getitem and n.args[1] == 0]
    return firsts[0] if len(firsts) == 1 else None


def _axis_of(node: fx.Node, traced: fx.GraphModule) -> int:
    """Where the channels of a value lie: behind a linear layer last, second otherwise."""
    at: fx.Node | None = node
    while at is not None:
        layer = _layer(at, traced)
        if isinstance(layer, LAST) or (at.op == "call_function" and at.target in LAST_FUNCTIONS):
            return -1
        second = isinstance(layer, nn.Flatten) or (layer is not None and hasattr(layer, "weight"))
        if second and not isinstance(layer, nn.PReLU):
            return 1
        if at.op == "call_function" and at.target in PRODUCTS:
            return 1
        at = next(iter(at.all_input_nodes), None)
    return 1
