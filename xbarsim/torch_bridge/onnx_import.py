"""Float ONNX files as torch modules, which `quantize` captures like any other.

The module runs the file's graph by torch functions, one a node. Its weights are parameters and buffers under
the names of the initializers. Shapes stay symbols, so the batch is free where the file leaves it free.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import reduce
from itertools import zip_longest
from keyword import iskeyword
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from xbarsim.errors import InputError
from xbarsim.hints import checked
from xbarsim.torch_bridge.onnx_file import OnnxGraph, OnnxInput, OnnxNode, read_graph, single
from xbarsim.torch_bridge.onnx_layers import LAYERS
from xbarsim.torch_bridge.onnx_math import MATH, Operator
from xbarsim.torch_bridge.onnx_moves import MOVES
from xbarsim.torch_bridge.onnx_recurrent import RECURRENT
from xbarsim.torch_bridge.onnx_sizes import on_sizes
from xbarsim.torch_bridge.onnx_values import Call, Known, Value

OPERATORS: dict[str, Operator] = {**MATH, **LAYERS, **MOVES, **RECURRENT}
SHAPES = ("Shape", "Size", "Constant")
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "LSTM", "GRU", "RNN")
DEEPEST, MOST_NUMBERS = 20, 10**8
REMEDY = "export the network without it"


@checked
def read_onnx(path: str | Path) -> nn.Module:
    """Read a float ONNX file of opset 13 or later as a torch module.

    Parameters
    ----------
    path : of the file; external data lies beside it

    Returns
    -------
    A module in eval mode, for `xb.Subject`, `xb.program` and `xb.quantize`. It takes the file's inputs in
    order or by name, and gives its output, or a dictionary of its outputs. All floats are in single
    precision. A batch that the file fixes is free if two examples at once give what they give alone.

    Raises
    ------
    InputError : a file that cannot be read; an operator that is not known, with the node's name; a fixed
        batch of several that cannot be freed.
    """
    module = OnnxModule(read_graph(path))
    module.eval()
    module.free_batch()
    return module


class OnnxStep(nn.Module):
    """One node of the graph, called on its inputs' values.

    `title` is the node's name, `kind` its operator.
    """

    def __init__(self, node: OnnxNode) -> None:
        super().__init__()
        self.node, self.title, self.kind = node, node.name, node.kind

    def forward(self, *values: Value | None) -> tuple[Value, ...]:
        """The node's outputs."""
        return evaluate(self.node, values)


class _Group(nn.Module):
    """Weights whose names begin alike."""


