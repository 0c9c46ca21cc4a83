"""Writing files: what can be written is found out before the work, and a failure loses nothing."""

import os
import socket
import zipfile
from pathlib import Path

import pytest

from xbarsim.errors import InputError
from xbarsim.files import (
    check_file,
    check_folder,
    check_readable,
    check_unpacked,
    read_bytes,
    read_text,
    write_atomically,
)


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


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    wrong = {"pipe": "a pipe", "zeros": "a device", "": "a folder", "loop": "Too many levels"}
    wrong |= {"none": "No such", "socket": "No such device", "a\0b": "null byte", "a" * 300: "too long"}
    for name, words in wrong.items():
        with pytest.raises(InputError, match=words):
            read_bytes(f"{tmp_path}/{name}", "the file")
    server.close()


def test_a_file_has_a_bound_that_can_be_raised(tmp_path, monkeypatch):
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(5 * 10**9)  # of no blocks
    for read in (read_bytes, check_readable, check_unpacked):
        with pytest.raises(InputError, match="at most 1 GB, got 5 GB; set XBARSIM_FILE_LIMIT"):
            read(path, "the file")
    monkeypatch.setenv("XBARSIM_FILE_LIMIT", "6GB")
    assert check_readable(path, "the file") == 5 * 10**9


def test_what_is_packed_in_an_archive_counts(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "abc":
            with archive.open(name, "w") as member:
                for _ in range(40):
                    member.write(bytes(10**7))
    assert path.stat().st_size < 2 * 10**6
    with pytest.raises(InputError, match=r"unpacked: expected at most 1 GB, got 1\.2 GB"):
        check_unpacked(path, "data")


def test_text_is_read_with_and_without_a_mark(tmp_path):
    path = tmp_path / "a.txt"
    for start in ("", "\ufeff"):
        path.write_text(start + "text")
        assert read_text(path, "the file") == "text"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8 text"):
        read_text(path, "the file")
    path.write_bytes(bytes(17 * 10**6))
    with pytest.raises(InputError, match="at most 16 MB"):
        read_text(path, "the file")


def test_what_a_writer_reads_keeps_its_own_mistake(tmp_path):
    with pytest.raises(InputError, match=r"^elsewhere"):
        write_atomically(tmp_path / "a", lambda temporary: read_bytes(tmp_path / "none", "elsewhere"))


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
