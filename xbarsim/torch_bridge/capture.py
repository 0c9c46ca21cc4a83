"""A module as a graph of core operators: by torch.export, or by torch.fx where all its layers are plain.

Plain layers (linear, convolution, batch norm behind them, ReLU, pooling, flatten, addition, dropout) need no
export, which takes seconds. The graphs mean the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from xbarsim.errors import InputError
from xbarsim.torch_bridge.captured import Captured, Times, aten
from xbarsim.torch_bridge.onnx_import import OnnxStep
from xbarsim.torch_bridge.wrapped import WRAPPED, Inputs, Wrapped

OTHER_BATCHES = (2, 5, 7, 64, 257, 2**20)  # what the capture is held to, besides the example's
OWN = f"{Path(__file__).parent}{os.sep}"
TORCHS = f"{Path(torch.__file__).parent}{os.sep}"
PRODUCTS = (
    aten.linear.default,
    aten.addmm.default,
    aten.mm.default,
    aten.bmm.default,
    aten.convolution.default,
)


def export(module: nn.Module, inputs: Inputs) -> Captured:
    """Capture a module by torch.export, with any batch where it allows that.

    Parameters
    ----------
    module : in eval mode
    inputs : (N, ...) tensors, in order or by the names of `forward`'s arguments; at least two examples

    Raises
    ------
    InputError : control flow that depends on values, or what else torch.export does not capture.
    """
    program = _exported(module, inputs)
    steps = {path: part for path, part in module.named_modules() if isinstance(part, OnnxStep)}
    return _from_program(program, type(module).__name__, steps)


def is_exported(module: nn.Module) -> bool:
    """Whether a module is what `ExportedProgram.module()` gives, with torch's own checks as hooks."""
    return isinstance(module, fx.GraphModule) and "validate_inputs" in vars(module)


def _exported(module: nn.Module, inputs: Inputs) -> Any:
    args, kwargs = (inputs, {}) if isinstance(inputs, tuple) else ((), inputs)
    dynamic: Any = {0: torch.export.Dim.AUTO}
    shapes: Any = tuple(dynamic for _ in args) if args else {name: dynamic for name in kwargs}
    failed: Exception | None = None
    for wanted in (shapes, None):
        try:
            if wanted is None:  # this batch, and no other
                args = tuple(t[:1] for t in args)
                kwargs = {name: t[:1] for name, t in kwargs.items()}
            with _quiet():
                taken = Wrapped(module, inputs)
                found = torch.export.export(taken, args, kwargs, dynamic_shapes=wanted, strict=False)
                found = _reshaped(found).run_decompositions()
            if wanted is None or _takes_any_batch(found):
                return found
        except Exception as error:  # whatever the user's forward, and the export, may raise
            failed = failed or error
    text = " ".join(str(failed).split())
    raise InputError(
        f"module {type(module).__name__}",
        "a module that torch.export can capture",
        f"'{text[:300]}'",
        "take control flow that depends on values out of forward; attention of 'eager' kind may help",
    ) from failed


def _reshaped(program: Any) -> Any:
    """The program with reshapes in place of views, for decompositions may lay out memory otherwise.

    Attention that is one operator gives its values in another order of memory than that of its parts.
    """
    for node in program.graph.nodes:
        if node.target is aten.view.default:
            node.target = aten.reshape.default
    program.graph_module.recompile()
    return program


def _takes_any_batch(program: Any) -> bool:
    """Whether no size of the inputs became a number, and no branch that was taken depends on one."""
    names = program.graph_signature.user_inputs
    given = (n for n in program.graph.nodes if n.op == "placeholder" and n.name in names)
    values = [n.meta.get("val") for n in given]
    sizes: list[Any] = [v.shape[0] for v in values if isinstance(v, torch.Tensor) and v.ndim]
    if not all(isinstance(size, torch.SymInt) and size.node.expr.free_symbols for size in sizes):
        return False
    symbols = {symbol for size in sizes for symbol in size.node.expr.free_symbols}
    ranges = [program.range_constraints[s] for s in symbols if s in program.range_constraints]
    held = all(r.lower <= min(OTHER_BATCHES) and r.upper >= max(OTHER_BATCHES) for r in ranges)
    guards = [guard.expr for guard in sizes[0].node.shape_env.guards] if sizes else []
    found = [g.subs(dict.fromkeys(g.free_symbols, n)) for g in guards for n in OTHER_BATCHES]
    return held and all(map(bool, found))


