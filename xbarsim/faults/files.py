"""Fault map files: the faults as columns, the geometry in the header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

from xbarsim.errors import InputError
from xbarsim.faults.kinds import CellGeometry
from xbarsim.files import read_tensors

if TYPE_CHECKING:
    from xbarsim.faults.cell_map import FaultMap

FORMAT = "xbarsim-fault-map-1"
_COLUMNS = {"cell": (np.int64, 1), "kind": (np.uint8, 1), "value": (np.int8, 1)}


def to_bytes(fault_map: FaultMap) -> bytes:
    """The content of a fault map file."""
    g = fault_map.geometry
    header = {"format": FORMAT, "geometry": json.dumps([g.arrays, g.rows, g.columns, g.levels])}
    return save({name: getattr(fault_map, name) for name in _COLUMNS}, metadata=header)


def read_fault_map(path: Path, kind: type[FaultMap]) -> FaultMap:
    """Read and check a fault map file, as an object of the class of fault maps.

    Raises
    ------
    InputError : no such file, not a fault map, truncated, or faults outside its geometry.
    """
    where = f"fault map {path}"
    remedy = "make one with FaultMap.save or 'xbarsim faults sample'"
    columns, words = read_tensors(path, where, FORMAT, _COLUMNS, remedy)
    try:
        arrays, rows, width, levels = json.loads(words["geometry"])
        geometry = CellGeometry(arrays=arrays, rows=rows, columns=width, levels=levels)
        return kind.from_cells(geometry, columns["cell"], columns["kind"], columns["value"])
    except InputError as error:
        raise InputError(where, "faults inside its geometry", f"'{error}'", remedy) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            where, "a geometry of four integers", repr(words.get("geometry"))[:60], remedy
        ) from error
