"""What is taken in before it is refused: the bytes of a file, the memory of what is asked for.

Two variables of the environment raise or lower the bounds, for this process and its workers:

| variable | bounds | else |
|---|---|---|
| `XBARSIM_FILE_LIMIT` | every file that is read, and what is packed in it | 1 GB; 16 MB of text |
| `XBARSIM_MEMORY_LIMIT` | what one request makes: arrays, fault tables, tasks | 2 GB |
"""

from __future__ import annotations

import os
import re

from xbarsim.errors import InputError

FILE_VARIABLE, MEMORY_VARIABLE = "XBARSIM_FILE_LIMIT", "XBARSIM_MEMORY_LIMIT"
LARGE, TEXT, MEMORY = 10**9, 16 * 10**6, 2 * 10**9
UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
SIZE = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([A-Za-z]*)\s*")


def parse_size(where: str, words: str) -> int:
    """Return bytes, written as '500MB' or '8 GiB'.

    Raises
    ------
    InputError : no such size, or none of at least one byte.

    >>> parse_size("limit", "1.5 GiB")
    1610612736
    """
    found = SIZE.fullmatch(words)
    unit = UNITS.get(found[2].upper().removesuffix("B") + "B" if found[2] else "") if found else None
    if found is None or unit is None or float(found[1]) * unit < 1:
        raise InputError(where, "a size such as 500MB or 8GB", repr(words)[:60])
    return int(float(found[1]) * unit)


def byte_size(count: float) -> str:
    """Return a size with a readable unit.

    >>> byte_size(861000), byte_size(2e9)
    ('861 kB', '2 GB')
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def file_limit(default: int = LARGE) -> int:
    """Return the most bytes of a file that may be read; the variable's, if it is set."""
    return _set(FILE_VARIABLE, default)


def memory_limit() -> int:
    """Return the most bytes that one request may make; the variable's, if it is set."""
    return _set(MEMORY_VARIABLE, MEMORY)


def _set(variable: str, default: int) -> int:
    words = os.environ.get(variable)
    return default if not words else parse_size(variable, words)


def check_memory(where: str, count: float, what: str) -> None:
    """Refuse what would take more bytes than a request may make.

    Parameters
    ----------
    count : of bytes, estimated before anything is made
    what : would take them, for the message
    """
    most = memory_limit()
    if count > most:
        got = f"{what}, which takes about {byte_size(count)}"
        raise InputError(where, f"at most {byte_size(most)} of memory", got, _raise(MEMORY_VARIABLE))


def check_size(where: str, count: int, *, default: int = LARGE) -> None:
    """Refuse a file, or what is packed in it, that has more bytes than may be read.

    Parameters
    ----------
    default : the most bytes where the environment names no other number
    """
    most = file_limit(default)
    if count > most:
        raise InputError(where, f"at most {byte_size(most)}", byte_size(count), _raise(FILE_VARIABLE))


def _raise(variable: str) -> str:
    return f"set {variable} to raise the limit, as in {variable}=8GB"
