"""From a torch module to an `IntegerGraph`: tracing, batch-norm folding, calibrated fixed-point scales.

Weights and activations become fixed point: integers with a power-of-two scale, one a tensor, the finest
that holds the largest weight, or the largest activation that the calibration images cause. Rounding is
half up, out of range saturates. Biases stay digital and are not stored in cells.

The calibration runs the module in float, in eval mode; the module itself is left as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import fx, nn

from xbarsim.arrays import check_calibration
from xbarsim.errors import InputError, check_int
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.hints import checked
from xbarsim.torch_bridge.operators import OPERATORS, Builder, argument_of, operator_of
from xbarsim.torch_bridge.threads import torch_threads
from xbarsim.torch_bridge.tracing import trace


@checked
def quantize(
    module: nn.Module,
    images: np.ndarray | torch.Tensor,
    *,
    weight_bits: int = 16,
    activation_bits: int = 16,
    symmetric: bool = False,
) -> IntegerGraph:
    """Turn a module into integers, with scales calibrated on images.

    Parameters
    ----------
    module : linear, convolution (stride, padding, dilation, groups), batch norm after either, ReLU, max and
        average pooling, flatten, residual addition; dropout and identity vanish
    images : (N, ...) floats, some hundred typical inputs
    weight_bits, activation_bits : 2..16
    symmetric : keep the weights within +-(2**(b-1) - 1), as the differential encoding needs

    Raises
    ------
    InputError : an operator that is not supported (its name and place), NaN weights, bad images.
    """
    check_int("weight_bits", weight_bits, 2, 16)
    check_int("activation_bits", activation_bits, 2, 16)
    sample = _calibration_images(images)
    _check_parameters(module)
    traced = _trace(module)
    fold_batch_norm(traced)
    _check_in_place(traced)
    with torch_threads(1):  # with other numbers a sum may round across a power of two
        observed = _Observer(traced).observe(sample)
    builder = Builder(
        module=traced,
        observed=observed,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        symmetric=symmetric,
    )
    for node in traced.graph.nodes:
        _translate(builder, node, sample)
    graph = IntegerGraph(tuple(builder.nodes), tuple(sample.shape[1:]))
    if not graph.layers:
        raise InputError("module", "at least one linear or convolution layer", "none")
    return graph


def _check_in_place(traced: fx.GraphModule) -> None:
    """Refuse an operator that overwrites a value which something else reads as well."""
    for node in traced.graph.nodes:
        source = argument_of(node, 0) if node.op.startswith("call") and _overwrites(node, traced) else None
        while isinstance(source, fx.Node):
            if len(source.users) > 1:
                raise InputError(
                    f"node {node.name!r}",
                    f"an operator that leaves {source.name!r} as it is, since others read it",
                    "one that works in place",
                    "leave 'inplace' out",
                )
            through = operator_of(source, traced)
            source = argument_of(source, 0) if through is not None and through.shares_memory else None


def _overwrites(node: fx.Node, traced: fx.GraphModule) -> bool:
    if node.op == "call_module":
        layer = traced.get_submodule(str(node.target))
        return bool(getattr(layer, "inplace", False)) and not isinstance(layer, nn.Dropout)
    name = str(getattr(node.target, "__name__", node.target))
    given = node.kwargs.get("inplace", name == "relu" and len(node.args) > 1 and node.args[1])
    return bool(given) or name in ("iadd", "relu_", "add_")


def weighted_layers(module: nn.Module) -> list[tuple[nn.Linear | nn.Conv2d, nn.Module | None]]:
    """The linear and convolution layers in order, each with the batch norm that `quantize` folds into it.

    A module that cannot be traced may say so itself, by a method of this name.

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
        if isinstance(traced.get_submodule(t), _WEIGHTED)
    ]
    if not found:
        raise InputError("module", "at least one linear or convolution layer", "none")
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
    InputError : a batch norm elsewhere, or one without running statistics.
    """
    for node, before in _batch_norms(traced):
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


def _trace(module: nn.Module) -> fx.GraphModule:
    hooked = [
        name or "the module" for name, m in module.named_modules() if m._forward_hooks or m._forward_pre_hooks
    ]
    if hooked:
        raise InputError(
            f"layer {hooked[0]!r}", "no forward hooks", "one", "remove it or write it into forward"
        )
    traced = trace(copy.deepcopy(module).eval())
    shared = [
        t for t, n in _targets(traced).items() if n > 1 and isinstance(traced.get_submodule(t), _WEIGHTED)
    ]
    if shared:
        raise InputError(
            f"layer {shared[0]!r}", "one use of a layer", "several", "give each use its own layer"
        )
    return traced.double()


_WEIGHTED = (nn.Linear, nn.Conv2d)


def _targets(traced: fx.GraphModule) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in traced.graph.nodes:
        if node.op == "call_module":
            counts[str(node.target)] = counts.get(str(node.target), 0) + 1
    return counts


class _Observer(fx.Interpreter):
    """Runs the module and notes the smallest and largest value and the shape of every node."""

    def observe(self, sample: torch.Tensor) -> dict[str, Any]:
        self.found: dict[str, Any] = {}
        self.extra_traceback = False
        with torch.no_grad():
            for part in sample.split(256):
                self.run(part)
        return self.found

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and widen what was seen of it."""
        if n.op in ("call_module", "call_function", "call_method") and operator_of(n, self.module) is None:  # type: ignore[arg-type]
            raise unsupported(n, self.module)  # type: ignore[arg-type]
        try:
            value = super().run_node(n)
        except (RuntimeError, IndexError, TypeError) as error:
            raise InputError(
                f"layer {n.target!r}",
                "inputs that fit the network",
                f"'{error}'",
                "check the shape of the images",
            ) from error
        if isinstance(value, torch.Tensor):
            low, high, _ = self.found.get(n.name, (0.0, 0.0, None))
            seen = (min(low, float(value.min())), max(high, float(value.max())), tuple(value.shape[1:]))
            self.found[n.name] = seen
        return value


