"""Places of files: what can be written is found out before the work."""

import os

import pytest

from xbarsim.errors import InputError
from xbarsim.files import check_file


def test_a_place_that_can_be_written_gets_its_folder_and_nothing_else(tmp_path):
    check_file(tmp_path / "new/deep/file")
    assert list((tmp_path / "new/deep").iterdir()) == []
    (tmp_path / "file").write_text("as it was")
    check_file(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "as it was"


def test_places_that_cannot_be_written_get_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    for place in ("", "file/inside", "pipe", "a" * 300, "a\0b"):
        with pytest.raises(InputError, match="a place that can be written") as caught:
            check_file(f"{tmp_path}/{place}")
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]