class OnnxModule(nn.Module):
    """A graph of ONNX operators on torch tensors; made by `read_onnx`.

    Attributes
    ----------
    takes_tokens : whether an input is of whole numbers
    fixed_batch : the only batch that it takes, if there is one
    """

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__()
        self.inputs, self.outputs, self.file = graph.inputs, graph.outputs, graph.file
        self.takes_tokens = not all(value.floats for value in graph.inputs)
        self.fixed_batch = graph.inputs[0].sizes[0]
        known, nodes = _folded(graph)
        self.steps = nn.ModuleList(OnnxStep(node) for node in nodes)
        read = {name for node in nodes for name in node.inputs} | set(graph.outputs)
        self.known: dict[str, NDArray] = {name: array for name, array in known.items() if name in read}
        self.places: dict[str, str] = {}
        self._hold(nodes, set(graph.constants))

    @property
    def forward(self) -> Callable[..., Any]:  # type: ignore[override]
        """A function of the file's inputs, by their names."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments
            return self.run(list(given.values()))

        signature = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in self.names]
        )
        forward.__signature__ = signature  # type: ignore[attr-defined]
        return forward

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs' names as Python's: 'input.1' is input_1."""
        found: list[str] = []
        for place, value in enumerate(self.inputs):
            letters = "".join(c if c.isascii() and c.isalnum() else "_" for c in value.name)
            plain = letters.isidentifier() and letters not in ("self", *found) and not iskeyword(letters)
            found.append(letters if plain else f"input_{place}_")
        return tuple(found)

    def run(self, given: list[torch.Tensor]) -> Any:
        """The output, or the outputs by name, for inputs in the file's order."""
        values: dict[str, Value | None] = {"": None}
        for value, tensor in zip(self.inputs, given, strict=True):
            values[value.name] = self._checked(value, tensor)
        for name, array in self.known.items():
            path = self.places.get(name)
            held = None if path is None else reduce(getattr, path.split("."), self)
            values[name] = Known(array, held)  # type: ignore[arg-type]
        for step in self.steps:
            assert isinstance(step, OnnxStep)
            found = step(*(values[name] for name in step.node.inputs))
            values.update(zip(step.node.outputs, found, strict=False))
            values[""] = None
        outputs = {name: _as_tensor(values[name]) for name in self.outputs}
        return next(iter(outputs.values())) if len(self.outputs) == 1 else outputs

    def free_batch(self) -> None:
        """Free a batch that the file fixes, where two examples at once give what they give alone.

        Raises
        ------
        InputError : a fixed batch of several that cannot be freed.
        """
        fixed = self.fixed_batch
        if fixed is None:
            return
        self.fixed_batch = None
        if not self._takes_any_batch():
            self.fixed_batch = fixed
        if self.fixed_batch not in (None, 1):
            remedy = "export it with a dynamic batch, or a batch of 1"
            raise InputError(f"file {self.file}", "a network for any batch", f"batch {fixed}", remedy)

    def _takes_any_batch(self) -> bool:
        if any(None in value.sizes[1:] or value.sizes[0] != self.inputs[0].sizes[0] for value in self.inputs):
            return False
        if sum(prod(size or 1 for size in value.sizes) for value in self.inputs) > MOST_NUMBERS:
            return False
        rng = np.random.default_rng(0)
        drawn = [rng.standard_normal((2, *v.sizes[1:])) for v in self.inputs]  # type: ignore[arg-type]
        examples = [
            torch.from_numpy(d).float() if v.floats else torch.from_numpy(d > 0).long()
            for d, v in zip(drawn, self.inputs, strict=True)
        ]
        with torch.no_grad():
            try:
                both = _flat(self.run(examples))
                alone = [_flat(self.run([e[i : i + 1] for e in examples])) for i in range(2)]
            except InputError:
                return False
        for whole, first, second in zip(both, *alone, strict=True):
            parts = torch.cat([first, second]) if first.ndim else first
            if whole.shape != parts.shape:
                return False
            if not torch.allclose(whole.float(), parts.float(), rtol=1e-3, atol=1e-4, equal_nan=True):
                return False
        return True

    def _checked(self, value: OnnxInput, tensor: Any) -> torch.Tensor:
        where, sizes = f"file {self.file}, input {value.name!r}", list(value.sizes)
        if not isinstance(tensor, torch.Tensor):
            raise InputError(where, "a tensor", type(tensor).__name__)
        if sizes[0] is not None:
            sizes[0] = self.fixed_batch
        fits = tensor.ndim == len(sizes)
        if not fits or any(w is not None and w != s for w, s in zip(sizes, tensor.shape, strict=True)):
            wanted = ", ".join("any" if size is None else str(size) for size in sizes)
            raise InputError(where, f"shape ({wanted})", str(tuple(tensor.shape)))
        if value.floats:
            return tensor if tensor.dtype == torch.float32 else tensor.float()
        return tensor if tensor.dtype in (torch.int64, torch.bool) else tensor.long()

    def _hold(self, nodes: list[OnnxNode], stored: set[str]) -> None:
        """Keep weights as parameters, other floats of the file as buffers; masks with infinities as they are.

        What batch norms hold of their training set is no parameter.
        """
        weighed = {name for node in nodes if node.kind in PRODUCTS for name in node.inputs}
        norms = {name for n in nodes if n.kind == "BatchNormalization" for name in n.inputs[3:5]}
        for name, array in self.known.items():
            infinite = array.dtype.kind == "f" and np.isinf(array).any() and name not in weighed
            if array.dtype.kind != "f" or infinite or (array.ndim == 0 and name not in stored):
                continue
            tensor = torch.from_numpy(array.copy())
            trained = name in stored and array.ndim > 0 and name not in norms
            self.places[name] = self._place(name, nn.Parameter(tensor) if trained else tensor)

    def _place(self, name: str, tensor: torch.Tensor) -> str:
        """Register under a name, whose dots are groups; letters are added where it is taken."""
        parts = name.split(".")
        parts = parts if len(parts) <= DEEPEST else ["_".join(parts)]
        group: nn.Module = self
        path = []
        for part in parts[:-1]:
            part = part or "_"
            while hasattr(group, part) and not isinstance(getattr(group, part), _Group):
                part += "_"
            if not hasattr(group, part):
                group.add_module(part, _Group())
            group = getattr(group, part)
            path.append(part)
        last = parts[-1] or "_"
        while hasattr(group, last):
            last += "_"
        if isinstance(tensor, nn.Parameter):
            group.register_parameter(last, tensor)
        else:
            group.register_buffer(last, tensor)
        return ".".join([*path, last])


