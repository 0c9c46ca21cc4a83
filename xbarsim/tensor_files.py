"""Files of named tensors with words in their header: safetensors, read as data and checked before use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike
from safetensors import SafetensorError
from safetensors.numpy import load

from xbarsim.checks import InputError


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