def unsupported(node: fx.Node, traced: fx.GraphModule) -> InputError:
    """The error for an operator that has no integer meaning here, with its name and place."""
    if node.op == "call_module":
        what = f"layer {node.target!r} ({type(traced.get_submodule(str(node.target))).__name__})"
    else:
        what = f"node {node.name!r} ({getattr(node.target, '__name__', node.target)})"
    known = ", ".join(sorted({operator.label for operator in OPERATORS}))
    return InputError(what, f"a supported operator ({known})", "another one", "replace it")


def _translate(builder: Builder, node: fx.Node, sample: torch.Tensor) -> None:
    if node.op == "placeholder":
        if builder.nodes:
            raise InputError("module", "one input", f"a second one, {node.name!r}")
        builder.add_input(node)
    elif node.op == "output":
        source = node.args[0]
        if not isinstance(source, fx.Node):
            raise InputError("module", "one output tensor", type(source).__name__)
        builder.finish(source)
    elif node.op == "get_attr":
        raise InputError(f"node {node.name!r}", "constants only as weights of layers", f"{node.target!r}")
    elif isinstance(builder.observed.get(node.name), tuple):
        operator = operator_of(node, builder.module)
        assert operator is not None
        operator.build(builder, node)


def _calibration_images(images: ArrayLike) -> torch.Tensor:
    """(N, ...) float64 on the processor; one number throughout says nothing about scales."""
    found = check_calibration(images).astype(np.float64)
    if found.size > 1 and found.min() == found.max():
        remedy = "hand in typical inputs"
        raise InputError("calibration images", "numbers that differ", f"{found.min():g} alone", remedy)
    return torch.from_numpy(np.ascontiguousarray(found))


def _check_parameters(module: nn.Module) -> None:
    tensors: Iterable[tuple[str, torch.Tensor]] = [*module.named_parameters(), *module.named_buffers()]
    for name, tensor in tensors:
        if nn.parameter.is_lazy(tensor):
            raise InputError(
                f"weights {name!r}", "initialised weights", "a lazy layer", "run it on an image first"
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(
                f"weights {name!r}", "finite values", "NaN or infinity", "train or load the network again"
            )
