"""Digests of contents: what two things have to agree in to be the same, whatever they are called."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from xbarsim.errors import InputError
from xbarsim.files import read_bytes

DIGITS = 16


def content_digest(thing: Any) -> str:
    """Return sixteen digits of the contents of arrays, dataclasses, mappings, sequences and plain values.

    Types count: an int is not a float, a tuple and a list of the same are one.

    Raises
    ------
    InputError : something whose contents are not known, as a function.

    >>> content_digest({"a": 1}) == content_digest({"a": 1.0})
    False
    """
    state = blake2b(digest_size=DIGITS // 2)
    _add(state, thing)
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """Return sixteen digits of a file, or of the names and contents of a folder's files.

    Raises
    ------
    InputError : neither of them.
    """
    state = blake2b(digest_size=DIGITS // 2)
    if not os.path.exists(path):
        raise InputError(str(path), "a file or a folder", "nothing there")
    if not os.path.isdir(path):
        state.update(read_bytes(path, str(path)))
        return state.hexdigest()
    for file in sorted(file for file in path.iterdir() if file.is_file()):
        content = read_bytes(file, str(file))
        state.update(f"{file.name} {len(content)} ".encode())
        state.update(content)
    return state.hexdigest()


def _add(state: Any, thing: Any) -> None:
    if isinstance(thing, (np.ndarray, np.generic)):
        array = np.ascontiguousarray(thing)
        if array.dtype.hasobject:
            _add(state, array.tolist())
            return
        state.update(f"array {array.dtype.str} {array.shape} ".encode())
        state.update(array.reshape(-1).view(np.uint8))
    elif is_dataclass(thing) and not isinstance(thing, type):
        state.update(f"{type(thing).__qualname__} ".encode())
        for field in fields(thing):
            state.update(f"{field.name} ".encode())
            _add(state, getattr(thing, field.name))
    elif isinstance(thing, Mapping):
        state.update(f"mapping {len(thing)} ".encode())
        for key in sorted(thing, key=repr):
            _add(state, key)
            _add(state, thing[key])
    elif isinstance(thing, (tuple, list)):
        state.update(f"sequence {len(thing)} ".encode())
        for item in thing:
            _add(state, item)
    elif isinstance(thing, Enum):
        state.update(f"{type(thing).__qualname__}.{thing.name} ".encode())
    elif isinstance(thing, (str, int, float, bool, bytes, type(None), Fraction)):
        state.update(f"{type(thing).__name__} {thing!r} ".encode())
    else:
        raise InputError("contents", "arrays, dataclasses and plain values", type(thing).__qualname__)