class _quiet:
    """Without torch's warnings and logs on what the export specialises, and the graphs that it prints."""

    def __enter__(self) -> None:
        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("ignore")
        self._said = contextlib.redirect_stderr(io.StringIO())
        self._said.__enter__()
        self._disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *exception: Any) -> None:
        logging.disable(self._disabled)
        self._said.__exit__(*exception)
        self._caught.__exit__(*exception)


def _from_program(program: Any, name: str, steps: Mapping[str, OnnxStep]) -> Captured:
    signature, graph = program.graph_signature, program.graph
    state = {**program.state_dict, **program.constants}
    held = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    inputs, constants, weights = [], {}, {}
    for node in graph.nodes:
        if node.op == "placeholder" and node.name in held:
            constants[node] = state[held[node.name]].detach()
            weights[node] = held[node.name].removeprefix(f"{WRAPPED}.")
        elif node.op == "placeholder" and node.name in signature.user_inputs:
            inputs.append(node)
        elif node.op == "placeholder":
            raise InputError(f"module {name}", "tensors as inputs", node.name, "hand the rest to __init__")
    batch = _mark_sizes(graph, inputs, name)
    given = [n for n in signature.user_outputs]
    by_name = {n.name: n for n in graph.nodes}
    keys = _keys_of(program.call_spec.out_spec, len(given))
    outputs = {
        key: by_name[n]
        for key, n in zip(keys, given, strict=True)
        if isinstance(n, str) and n in by_name and "shape" in by_name[n].meta
    }
    if not outputs:
        raise InputError(f"module {name}", "a tensor as output", "none")
    inputs = [n for n in inputs if "shape" in n.meta]
    captured = Captured(
        graph=graph,
        inputs=inputs,
        outputs=_scores_first(outputs),
        constants=constants,
        fixed_batch=batch,
        origins={n: _origin_of(n, steps) for n in graph.nodes if n.op == "call_function"},
        weights=weights,
    )
    fold_constants(captured)
    return captured


def _mark_sizes(graph: fx.Graph, inputs: list[fx.Node], name: str) -> int | None:
    """Note every shape, and every size as a number or a multiple of the batch; the fixed batch, if any."""
    values = [n.meta["val"] for n in inputs if isinstance(n.meta.get("val"), torch.Tensor)]
    if not values:
        raise InputError(f"module {name}", "tensors as inputs", "none")
    symbols = [v.shape[0] for v in values if v.ndim and not isinstance(v.shape[0], int)]
    example = int(symbols[0].node.hint) if symbols else 1
    batch = [s.node.expr for s in symbols]
    for node in graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, (list, tuple)):
            continue
        if isinstance(value, torch.Tensor):
            node.meta["shape"] = tuple(_at(s, batch, example) for s in value.shape)
            node.meta["dtype"] = value.dtype
        elif isinstance(value, (torch.SymInt, int)) and not isinstance(value, bool):
            node.meta["size"] = _size_of(value, batch, name)
    return None if symbols else int(values[0].shape[0])


def _at(size: Any, batch: list[Any], example: int) -> int:
    return size if isinstance(size, int) else int(size.node.expr.subs(dict.fromkeys(batch, example)))


