"""Tracing modules with torch.fx: PyTorch's layers and the quantized ones stay whole."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from xbarsim.errors import InputError


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """PyTorch's layers, those of this package and of Brevitas, and the norm of Brevitas's examples."""
        home, kind = type(m).__module__, type(m).__name__
        whole = home.startswith(("xbarsim.torch_bridge.", "brevitas.nn.")) or kind == "TensorNorm"
        return whole or super().is_leaf_module(m, module_qualified_name)


def trace(module: nn.Module) -> fx.GraphModule:
    """The module as a graph of its layers, which it shares with it.

    Raises
    ------
    InputError : control flow that depends on values.
    """
    tracer, own = _Tracer(), {id(part) for part in module.modules()}
    try:
        graph = tracer.trace(_as_child(module))
    except Exception as error:  # whatever the user's forward may raise
        raise InputError(
            f"module {type(module).__name__}",
            "a module that torch.fx can trace",
            f"'{error}'",
            "take control flow that depends on values out of forward",
        ) from error
    traced: Any = fx.GraphModule(tracer.root, graph, type(module).__name__)
    for part in traced.modules():
        if id(part) not in own:  # the module's layers keep their own modes: some may be frozen
            part.training = module.training
    return traced


def _as_child(root: nn.Module) -> nn.Module:
    """A single layer as a network, so that it is traced as a whole; a module of the user's own as it is."""
    home = type(root).__module__
    return nn.Sequential(root) if home.startswith("torch.nn") and not list(root.children()) else root
