import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.faults.csv_files import read_csv, write_csv


def pair(where, line):
    if len(line) != 2:
        raise InputError(where, "two words", ",".join(line))
    return tuple(line)


def test_columns_come_back_as_words_of_lines(tmp_path):
    path = write_csv(tmp_path / "a" / "b.csv", {"kind": ["x", "y,z"], "value": np.array([1.0, 1e-7])})
    assert path.read_bytes() == b'kind,value\nx,1.0\n"y,z",1e-07\n'
    assert read_csv(path, ("kind", "value"), pair) == [("x", "1.0"), ("y,z", "1e-07")]


def test_no_rows_leave_the_header_alone(tmp_path):
    path = write_csv(tmp_path / "b.csv", {"kind": [], "value": []})
    assert path.read_text() == "kind,value\n"
    assert read_csv(path, ("kind", "value"), pair) == []


def test_lines_are_named_as_an_editor_counts_them(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("kind,value\n\nx,1\nx\n")
    with pytest.raises(InputError, match=r"b\.csv, line 4: expected two words, got x"):
        read_csv(path, ("kind", "value"), pair)
