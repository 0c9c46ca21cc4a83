"""A float ONNX file as plain data: its inputs, constants and nodes, in order of execution.

The file is parsed, never run. External data is read from plain files beside it, within the limits of files.
Half precision becomes single precision: the arithmetic is that of torch on the processor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.qonnx.constants import stored
from accel_models.finn.qonnx.quantizers import QUANTIZERS
from xbarsim.errors import InputError
from xbarsim.files import check_readable, read_bytes
from xbarsim.limits import LARGE, check_size

OLDEST = 13
OWN = ("", "ai.onnx")
REMEDY = "export the network again"


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """One node.

    Parameters
    ----------
    name : its own, or made of its operator and place where it has none
    kind : the operator, with its domain where that is not ONNX's own
    inputs, outputs : names of values; those that are left out are empty
    opset : the version that its operator is of
    """

    file: str
    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    opset: int

    @property
    def where(self) -> str:
        """How errors call it."""
        return f"file {self.file}, node {self.name!r} ({self.kind})"


@dataclass(frozen=True, eq=False)
class OnnxInput:
    """An input: its name, its sizes (None where the file leaves them open) and whether it is of floats."""

    name: str
    sizes: tuple[int | None, ...]
    floats: bool


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """What a file holds; `constants` are its initializers by name."""

    file: str
    inputs: tuple[OnnxInput, ...]
    outputs: tuple[str, ...]
    nodes: tuple[OnnxNode, ...]
    constants: dict[str, NDArray] = field(default_factory=dict)


def read_graph(path: str | Path) -> OnnxGraph:
    """Read a float ONNX file of opset 13 or later.

    Raises
    ------
    InputError : no ONNX file, one above the limit of files, an older opset, external data that is not beside
        it, nodes out of order; a QONNX file, which `xb.read_qonnx` reads.
    """
    model = _load(Path(path))
    file, graph = str(path), model.graph
    opset = _opset(model, file)
    external = _External(Path(path))
    constants = {text(t.name): single(stored(external.filled(t))) for t in graph.initializer}
    if graph.sparse_initializer:
        raise InputError(f"file {file}", "dense weights", "sparse ones", REMEDY)
    nodes = tuple(_node(file, place, node, opset, external) for place, node in enumerate(graph.node))
    quantizer = next((n for n in nodes if n.kind.rpartition("::")[2] in QUANTIZERS), None)
    if quantizer is not None:
        raise InputError(quantizer.where, "operators on floats", "a QONNX file", "read it with xb.read_qonnx")
    inputs = tuple(_input(file, value) for value in graph.input if text(value.name) not in constants)
    outputs = tuple(text(value.name) for value in graph.output)
    _check_order(file, inputs, outputs, nodes, constants)
    return OnnxGraph(file, inputs, outputs, nodes, constants)


def is_qonnx(path: str | Path) -> bool:
    """Whether an ONNX file has quantizers, and is for `xb.read_qonnx`.

    Raises
    ------
    InputError : no ONNX file.
    """
    return any(node.op_type in QUANTIZERS for node in _load(Path(path)).graph.node)


def text(word: str | bytes) -> str:
    """A name; bytes are what is no UTF-8."""
    return word if isinstance(word, str) else word.decode(errors="replace")


def single(array: NDArray) -> NDArray:
    """Floats in single precision, whole numbers in 64 bits, truth values as they are."""
    kinds = {"f": np.float32, "i": np.int64, "u": np.int64}
    wanted = kinds.get(array.dtype.kind, array.dtype)
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(array, wanted).reshape(array.shape)
    plain = found.flags.writeable and all(stride >= 0 for stride in found.strides)  # as torch wants it
    return found if plain else found.copy()


def _load(path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        remedy = "install it: pip install 'xbarsim[onnx]'"
        raise InputError("ONNX files", "the package onnx", "none", remedy) from error
    content = read_bytes(path, f"file {path}", expected="an ONNX file")
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise InputError(f"file {path}", "an ONNX file", "another one", REMEDY) from error
    if not model.HasField("graph"):
        raise InputError(f"file {path}", "an ONNX file", "one without a graph", REMEDY)
    return model


def _opset(model: Any, file: str) -> int:
    found = max((entry.version for entry in model.opset_import if entry.domain in OWN), default=0)
    if found < OLDEST:
        remedy = f"export it again, or convert it: onnx.version_converter.convert_version(model, {OLDEST})"
        raise InputError(f"file {file}", f"opset {OLDEST} or later", found, remedy)
    return found


def _input(file: str, value: Any) -> OnnxInput:
    from onnx import TensorProto

    kind = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or not kind.HasField("shape") or not kind.shape.dim:
        raise InputError(f"file {file}, input {value.name!r}", "a tensor with a shape", "another one", REMEDY)
    sizes = tuple(int(d.dim_value) if d.dim_value > 0 else None for d in kind.shape.dim)
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
    return OnnxInput(text(value.name), sizes, kind.elem_type in floats)


def _node(file: str, place: int, node: Any, opset: int, external: _External) -> OnnxNode:
    from onnx import helper

    operator, domain = text(node.op_type), text(node.domain)
    name = text(node.name) or f"{operator}_{place}"
    kind = operator if domain in OWN else f"{domain}::{operator}"
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        try:
            value = helper.get_attribute_value(attribute)
        except ValueError as error:
            where = f"file {file}, node {name!r} ({kind})"
            raise InputError(where, "attributes with values", str(error)) from error
        if isinstance(value, bytes):
            value = text(value)
        if isinstance(value, list):
            value = [text(v) if isinstance(v, bytes) else v for v in value]
        if hasattr(value, "data_location"):
            value = single(stored(external.filled(value)))
        found[text(attribute.name)] = value
    inputs, outputs = (tuple(map(text, names)) for names in (node.input, node.output))
    return OnnxNode(file, name, kind, inputs, outputs, found, opset)


def _check_order(
    file: str,
    inputs: tuple[OnnxInput, ...],
    outputs: tuple[str, ...],
    nodes: tuple[OnnxNode, ...],
    constants: dict[str, NDArray],
) -> None:
    """Refuse values that are read before they are there, or made twice."""
    if not inputs or not outputs:
        raise InputError(f"file {file}", "inputs and outputs", f"{len(inputs)} and {len(outputs)}", REMEDY)
    known = {"", *constants, *(value.name for value in inputs)}
    for node in nodes:
        missing = next((name for name in node.inputs if name not in known), None)
        if missing is not None:
            raise InputError(node.where, "inputs that earlier nodes give", repr(missing), REMEDY)
        again = next((name for name in node.outputs if name and name in known), None)
        if again is not None:
            raise InputError(node.where, "outputs with new names", repr(again), REMEDY)
        known.update(node.outputs)
    absent = next((name for name in outputs if name not in known), None)
    if absent is not None:
        raise InputError(f"file {file}", "outputs that nodes give", repr(absent), REMEDY)


class _External:
    """Numbers of tensors that lie in files beside the model."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, bytes] = {}

    def filled(self, tensor: Any) -> Any:
        """The tensor, with its numbers in it."""
        from onnx import TensorProto

        if tensor.data_location != TensorProto.EXTERNAL:
            return tensor
        where = f"file {self.path}, tensor {tensor.name!r}"
        entries = {text(entry.key): text(entry.value) for entry in tensor.external_data}
        content = self._content(where, entries.get("location", ""))
        try:
            start = int(entries.get("offset", "0"))
            length = int(entries.get("length", len(content) - start))
        except ValueError as error:
            raise InputError(where, "a place in a file", str(error), REMEDY) from error
        if start < 0 or length < 0 or start + length > len(content):
            got = f"bytes {start}..{start + length} of {len(content)}"
            raise InputError(where, "numbers within the file of external data", got, REMEDY)
        found = TensorProto()
        found.CopyFrom(tensor)
        del found.external_data[:]
        found.data_location = TensorProto.DEFAULT
        found.raw_data = content[start : start + length]
        if found.data_type and length < prod(found.dims, start=1) // 2:
            raise InputError(where, "numbers of its shape", f"{length} bytes", REMEDY)
        return found

    def _content(self, where: str, name: str) -> bytes:
        plain = name and Path(name).name == name and name not in (".", "..") and "\\" not in name
        beside = self.path.parent / name
        if not plain or beside.is_symlink():
            raise InputError(where, "external data in a file beside the model", repr(name), REMEDY)
        if name not in self.files:
            size = check_readable(beside, where, expected="a file of external data")
            check_size(f"{where}, external data", size + sum(map(len, self.files.values())), default=LARGE)
            self.files[name] = read_bytes(beside, where, expected="a file of external data")
        return self.files[name]
