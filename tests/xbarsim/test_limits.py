"""Bounds of what is read and made, and the variables that move them."""

import pytest

from xbarsim.errors import InputError
from xbarsim.limits import byte_size, check_memory, check_size, file_limit, memory_limit, parse_size


@pytest.mark.parametrize(
    ("words", "count"),
    [("1", 1), ("500MB", 5 * 10**8), ("8 GiB", 8 << 30), ("1.5kb", 1500), (" 2g ", 2 * 10**9)],
)
def test_sizes_are_read_as_people_write_them(words, count):
    assert parse_size("limit", words) == count


@pytest.mark.parametrize("words", ["", "0", "-1", "GB", "1 XB", "1e9", "nan", "0.1", "1" * 20, "8 GB each"])
def test_other_sizes_are_refused(words):
    with pytest.raises(InputError, match="a size such as 500MB or 8GB"):
        parse_size("limit", words)


@pytest.mark.parametrize(("count", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2.5e6, "2.5 MB")])
def test_sizes_have_a_readable_unit(count, words):
    assert byte_size(count) == words


def test_variables_move_the_bounds(monkeypatch):
    assert (file_limit(), memory_limit()) == (10**9, 2 * 10**9)
    check_memory("request", 2e9, "a request")
    with pytest.raises(InputError, match="at most 2 GB of memory, got a request, which takes about 3 GB"):
        check_memory("request", 3e9, "a request")
    monkeypatch.setenv("XBARSIM_MEMORY_LIMIT", "4GB")
    check_memory("request", 3e9, "a request")
    monkeypatch.setenv("XBARSIM_FILE_LIMIT", "10")
    check_size("file", 10)
    with pytest.raises(InputError, match="file: expected at most 10 B, got 11 B"):
        check_size("file", 11)
    monkeypatch.setenv("XBARSIM_FILE_LIMIT", "much")
    with pytest.raises(InputError, match="XBARSIM_FILE_LIMIT: expected a size"):
        file_limit()
