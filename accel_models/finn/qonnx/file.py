"""A (Q)ONNX file as a line of operators, each with its constants; anything but a line is refused.

The file is data: it is parsed, never run, and external data is not followed. Branches, computed shapes and
computed constants are for qonnx-cleanup.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accel_models.finn.qonnx.constants import computed, stored
from accel_models.finn.qonnx.operator import CLEAN, Constant, Operator
from xbarsim.errors import InputError
from xbarsim.files import read_bytes

UNBRANCH = f"take branches out of the network, or where they compute a constant, {CLEAN}"
Entry = tuple[str, Any, int]


def read_line(path: str | Path) -> tuple[tuple[int, ...], tuple[Operator, ...]]:
    """Shape of the file's input, and its operators from the input to the output.

    The first number of the shape, the batch, may be 0 where the file leaves it open.

    Raises
    ------
    InputError : no ONNX file, a large one (over 256 MiB), one with external data; several inputs or outputs;
        branches; constants that only running the file would give.
    """
    graph = _load(Path(path)).graph
    constants = {tensor.name: Constant(stored(tensor)) for tensor in graph.initializer}
    entries = [entry for entry in graph.input if entry.name not in constants]
    if len(entries) != 1 or len(graph.output) != 1:
        got = f"{len(entries)} and {len(graph.output)}"
        raise InputError(f"file {path}", "one input and one output", got, CLEAN)
    nodes = _fold_constants(graph, constants)
    line = _follow(entries[0].name, graph.output[0].name, nodes)
    shape = tuple(int(d.dim_value) for d in entries[0].type.tensor_type.shape.dim)
    return shape, tuple(_operator(name, node, data, constants) for name, node, data in line)


def _load(path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        remedy = "install it: pip install 'xbarsim[qonnx]'"
        raise InputError("QONNX files", "the package onnx", "none", remedy) from error
    content = read_bytes(path, f"file {path}", expected="an ONNX file")
    try:
        return onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise InputError(f"file {path}", "an ONNX file", "another one", "export the network again") from error


def _fold_constants(graph: Any, constants: dict[str, Constant]) -> list[Entry]:
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
            constants[node.output[0]] = computed(_operator(name, node, -1, constants))
        elif len(data) > 1:
            raise InputError(where, "one input that is no constant", len(data), UNBRANCH)
        else:
            left.append((name, node, data[0]))
    return left


def _operator(name: str, node: Any, data: int, constants: dict[str, Constant]) -> Operator:
    from onnx import helper

    known = {i: constants[source] for i, source in enumerate(node.input) if source in constants}
    try:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    except ValueError as error:
        raise InputError(f"node {name!r} ({node.op_type})", "attributes with values", str(error)) from error
    plain = {key: v.decode(errors="replace") if isinstance(v, bytes) else v for key, v in attributes.items()}
    return Operator(name, node.op_type, data, known, plain)


def _follow(start: str, end: str, nodes: list[Entry]) -> list[Entry]:
    """The nodes in the order of the data, all of them."""
    readers: dict[str, list[Entry]] = {}
    for entry in nodes:
        readers.setdefault(entry[1].input[entry[2]], []).append(entry)
    tensor, line = start, []
    while tensor in readers:
        found = readers.pop(tensor)
        if len(found) > 1 or tensor == end:
            name, node, _ = found[-1]
            raise InputError(
                f"node {name!r} ({node.op_type})", "a chain", f"a branch at {tensor!r}", UNBRANCH
            )
        line.append(found[0])
        tensor = found[0][1].output[0]
    if tensor != end or readers:
        got = f"an end at {tensor!r}, with {sum(map(len, readers.values()))} nodes left over"
        raise InputError("the network", f"a chain from {start!r} to {end!r}", got, CLEAN)
    return line
