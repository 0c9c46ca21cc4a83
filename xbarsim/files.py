"""Files: writing them so that a failure loses nothing, and reading no more than there should be.

What is read is data, checked before use: a regular file of bounded size, whatever a link points to.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike
from safetensors import SafetensorError
from safetensors.numpy import load

from xbarsim.errors import InputError
from xbarsim.limits import LARGE, TEXT, check_size, file_limit
from xbarsim.unfinished import unfinished

FILE = "a file that can be read"


@contextmanager
def opened(
    path: str | Path, where: str, *, most: int = LARGE, expected: str = FILE, remedy: str = ""
) -> Iterator[BinaryIO]:
    """Open a file to be read whole.

    Parameters
    ----------
    where : what errors name
    most : bytes, where the environment names no other number (`xbarsim.limits`)
    expected : what it should be, for errors

    Raises
    ------
    InputError : nothing there, a folder, a device or a pipe, one that may not be read, too many bytes.
    """
    try:
        # a pipe that nobody writes is not waited for
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise _not_readable(where, error, expected, remedy) from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise InputError(where, expected, _kind(found.st_mode), remedy)
    with os.fdopen(handle, "rb") as file:
        check_size(where, found.st_size, default=most)
        try:
            yield file
        except OSError as error:
            raise _not_readable(where, error, expected, remedy) from error


def check_readable(
    path: str | Path, where: str, *, most: int = LARGE, expected: str = FILE, remedy: str = ""
) -> int:
    """Return the bytes of a file that something else will read; see `opened`."""
    with opened(path, where, most=most, expected=expected, remedy=remedy) as file:
        return os.fstat(file.fileno()).st_size


def check_unpacked(
    path: str | Path, where: str, *, most: int = LARGE, expected: str = FILE, remedy: str = ""
) -> None:
    """Refuse a file like `opened`, and a zip archive whose members are too large together."""
    with opened(path, where, most=most, expected=expected, remedy=remedy) as file:
        if not zipfile.is_zipfile(file):
            return
        try:
            sizes = [member.file_size for member in zipfile.ZipFile(file).infolist()]
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise InputError(where, "a complete zip archive", str(error), remedy) from error
    check_size(f"{where}, unpacked", sum(sizes), default=most)


def read_bytes(
    path: str | Path, where: str, *, most: int = LARGE, expected: str = FILE, remedy: str = ""
) -> bytes:
    """Return the content of a file; see `opened`."""
    with opened(path, where, most=most, expected=expected, remedy=remedy) as file:
        limit = file_limit(most)
        content = file.read(limit + 1)
        check_size(where, len(content), default=most)  # it may have grown
        return content


def read_text(path: str | Path, where: str, *, expected: str = FILE, remedy: str = "") -> str:
    """Return a file of UTF-8 text, with or without a byte order mark; see `opened`."""
    content = read_bytes(path, where, most=TEXT, expected=expected, remedy=remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(where, expected, f"what is no UTF-8 text: {error}", remedy) from error


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((words for is_kind, words in kinds if is_kind(mode)), "a device")


def _not_readable(where: str, error: Exception, expected: str, remedy: str) -> InputError:
    return InputError(where, expected, getattr(error, "strerror", None) or str(error), remedy)


def read_tensors(
    path: Path, where: str, form: str, tensors: Mapping[str, tuple[DTypeLike, int]], remedy: str
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and words of a file.

    Parameters
    ----------
    where : what errors name
    form : the format that the file has to name
    tensors : type and number of dimensions of each

    Raises
    ------
    InputError : no such file, not a safetensors file, truncated, another format, tensors of another type.
    """
    content = read_bytes(path, where, remedy=remedy)
    try:
        found = load(content)
        words = _words(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(where, "a safetensors file", f"{len(content)} bytes ({error})", remedy) from error
    if words.get("format") != form:
        raise InputError(where, f"format {form}", repr(words.get("format"))[:60], remedy)
    for name, (dtype, dimensions) in tensors.items():
        one = found.get(name)
        if one is None or one.dtype != dtype or one.ndim != dimensions:
            got = "nothing" if one is None else f"{one.dtype} of shape {one.shape}"
            expected = f"column {name}: {np.dtype(dtype)}, number of dimensions {dimensions}"
            raise InputError(where, expected, got, remedy)
    return {name: found[name] for name in tensors}, words


def _words(content: bytes) -> dict[str, str]:
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    words = header.get("__metadata__", {})
    return words if isinstance(words, dict) else {}


def write_atomically(path: str | Path, write: Callable[[Path], Any]) -> Path:
    """Write a file through a temporary neighbour, so that an earlier file survives any failure.

    A link is written through; a device or a pipe is refused.

    Parameters
    ----------
    path : where the file shall stand in the end; its folder is made if it is missing
    write : called with the temporary path (same suffix); writes the content

    Raises
    ------
    InputError : the system refused (no space left, no permission, not a folder, ...).
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            raise OSError("not a regular file")
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(target) as temporary:
            write(temporary)
            os.replace(temporary, target)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise _not_writable(path, error) from error
    return Path(path)


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file of bytes; see `write_atomically`."""
    return write_atomically(path, lambda temporary: temporary.write_bytes(content))


def check_folder(path: str | Path) -> None:
    """Make a folder if it is missing and see that a file can be written there; raise `InputError` if not."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"x")
    except (OSError, ValueError) as error:
        raise _not_writable(path, error) from error


def check_file(path: str | Path) -> None:
    """Make a file's folder if it is missing, see that the file can be written; raise `InputError` if not."""
    try:
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():
            raise OSError("not a regular file")
        with tempfile.TemporaryFile(dir=target.parent) as probe:
            probe.write(b"x")
    except (OSError, ValueError) as error:
        raise _not_writable(path, error) from error


def _not_writable(path: str | Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    remedy = place_remedy(error, "free some space or choose another path")
    return InputError(str(path), "a place that can be written", reason, remedy)


def place_remedy(error: Exception, otherwise: str) -> str:
    """Return what helps against an error of the system at a path: a shorter one, or what else is said."""
    too_long = getattr(error, "errno", None) == errno.ENAMETOOLONG
    return "choose a shorter path" if too_long else otherwise
