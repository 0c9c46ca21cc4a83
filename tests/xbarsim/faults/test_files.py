"""Fault map files from anywhere: damaged, hostile or of something else."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.files import FORMAT, to_bytes
from xbarsim.faults.kinds import CellGeometry

G = CellGeometry(arrays=2, rows=4, columns=5)
GOOD = to_bytes(FaultMap.of(G, array=0, row=[0, 1], column=3, kind="stuck_lrs"))


def content(cell=(1, 2), kind=(0, 1), value=(0, 3), header=None, dtypes=(np.int64, np.uint8, np.int8)):
    columns = {
        n: np.array(v, d)
        for n, v, d in zip(("cell", "kind", "value"), (cell, kind, value), dtypes, strict=True)
    }
    words = {"format": FORMAT, "geometry": "[2, 4, 5, 4]"} | (header or {})
    return save(columns, metadata=words)


def test_well_made_content_loads(tmp_path):
    path = tmp_path / "map"
    path.write_bytes(content())
    assert len(FaultMap.load(path)) == 2


BAD = [
    b"",
    b"not a fault map",
    GOOD[:-3],
    GOOD[:40],
    b"\xff" * 64,
    content(header={"format": "something else"}),
    content(header={"geometry": "[2, 4, 5]"}),
    content(header={"geometry": "2, 4"}),
    content(header={"geometry": "[2, 4, 5, 1e9]"}),
    content(header={"geometry": "[2, 4, 5, 4.0]"}),
    content(header={"geometry": "[2.0, 4, 5, 4]"}),
    content(header={"geometry": "[true, 4, 5, 4]"}),
    content(header={"geometry": '["2", 4, 5, 4]'}),
    content(header={"geometry": "[99999999999, 4, 5, 4]"}),
    content(header={"geometry": "[20000000, 4, 5, 4]"}),
    content(header={"geometry": "[" * 200_000}),
    content(cell=(1, 40)),
    content(cell=(-1, 4)),
    content(cell=(1, 1)),
    content(kind=(0, 9)),
    content(kind=(0, 2), value=(0, 4)),
    content(cell=(1, 2, 3)),
    content(dtypes=(np.float64, np.uint8, np.int8)),
    save({"cell": np.zeros(1, np.int64)}, metadata={"format": FORMAT, "geometry": "[2, 4, 5, 4]"}),
    save({"weights": np.zeros(3, np.float32)}),
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))  # metadata come in any order
def test_damaged_or_foreign_file_gets_one_line(tmp_path, bad):
    path = tmp_path / "map.safetensors"
    path.write_bytes(bad)
    with pytest.raises(InputError, match=r"fault map .*map\.safetensors: expected .*; make one") as caught:
        FaultMap.load(path)
    assert "\n" not in str(caught.value)


@given(position=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_any_changed_byte_either_loads_as_a_checked_map_or_is_refused(position, byte, tmp_path_factory):
    path = tmp_path_factory.mktemp("maps") / "map"
    path.write_bytes(GOOD[:position] + bytes([byte]) + GOOD[position + 1 :])
    try:
        fault_map = FaultMap.load(path)
    except InputError:
        return
    assert all(a < fault_map.geometry.arrays and r < fault_map.geometry.rows for a, r, *_ in fault_map)


def test_missing_file_and_folder_get_one_line(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="a file that can be read"):
            FaultMap.load(path)


def test_header_is_plain_json():
    size = int.from_bytes(GOOD[:8], "little")
    assert json.loads(GOOD[8 : 8 + size])["__metadata__"]["geometry"] == "[2, 4, 5, 4]"
