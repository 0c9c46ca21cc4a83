"""Foldings: FINN's JSON file of them, and the search for one that reaches a rate.

The file maps the names of nodes to their attributes. Matrix units are numbered in the order of the data and
named by FINN's version: StreamingFCLayer_Batch_0, MatrixVectorActivation_0, MVAU_hls_0, MVAU_rtl_0. PE and
SIMD count here; their other attributes (ram_style, resType, mem_mode, ...) are passed over, as are FINN's
other nodes. As in FINN, a layer that the file leaves out keeps its folding. Attributes under "Defaults" are
written [value, [kinds of node, or "all"]] and hold where a node has none of its own.

A folding whose SIMD * weight bits exceed 64 cannot be written as a board's parameter files.

Source: FINN, transformation.general.ApplyConfig and transformation.fpgadataflow.set_folding.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from math import floor, inf
from pathlib import Path
from typing import Any

from accel_models.finn.cycles import layer_cycles
from accel_models.finn.layer import Mvtu
from accel_models.finn.network import FinnNetwork
from xbarsim.errors import InputError, check_int, check_positive
from xbarsim.files import read_text, write_atomically

MOST_CYCLES = 2.0**62
MATRIX_UNITS = ("MatrixVectorActivation", "MVAU_hls", "MVAU_rtl", "MVAU", "StreamingFCLayer_Batch")
_OTHER_NODES = re.compile(
    r"(Thresholding|LabelSelect|ConvolutionInputGenerator|StreamingMaxPool|StreamingDataWidthConverter"
    r"|StreamingFIFO|FMPadding|DuplicateStreams|AddStreams|ChannelwiseOp|GlobalAccPool|Pool|IODMA"
    r"|StreamingDataflowPartition|Transpose|Reshape)\w*_\d+"
)
_REMEDY = "give every matrix unit a PE and a SIMD that divide it"


def read_folding(path: str | Path, network: FinnNetwork) -> FinnNetwork:
    """The network, folded as FINN's JSON file says.

    Raises
    ------
    InputError : no such file, or no JSON object; a node of the network's that it has not, twice, or under two
        kinds of name; a PE or SIMD that is no divisor. It names the file and the node.
    """
    nodes = _read_nodes(Path(path))
    defaults = nodes.pop("Defaults", {})
    _check_object(path, "Defaults", defaults)
    pairs = [(layer.pe, layer.simd) for layer in network.layers]
    for name, attributes in nodes.items():
        place = _place(path, name, len(pairs), nodes)
        if place is not None:
            _check_object(path, name, attributes)
            pairs[place] = _pair(f"{path}: {name}", network.layers[place], attributes, defaults, name)
    return network.folded(pairs)


def write_folding(network: FinnNetwork, path: str | Path, *, kind: str = "MatrixVectorActivation") -> Path:
    """Write a network's folding as FINN reads it; `kind` is FINN's name of a matrix unit."""
    if kind not in MATRIX_UNITS:
        raise InputError("kind of matrix unit", "one of " + ", ".join(MATRIX_UNITS), repr(kind))
    nodes: dict[str, Any] = {"Defaults": {}}
    for place, layer in enumerate(network.layers):
        nodes[f"{kind}_{place}"] = {"PE": layer.pe, "SIMD": layer.simd, "ram_style": "auto"}
    text = json.dumps(nodes, indent=2) + "\n"
    return write_atomically(path, lambda temporary: temporary.write_text(text))


def fold_for_rate(
    network: FinnNetwork,
    images_per_s: float,
    clock_MHz: float,
    *,
    word_bits: int | None = None,
    first_layer_interval: int = 1,
) -> FinnNetwork:
    """The smallest folding that reaches a rate, by FINN's rule.

    Every layer starts at PE = SIMD = 1 and takes the next larger divisor, of SIMD first and then of PE, until
    its cycles allow the rate. The rule is not exhaustive: a layer may have a cheaper pair.

    Parameters
    ----------
    word_bits : most SIMD * weight bits; None for no limit, 36 in FINN, 64 for a board's parameter files
    first_layer_interval : see `design_cycles`

    Raises
    ------
    InputError : not even the fully unrolled network is fast enough; it says which rate is.
    """
    clock_Hz = 1e6 * check_positive("clock_MHz", clock_MHz)
    target = floor(min(clock_Hz / check_positive("images_per_s", images_per_s), MOST_CYCLES) + 1e-9)
    if word_bits is not None:
        check_int("word_bits", word_bits, 1, 10**6)
    steps = [first_layer_interval] + [1] * (len(network.layers) - 1)
    layers = [
        _fold_layer(m, target, inf if word_bits is None else word_bits, i)
        for m, i in zip(network.layers, steps, strict=True)
    ]
    cycles = [layer_cycles(m, interval=i).slowest for m, i in zip(layers, steps, strict=True)]
    if max(cycles) > target:
        slowest = layers[cycles.index(max(cycles))].name
        expected = f"at most {clock_Hz / max(cycles):.6g}, layer {slowest} being unrolled as far as it goes"
        raise InputError("images_per_s", expected, f"{images_per_s:g}", "raise the clock or lower the rate")
    return network.folded((m.pe, m.simd) for m in layers)


def _fold_layer(layer: Mvtu, target: int, word_bits: float, interval: int) -> Mvtu:
    """The layer at the first folding that takes at most `target` cycles, else at the largest one."""
    simds = [s for s in _divisors(layer.columns) if s == 1 or s * layer.weight_bits <= word_bits]
    pairs = [(1, simd) for simd in simds] + [(pe, simds[-1]) for pe in _divisors(layer.rows)[1:]]
    folded = layer
    for pe, simd in pairs:
        folded = replace(layer, pe=pe, simd=simd)
        if layer_cycles(folded, interval=interval).slowest <= target:
            break
    return folded


def _divisors(whole: int) -> list[int]:
    return [part for part in range(1, whole + 1) if whole % part == 0]


def _read_nodes(path: Path) -> dict[str, Any]:
    text = read_text(path, f"folding {path}")
    try:
        nodes = json.loads(text, object_pairs_hook=lambda pairs: _once(path, pairs))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"folding {path}", "JSON", str(error), "check the file") from error
    _check_object(path, "the whole file", nodes)
    return nodes


def _once(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for name, attributes in pairs:
        if name in nodes:
            raise InputError(f"{path}: {name}", "every name once", "it twice", "remove one")
        nodes[name] = attributes
    return nodes


def _check_object(path: str | Path, name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise InputError(f"{path}: {name}", "a JSON object", repr(value)[:40])


def _place(path: str | Path, name: str, layers: int, nodes: dict[str, Any]) -> int | None:
    """Which layer a node is; None for a node of another kind."""
    (kind, _, number), where = name.rpartition("_"), f"{path}: {name[:60]}"
    if kind not in MATRIX_UNITS:
        if _OTHER_NODES.fullmatch(name):
            return None
        raise InputError(where, "a node such as MatrixVectorActivation_0", "an unknown one")
    if not re.fullmatch("0|[1-9][0-9]{0,5}", number) or int(number) >= layers:
        remedy = "name the network that the file is for"
        raise InputError(where, f"a number in 0..{layers - 1}", number[:20], remedy)
    kinds = {other.rpartition("_")[0] for other in nodes} & set(MATRIX_UNITS)
    if len(kinds) > 1:
        remedy = "number all matrix units in order under one name"
        raise InputError(where, "one kind of matrix unit", ", ".join(sorted(kinds)), remedy)
    return int(number)


def _pair(
    where: str, layer: Mvtu, attributes: dict[str, Any], defaults: dict[str, Any], name: str
) -> tuple[int, int]:
    found = []
    for what, old, size in (("PE", layer.pe, layer.rows), ("SIMD", layer.simd, layer.columns)):
        value = attributes.get(what, _default(defaults.get(what), name.rpartition("_")[0], old))
        number = check_int(f"{where}: {what}", value, 1, size, _REMEDY)
        if size % number:
            raise InputError(f"{where}: {what}", f"a divisor of {size}", number, _REMEDY)
        found.append(number)
    return found[0], found[1]


def _default(entry: Any, kind: str, old: int) -> Any:
    """The value of [value, [kinds]] if it is for this kind of node."""
    if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[1], list):
        return old
    return entry[0] if "all" in entry[1] or kind in entry[1] else old
