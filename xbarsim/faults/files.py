"""Fault map files: safetensors with the geometry in the header. Read as data, checked before use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from xbarsim.checks import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry

FORMAT = "xbarsim-fault-map-1"
_COLUMNS = {"cell": np.int64, "kind": np.uint8, "value": np.int8}


def to_bytes(fault_map: FaultMap) -> bytes:
    """The content of a fault map file."""
    g = fault_map.geometry
    header = {"format": FORMAT, "geometry": json.dumps([g.arrays, g.rows, g.columns, g.levels])}
    return save({name: getattr(fault_map, name) for name in _COLUMNS}, metadata=header)


def read_fault_map(path: Path) -> FaultMap:
    """Read and check a fault map file.

    Raises
    ------
    InputError : no such file, not a fault map, truncated, or faults outside its geometry.
    """
    where = f"fault map {path}"
    remedy = "make one with FaultMap.save or 'xbarsim faults sample'"
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(where, "a file that can be read", reason, remedy) from error
    try:
        columns = load(content)
        header = _metadata(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(where, "a safetensors file", f"{len(content)} bytes ({error})", remedy) from error
    if header.get("format") != FORMAT:
        raise InputError(where, f"format {FORMAT}", repr(header.get("format")), remedy)
    for name, dtype in _COLUMNS.items():
        found = columns.get(name)
        if found is None or found.dtype != dtype or found.ndim != 1:
            got = "nothing" if found is None else f"{found.dtype} of shape {found.shape}"
            raise InputError(where, f"column {name} of {np.dtype(dtype)}", got, remedy)
    try:
        arrays, rows, width, levels = json.loads(header["geometry"])
        geometry = CellGeometry(arrays=arrays, rows=rows, columns=width, levels=levels)
        return FaultMap.from_cells(geometry, columns["cell"], columns["kind"], columns["value"])
    except InputError as error:
        raise InputError(where, "faults inside its geometry", f"'{error}'", remedy) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            where, "a geometry of four integers", repr(header.get("geometry"))[:60], remedy
        ) from error


def _metadata(content: bytes) -> dict[str, str]:
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header.get("__metadata__", {})
    return metadata if isinstance(metadata, dict) else {}