def _size_of(value: Any, batch: list[Any], name: str) -> int | Times:
    """A size as a number, or as a multiple of the batch."""
    if isinstance(value, int):
        return value
    at = [value.node.expr.subs(dict.fromkeys(batch, n)) for n in (0, 1, 7, 12)]
    more, slope = at[0], at[1] - at[0]
    if not all(a.is_Integer for a in at) or at[2:] != [more + 7 * slope, more + 12 * slope]:
        raise InputError(f"module {name}", "sizes that are multiples of the batch", str(value.node.expr))
    return Times(int(slope), int(more)) if slope else int(more)


def _keys_of(spec: Any, count: int) -> list[str]:
    """The outputs' keys: those of a dict or dataclass, numbers otherwise."""
    from torch.utils import _pytree

    found = _pytree.tree_unflatten(list(range(count)), spec)
    keys: list[str] = [""] * count

    def walk(value: Any, prefix: str) -> None:
        if isinstance(value, int):
            keys[value] = prefix or "output"
        elif isinstance(value, Mapping):
            for key, item in value.items():
                walk(item, f"{prefix}.{key}" if prefix else str(key))
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                walk(getattr(value, field.name), f"{prefix}.{field.name}" if prefix else field.name)
        elif isinstance(value, (list, tuple)):
            names = getattr(value, "_fields", range(len(value)))
            for key, item in zip(names, value, strict=True):
                walk(item, f"{prefix}.{key}" if prefix else str(key))

    walk(found, "")
    return [key or str(i) for i, key in enumerate(keys)]


def _scores_first(outputs: dict[str, fx.Node]) -> dict[str, fx.Node]:
    first = next((k for k in outputs if k == "logits" or k.endswith(".logits")), next(iter(outputs)))
    return {first: outputs[first], **outputs}


def _origin_of(node: fx.Node, steps: Mapping[str, OnnxStep]) -> str:
    """Which layer, operator and line of the user's source a node comes from, for people.

    A node of an ONNX file is its layer, and names it.
    """
    stack = node.meta.get("nn_module_stack") or {}
    layer = ""
    if stack:
        path, kind = list(stack.values())[-1]
        path = path.removeprefix(WRAPPED).removeprefix(".")
        if path in steps:
            if node.target in PRODUCTS:
                node.meta["layer"] = steps[path].title
            return f"layer {steps[path].title!r} ({steps[path].kind})"
        kind = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
        layer = f"layer {path!r} ({kind.rsplit('.', 1)[-1]})" if path else ""
    place = _place_of(node.meta.get("stack_trace") or "")
    target = str(getattr(node.target, "__name__", node.target)).removesuffix(".default")
    return ", ".join(part for part in (layer, f"node {node.name!r} ({target})", place) if part)


def _place_of(trace: str) -> str:
    """The last line of the user's own in a trace: 'file.py:12'."""
    found = ""
    for line in trace.splitlines():
        line = line.strip()
        if line.startswith('File "'):
            path, _, rest = line.removeprefix('File "').partition('", line ')
            if path.startswith(OWN):
                continue
            if not found or not path.startswith(TORCHS):
                found = f"{path.rsplit('/', 1)[-1]}:{rest.partition(',')[0]}"
    return found


def fold_constants(captured: Captured) -> None:
    """Work out every node that depends on constants alone."""
    constants = captured.constants
    for node in captured.graph.nodes:
        if node.op != "call_function" or "size" in node.meta or node in constants:
            continue
        inner = node.all_input_nodes
        if not all(n in constants for n in inner):
            continue
        if not inner and "shape" not in node.meta:
            continue
        with torch.no_grad():
            args = fx.map_arg(node.args, lambda n: constants[n])
            named = {k: v for k, v in node.kwargs.items() if k not in ("device", "pin_memory")}
            kwargs = fx.map_arg(named, lambda n: constants[n])
            try:
                value = node.target(*args, **kwargs)  # type: ignore[operator]
            except Exception as error:
                raise InputError(captured.where(node), "constants that it takes", f"'{error}'") from error
        constants[node] = value
        names = {captured.weights[n] for n in inner if n in captured.weights}
        if len(names) == 1:
            captured.weights[node] = next(iter(names))
