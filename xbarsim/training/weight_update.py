"""What the cloud sends to a chip after retraining: the changed weights only, exact or ternary.

Exact: position and new value of every changed weight; positions are a list, or a bit for every weight of
the layer, or a layer is sent whole, whichever is shortest. Ternary: one sign a changed weight and one scale a
layer, in the spirit of TernGrad (RRAMedy, reference 22), but without its random rounding: changes below
0.7 times a layer's mean change are not sent, the others become plus or minus their mean (the threshold of
Ternary Weight Networks). Biases are digital; a layer's are sent exactly if one of them changed.

Both sides know the diagnosed stuck cells, so the difference is taken to the weights with the stuck bits in
them (`Retrained.start`): bits that cannot change are not sent.

The file is a safetensors file; its length is the size that is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from xbarsim.errors import InputError
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import MatMul

TERNARY_THRESHOLD = 0.7
REMEDY = "send the update that was made for this network"
PARTS = ("at", "map", "value", "sign", "scale", "bias")


@dataclass(frozen=True, eq=False)
class WeightUpdate:
    """Columns by layer: `value` (of all weights, or at `at` or `map`) or `sign` and `scale`; and `bias`."""

    columns: Mapping[str, np.ndarray]

    @classmethod
    def between(cls, old: IntegerGraph, new: IntegerGraph, *, ternary: bool = False) -> WeightUpdate:
        """The update that turns `old` into `new` (ternary: into an approximation of it).

        Raises
        ------
        InputError : networks of different layers.
        """
        columns: dict[str, np.ndarray] = {}
        after = {layer.name: layer for layer in new.layers}
        for layer in old.layers:
            other = after.get(layer.name)
            if other is None or other.weights.shape != layer.weights.shape:
                raise InputError(
                    "update", f"a layer {layer.name!r} of {layer.weights.shape}", "another network"
                )
            columns |= _layer_columns(layer, other, ternary)
        return cls(columns)

    def to_bytes(self) -> bytes:
        """The file that is sent."""
        return save(dict(self.columns))

    @classmethod
    def from_bytes(cls, content: bytes) -> WeightUpdate:
        """Read an update; raises InputError if it is not one."""
        try:
            return cls(load(content))
        except (SafetensorError, ValueError, KeyError) as error:
            got = f"{len(content)} bytes ({error})"
            raise InputError("weight update", "a safetensors file", got, REMEDY) from error

    def apply(self, graph: IntegerGraph, *, low: int, high: int) -> IntegerGraph:
        """The network after the update; weights saturate at `low` and `high`.

        Raises
        ------
        InputError : a layer that the network does not have, a position outside it.
        """
        layers = {layer.name: layer for layer in graph.layers}
        changed: dict[str, MatMul] = {}
        for key in self.columns:
            name, _, part = key.rpartition(".")
            if name not in layers or part not in PARTS:
                raise InputError("weight update", "columns of this network's layers", repr(key))
            if name not in changed:
                _check_parts(self.columns, name)
                changed[name] = _apply_to(layers[name], self.columns, low, high)
        return graph.with_layers(changed.values())


def _layer_columns(old: MatMul, new: MatMul, ternary: bool) -> dict[str, np.ndarray]:
    before, after = old.weights.reshape(-1), new.weights.reshape(-1)
    columns = _ternary(after - before) if ternary else _exact(after, before != after)
    if (new.bias != old.bias).any():
        columns["bias"] = new.bias
    return {f"{old.name}.{part}": column for part, column in columns.items()}


def _exact(weights: np.ndarray, changed: np.ndarray) -> dict[str, np.ndarray]:
    if not changed.any():
        return {}
    if changed.sum() > len(weights) * 15 // 16:
        return {"value": weights.astype(np.int16)}
    return {"value": weights[changed].astype(np.int16)} | _where(changed)


def _ternary(delta: np.ndarray) -> dict[str, np.ndarray]:
    size = np.abs(delta)
    if not size.any():
        return {}
    sent = size >= max(1.0, TERNARY_THRESHOLD * size[size > 0].mean())
    scale = np.array([size[sent].mean()], np.float32)
    signs = np.packbits(delta[sent] > 0)
    return {"sign": signs, "scale": scale, **_where(sent)}


def _where(chosen: np.ndarray) -> dict[str, np.ndarray]:
    at = np.flatnonzero(chosen)
    return {"map": np.packbits(chosen)} if len(at) * 32 > len(chosen) else {"at": at.astype(np.uint32)}


def _apply_to(layer: MatMul, columns: Mapping[str, np.ndarray], low: int, high: int) -> MatMul:
    name, weights, bias = layer.name, layer.weights.reshape(-1).copy(), layer.bias
    at = _positions(columns, name, len(weights))
    if f"{name}.sign" in columns:
        packed = _column(columns, f"{name}.sign", np.uint8, -(-len(at) // 8))
        signs = np.unpackbits(packed, count=len(at)).astype(np.int64) * 2 - 1
        step = int(np.clip(np.rint(_column(columns, f"{name}.scale", np.float32, 1)[0]), 0, high - low))
        weights[at] = np.clip(weights[at] + signs * step, low, high)
    elif len(at):
        values = _column(columns, f"{name}.value", np.int16, len(at))
        weights[at] = np.clip(values.astype(np.int64), low, high)
    if f"{name}.bias" in columns:
        bias = _column(columns, f"{name}.bias", np.int64, len(bias))
    return replace(layer, weights=weights.reshape(layer.weights.shape), bias=bias)


def _check_parts(columns: Mapping[str, np.ndarray], name: str) -> None:
    parts = {part for part in PARTS if f"{name}.{part}" in columns} - {"bias"}
    kinds = ({"value"}, {"sign", "scale"})
    known = [kind | where for kind in kinds for where in ({"at"}, {"map"})] + [set(), {"value"}]
    if parts not in known:
        raise InputError(
            f"weight update {name}", "values, or signs with a scale, at places", sorted(parts), REMEDY
        )


def _positions(columns: Mapping[str, np.ndarray], name: str, size: int) -> np.ndarray:
    if f"{name}.map" in columns:
        packed = _column(columns, f"{name}.map", np.uint8, -(-size // 8))
        return np.flatnonzero(np.unpackbits(packed, count=size))
    if f"{name}.at" in columns:
        return _listed(columns, f"{name}.at", size)
    return np.arange(size if f"{name}.value" in columns else 0)


def _listed(columns: Mapping[str, np.ndarray], key: str, size: int) -> np.ndarray:
    at = columns.get(key, np.zeros(0, np.uint32))
    if at.dtype != np.uint32 or at.ndim != 1 or (len(at) and int(at.max()) >= size):
        raise InputError(f"weight update {key}", f"positions 0..{size - 1}", str(at.dtype), REMEDY)
    if len(np.unique(at)) != len(at):
        raise InputError(f"weight update {key}", "different positions", "one twice", REMEDY)
    return at


def _column(columns: Mapping[str, np.ndarray], key: str, dtype: type, length: int) -> np.ndarray:
    found = columns.get(key)
    if found is None or found.dtype != dtype or found.shape != (length,):
        got = "nothing" if found is None else f"{found.dtype} of shape {found.shape}"
        raise InputError(f"weight update {key}", f"{length} values of {np.dtype(dtype)}", got, REMEDY)
    if dtype is np.float32 and not (found >= 0).all():
        raise InputError(f"weight update {key}", "a scale of at least 0", str(found[0]), REMEDY)
    if not np.isfinite(found).all():
        raise InputError(f"weight update {key}", "finite values", "infinity", REMEDY)
    return found
