"""Writing files: what can be written is found out before the work, and a failure loses nothing."""

import os
from pathlib import Path

import pytest

from xbarsim.errors import InputError
from xbarsim.files import check_file, check_folder, write_atomically


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


def test_a_path_too_long_gets_that_remedy(tmp_path):
    for check in (check_file, check_folder, lambda path: write_atomically(path, Path.touch)):
        for name in ("a" * 300, "a/" * 3000 + "a"):
            with pytest.raises(InputError, match="File name too long; choose a shorter path"):
                check(tmp_path / name)


def test_failed_write_leaves_the_earlier_file_and_no_litter(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("earlier")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left on device"):
        write_atomically(path, fail)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_write_makes_missing_folders(tmp_path):
    path = write_atomically(tmp_path / "a" / "b.txt", lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "new"


def test_links_are_written_through_and_pipes_are_left_alone(tmp_path):
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    target.write_text("earlier")
    link.symlink_to(target)
    os.mkfifo(pipe)
    write_atomically(link, lambda temporary: temporary.write_text("new"))
    assert link.is_symlink()
    assert target.read_text() == "new"
    with pytest.raises(InputError, match="not a regular file"):
        write_atomically(pipe, lambda temporary: temporary.write_text("new"))
    assert pipe.is_fifo()


def test_probing_a_folder_leaves_what_is_there(tmp_path):
    (tmp_path / ".xbarsim").write_text("precious")
    check_folder(tmp_path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["precious"]
    with pytest.raises(InputError, match="a place that can be written"):
        check_folder(tmp_path / ".xbarsim")