def evaluate(node: OnnxNode, values: tuple[Value | None, ...]) -> tuple[Value, ...]:
    """A node's outputs, given its inputs.

    Raises
    ------
    InputError : values that it cannot take.
    """
    call = Call(node, values)
    try:
        sizes = on_sizes(call)
        found = OPERATORS[node.kind](call) if sizes is None else sizes
    except InputError:
        raise
    except Exception as error:  # whatever torch and numpy may raise
        text = " ".join(str(error).split())[:200]
        raise InputError(node.where, "inputs that it takes", f"'{text}'", REMEDY) from error
    return found if isinstance(found, tuple) else (found,)


def _folded(graph: OnnxGraph) -> tuple[dict[str, NDArray], list[OnnxNode]]:
    """The constants, with those that nodes make of constants alone, and the nodes that are left and read."""
    known, left = dict(graph.constants), []
    for node in _live(graph):
        if node.kind not in OPERATORS and node.kind not in SHAPES:
            raise InputError(node.where, "an operator that is known", node.kind, REMEDY)
        if node.kind == "Constant":
            known[node.outputs[0]] = _constant(node)
        elif all(not name or name in known for name in node.inputs):
            given = tuple(Known(known[name]) if name else None for name in node.inputs)
            _check_result(node, [known[name].shape for name in node.inputs if name])
            with torch.no_grad():
                found = evaluate(node, given)
            for name, value in zip(node.outputs, found, strict=False):
                known[name] = value.array if isinstance(value, Known) else single(value.numpy())
        else:
            left.append(node)
    return known, left


def _check_result(node: OnnxNode, shapes: list[tuple[int, ...]]) -> None:
    """Refuse to work out constants that are far larger than the file, by broadcasting and outer products."""
    call = Call(node, ())
    if node.kind == "Einsum":
        call.check_made([size for shape in shapes for size in shape])
    elif node.kind in ("MatMul", "Gemm") and all(shapes[:2]):
        call.check_made([max(1, *shape) for shape in shapes[:2]])
        shapes = [shape[:-2] for shape in shapes[:2]]
    call.check_made([max(sizes) for sizes in zip_longest(*(s[::-1] for s in shapes), fillvalue=1)])


def _live(graph: OnnxGraph) -> list[OnnxNode]:
    """The nodes that the outputs depend on."""
    wanted, found = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if wanted.intersection(name for name in node.outputs if name):
            wanted.update(node.inputs)
            found.append(node)
    return found[::-1]


def _constant(node: OnnxNode) -> NDArray:
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64}
    kinds["value_ints"] = np.int64
    for name, value in node.attributes.items():
        if name == "value" and isinstance(value, np.ndarray):
            return value
        if name in kinds:
            return np.asarray(value, kinds[name])
    raise InputError(node.where, "numbers as value", ", ".join(node.attributes) or "none", REMEDY)


def _as_tensor(value: Value | None) -> torch.Tensor:
    assert value is not None
    return value.tensor() if isinstance(value, Known) else value


def _flat(outputs: Any) -> list[torch.Tensor]:
    return list(outputs.values()) if isinstance(outputs, dict) else [outputs]
