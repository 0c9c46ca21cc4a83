"""Results as JSON documents."""

import json
from pathlib import Path

import numpy as np
import pytest

from xbarsim.documents import document, json_text, plain
from xbarsim.faults.kinds import CellGeometry, FaultKind


def test_document_is_json_with_parameters_and_version():
    content = document(
        "simulate",
        {"seed": 1},
        {
            "g": CellGeometry(arrays=2),
            "kind": FaultKind.flip,
            "x": np.arange(3),
            "y": [np.float32(0.5), np.inf],
        },
    )
    read = json.loads(json_text(content))
    assert read["command"] == "simulate"
    assert read["version"]
    assert read["parameters"] == {"seed": 1}
    assert read["results"]["g"] == {"arrays": 2, "rows": 128, "columns": 128, "levels": 4}
    assert read["results"]["kind"] == "flip"
    assert read["results"]["x"] == [0, 1, 2]
    assert read["results"]["y"] == [0.5, None]


def test_paths_sets_of_names_and_numbers_of_numpy_are_plain():
    content = {Path("a"): Path("b/c"), 3: np.array([[1.5, np.nan]]), "t": (np.int8(1), True, None)}
    assert plain(content) == {"a": "b/c", "3": [[1.5, None]], "t": [1, True, None]}
    assert plain(CellGeometry) == str(CellGeometry)  # a class is no record


def test_equal_content_is_equal_text():
    assert json_text({"b": 1, "a": [2]}) == '{\n  "b": 1,\n  "a": [\n    2\n  ]\n}'
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text({"x": float("nan")})
