"""A (Q)ONNX file as a line of operators, each with its constants; anything but a line is refused.

The file is data: it is parsed, never run; external data is not followed. Constants that a quantizer made keep
their integers and their scale. Branches, computed shapes and computed constants are for qonnx-cleanup.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbarsim.checks import InputError, check_int
from xbarsim.mapping.nodes import integer_range

LARGEST_FILE = 1 << 28
CLEAN = "run qonnx-cleanup on the file first"
ROUNDINGS = {"ROUND": np.round, "HALF_EVEN": np.round, "FLOOR": np.floor, "CEIL": np.ceil}


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of the file: integers times a scale where a quantizer made it, plain numbers elsewhere.

    Parameters
    ----------
    numbers : any shape; integers if `scale` is given
    scale : of the same shape; None for plain numbers
    bits : of the integers; 0 if not known
    """

    numbers: NDArray
    scale: NDArray | None = None
    bits: int = 0

    @property
    def values(self) -> NDArray[np.float64]:
        """What the array means."""
        plain = self.numbers.astype(np.float64)
        return plain if self.scale is None else plain * self.scale

    def transposed(self, axes: list[int]) -> Constant:
        """The same with its axes in another order."""
        scale = None if self.scale is None else self.scale.transpose(axes)
        return Constant(self.numbers.transpose(axes), scale, self.bits)


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator of the line.

    Parameters
    ----------
    data : which of its inputs is the data
    constants : the others, by position; optional ones that are left out are missing
    """

    name: str
    kind: str
    data: int
    constants: dict[int, Constant]
    attributes: dict[str, Any]

    @property
    def where(self) -> str:
        """How errors call it."""
        return f"node {self.name!r} ({self.kind})"

    def constant(self, position: int) -> Constant:
        """An input that has to be a constant."""
        if position not in self.constants:
            raise InputError(self.where, f"a constant as input {position}", "none", CLEAN)
        return self.constants[position]

    def number(self, position: int) -> float:
        """A constant input that has to be one number."""
        values = self.constant(position).values.reshape(-1)
        if not values.size or (values != values[0]).any() or not np.isfinite(values[0]):
            expected = f"one finite number as input {position}"
            raise InputError(self.where, expected, f"shape {values.shape}", "quantize per tensor")
        return float(values[0])


def read_line(path: str | Path) -> tuple[tuple[int, ...], tuple[Operator, ...]]:
    """Shape of the file's input, and its operators from the input to the output.

    The first number of the shape, the batch, may be 0 where the file leaves it open.

    Raises
    ------
    InputError : no ONNX file, a large one (over 256 MiB), one with external data; several inputs or outputs;
        branches; constants that only running the file would give.
    """
    graph = _load(Path(path)).graph
    constants = _initial(graph)
    entries = [entry for entry in graph.input if entry.name not in constants]
    if len(entries) != 1 or len(graph.output) != 1:
        got = f"{len(entries)} and {len(graph.output)}"
        raise InputError(f"file {path}", "one input and one output", got, CLEAN)
    nodes = _fold_constants(graph, constants)
    line = _follow(entries[0].name, graph.output[0].name, nodes)
    shape = tuple(int(d.dim_value) for d in entries[0].type.tensor_type.shape.dim)
    return shape, tuple(_operator(name, node, data, constants) for name, node, data in line)


def quantized(where: str, values: NDArray, scale: NDArray, bits: int, options: dict[str, Any]) -> Constant:
    """Round an array as a Quant node does, in the file's own precision."""
    signed, narrow = bool(options.get("signed", 1)), bool(options.get("narrow", 1))
    if bits == 1 and signed:
        return bipolar(where, values, scale)
    low, high = quantizer_range(bits, signed, narrow)
    _check_scale(where, values, scale)
    rounded = rounding(where, options)(np.clip(values / scale, low, high))
    return _scaled(where, rounded, scale, bits if signed else bits + 1)


def bipolar(where: str, values: NDArray, scale: NDArray) -> Constant:
    """-1 and +1 as a BipolarQuant node makes them."""
    _check_scale(where, values, scale)
    return _scaled(where, np.where(values >= 0, 1, -1), scale, 1)


def quantizer_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Smallest and largest integer of a Quant node."""
    low, high = integer_range(bits, signed)
    return (low + 1, high) if signed and narrow else (low, high - narrow)


def rounding(where: str, options: dict) -> Any:
    """The numpy function of a Quant node's rounding mode."""
    mode = str(options.get("rounding_mode", "ROUND")).upper()
    if mode not in ROUNDINGS:
        raise InputError(where, "rounding by " + ", ".join(ROUNDINGS), mode, "export with ROUND")
    return ROUNDINGS[mode]


def _check_scale(where: str, values: NDArray, scale: NDArray) -> None:
    if not (np.isfinite(scale).all() and (scale > 0).all() and np.isfinite(values).all()):
        raise InputError(where, "finite numbers and scales above 0", "others", "train or export it again")


