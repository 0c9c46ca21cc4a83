"""Batch norm behind the layers that it belongs to: found, and folded into them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from xbarsim.errors import InputError
from xbarsim.torch_bridge.reach import warn_of_left_out
from xbarsim.torch_bridge.tracing import trace

WEIGHTED = (nn.Linear, nn.Conv2d)


def weighted_layers(module: nn.Module) -> list[tuple[nn.Linear | nn.Conv2d, nn.Module | None]]:
    """The linear and convolution layers in order, each with the batch norm that `quantize` folds into it.

    A module that cannot be traced may say so itself, by a method of this name. Weights elsewhere are left
    out, which is said.

    Raises
    ------
    InputError : no such layer, a batch norm elsewhere, a module that cannot be traced.
    """
    if callable(own := getattr(module, "weighted_layers", None)):
        return own()
    traced = trace(module)
    norms = {before.target: traced.get_submodule(str(n.target)) for n, before in _batch_norms(traced)}
    targets = [str(n.target) for n in traced.graph.nodes if n.op == "call_module"]
    found = [
        (traced.get_submodule(t), norms.get(t))
        for t in dict.fromkeys(targets)
        if isinstance(traced.get_submodule(t), WEIGHTED)
    ]
    if not found:
        raise InputError("module", "at least one linear or convolution layer", "none")
    reached: list[Any] = [layer.weight for layer, _ in found]
    warn_of_left_out("training on stuck cells", module, reached)
    return found  # type: ignore[return-value]


def _batch_norms(traced: fx.GraphModule) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Every batch norm's node and that of the layer before it."""
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.modules.batchnorm._BatchNorm):
            continue
        norm, before = modules[node.target], node.args[0]
        layer = modules.get(before.target) if before.op == "call_module" else None
        if not isinstance(layer, (nn.Linear, nn.Conv2d)) or len(before.users) > 1 or norm.running_var is None:
            raise InputError(
                f"layer {node.target!r} ({type(norm).__name__})",
                "running statistics, directly after a linear or convolution layer that nothing else reads",
                f"after {before.target!r}",
                "move it behind the layer, or fold it yourself",
            )
        yield node, before


def fold_batch_norm(traced: fx.GraphModule) -> None:
    """Fold every batch norm into the linear or convolution layer it alone reads, in place.

    Raises
    ------
    InputError : a batch norm elsewhere, one without running statistics, one behind a layer that is called
        twice.
    """
    calls = [str(node.target) for node in traced.graph.nodes if node.op == "call_module"]
    for node, before in _batch_norms(traced):
        if calls.count(str(before.target)) > 1:
            raise InputError(f"layer {before.target!r}", "one call of a layer with a batch norm", "several")
        _fold(traced.get_submodule(str(before.target)), traced.get_submodule(str(node.target)))  # type: ignore[arg-type]
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
    traced.recompile()


def _fold(layer: nn.Linear | nn.Conv2d, norm: Any) -> None:
    with torch.no_grad():
        gain = torch.rsqrt(norm.running_var + norm.eps)
        if norm.weight is not None:
            gain = gain * norm.weight
        bias = layer.bias if layer.bias is not None else torch.zeros_like(norm.running_mean)
        shifted = (bias - norm.running_mean) * gain
        # a new parameter, since another layer may share the old one
        layer.weight = nn.Parameter(layer.weight * gain.reshape(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias = nn.Parameter(shifted if norm.bias is None else shifted + norm.bias)
