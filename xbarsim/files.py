"""Files: writing them so that a failure loses nothing, and reading named tensors with words in a header.

What is read is data, checked before use.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from safetensors import SafetensorError
from safetensors.numpy import load

from xbarsim.errors import InputError
from xbarsim.unfinished import unfinished


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
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(where, "a file that can be read", reason, remedy) from error
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