def _scaled(where: str, numbers: NDArray, scale: NDArray, bits: int) -> Constant:
    try:
        wide = np.broadcast_to(scale.astype(np.float64), numbers.shape)
    except ValueError as error:
        raise InputError(where, f"a scale that fits {numbers.shape}", str(scale.shape)) from error
    return Constant(numbers.astype(np.int64), wide, bits)


def _load(path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        remedy = "install it: pip install 'xbarsim[qonnx]'"
        raise InputError("QONNX files", "the package onnx", "none", remedy) from error
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(f"file {path}", f"at most {LARGEST_FILE >> 20} MiB", f"{size >> 20} MiB")
        return onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise InputError(f"file {path}", "an ONNX file", error.strerror or str(error)) from error
    except (DecodeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"file {path}", "an ONNX file", "another one", "export the network again") from error


def _initial(graph: Any) -> dict[str, Constant]:
    return {tensor.name: Constant(_array(tensor)) for tensor in graph.initializer}


def _array(tensor: Any) -> NDArray:
    from onnx import TensorProto, numpy_helper

    where = f"tensor {tensor.name!r}"
    if tensor.data_location == TensorProto.EXTERNAL:
        raise InputError(where, "its numbers in the file", "external data", "save the model in one file")
    try:
        found = numpy_helper.to_array(tensor)
    except Exception as error:  # whatever a damaged tensor makes the parser raise
        raise InputError(where, "numbers of its shape and type", f"{error}", "export it again") from error
    if found.dtype.kind not in "fiub":
        raise InputError(where, "real numbers", str(found.dtype))
    return found


def _fold_constants(graph: Any, constants: dict[str, Constant]) -> list[tuple[str, Any, int]]:
    """The nodes that are left, each with a name of its own and the position of its data input."""
    left, names = [], set()
    for place, node in enumerate(graph.node):
        name = node.name if node.name and node.name not in names else f"{node.op_type}_{place}"
        names.add(name)
        data = [i for i, source in enumerate(node.input) if source and source not in constants]
        where = f"node {name!r} ({node.op_type})"
        if not node.output:
            raise InputError(where, "an output", "none", CLEAN)
        if not data:
            constants[node.output[0]] = _constant(name, node, constants)
        elif len(data) > 1:
            raise InputError(where, "one input that is no constant", len(data), CLEAN)
        else:
            left.append((name, node, data[0]))
    return left


def _constant(name: str, node: Any, constants: dict[str, Constant]) -> Constant:
    operator = _operator(name, node, -1, constants)
    match node.op_type:
        case "Constant" if "value" in operator.attributes:
            return Constant(_array(operator.attributes["value"]))
        case "Identity":
            return operator.constant(0)
        case "Transpose":
            source = operator.constant(0)
            backwards = list(range(source.numbers.ndim))[::-1]
            axes = [int(axis) for axis in operator.attributes.get("perm", backwards)]
            if sorted(axes) != backwards[::-1]:
                raise InputError(operator.where, "an order of the axes", str(axes))
            return source.transposed(axes)
        case "BipolarQuant":
            return bipolar(operator.where, operator.constant(0).values, operator.constant(1).numbers)
        case "Quant" | "IntQuant":
            bits = check_int(f"{operator.where}: bits", _whole(operator.number(3)), 1, 32)
            if operator.constant(2).values.any():
                raise InputError(
                    operator.where, "constants without a zero point", "one", "quantize symmetrically"
                )
            numbers, scale = operator.constant(0).numbers, operator.constant(1).numbers
            return quantized(operator.where, numbers, scale, bits, operator.attributes)
    raise InputError(operator.where, "constants that are stored", "one to compute", CLEAN)


def _whole(number: float) -> Any:
    return int(number) if number == int(number) else number


def _operator(name: str, node: Any, data: int, constants: dict[str, Constant]) -> Operator:
    from onnx import helper

    known = {i: constants[source] for i, source in enumerate(node.input) if source in constants}
    try:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    except ValueError as error:
        raise InputError(f"node {name!r} ({node.op_type})", "attributes with values", str(error)) from error
    plain = {key: v.decode(errors="replace") if isinstance(v, bytes) else v for key, v in attributes.items()}
    return Operator(name, node.op_type, data, known, plain)


def _follow(start: str, end: str, nodes: list[tuple[str, Any, int]]) -> Iterator[tuple[str, Any, int]]:
    """The nodes in the order of the data, all of them."""
    readers: dict[str, list[tuple[str, Any, int]]] = {}
    for entry in nodes:
        readers.setdefault(entry[1].input[entry[2]], []).append(entry)
    tensor, line = start, []
    while tensor in readers:
        found = readers.pop(tensor)
        if len(found) > 1 or tensor == end:
            name, node, _ = found[-1]
            raise InputError(f"node {name!r} ({node.op_type})", "a chain", f"a branch at {tensor!r}", CLEAN)
        line.append(found[0])
        tensor = found[0][1].output[0]
    if tensor != end or readers:
        got = f"an end at {tensor!r}, with {sum(map(len, readers.values()))} nodes left over"
        raise InputError("the network", f"a chain from {start!r} to {end!r}", got, CLEAN)
    return iter(line)
