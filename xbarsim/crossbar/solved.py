"""Effective matrices of many arrays: solved in parallel, kept on disk under a digest of what decides them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import pooch
from numpy.typing import NDArray

from xbarsim.crossbar.parasitic import Wires, effective_conductances
from xbarsim.errors import InputError
from xbarsim.files import read_bytes, write_atomically
from xbarsim.kernels.launch import worker_threads

Floats = NDArray[np.float32]
MODEL = "1"  # change it when the solver's answers change
MOST_BYTES = 1 << 29
ARRAYS_AT_ONCE = 8
DIGEST_BYTES = 20


def cache_folder() -> Path:
    """XBARSIM_CACHE, or the user's cache folder."""
    return Path(os.environ.get("XBARSIM_CACHE") or pooch.os_cache("xbarsim")) / "wires"


def solve_arrays(arrays: Iterable[Floats], wires: Wires, *, folder: Path | None = None) -> Iterator[Floats]:
    """Effective (rows, columns) float32 conductances in uS of arrays of (rows, columns) float32 in uS.

    Parameters
    ----------
    arrays : may be a generator; ARRAYS_AT_ONCE are in memory
    folder : of the cache; None for `cache_folder`. Its oldest files go when it exceeds MOST_BYTES

    A damaged or unwritable cache costs time, never an answer.
    """
    if wires.ideal:
        yield from arrays
        return
    folder, remaining = cache_folder() if folder is None else folder, iter(arrays)
    while chunk := list(islice(remaining, ARRAYS_AT_ONCE)):
        with worker_threads() as pool:
            solved = list(pool.map(lambda g: _solve(g, wires, folder), chunk))
        yield from solved
    _forget_oldest(folder)


def _solve(g_uS: Floats, wires: Wires, folder: Path) -> Floats:
    g_uS = np.ascontiguousarray(g_uS, np.float32)
    decides = f"{MODEL} {g_uS.shape} {wires!r}".encode() + g_uS.tobytes()
    path = folder / f"{_digest(decides).hex()}.solved"
    kept = _read(path, g_uS.nbytes)
    if kept is not None:
        return np.frombuffer(kept, np.float32).reshape(g_uS.shape)
    solved = effective_conductances(g_uS, wires).astype(np.float32)
    content = solved.tobytes()
    with suppress(InputError):
        write_atomically(path, lambda temporary: temporary.write_bytes(_digest(content) + content))
    return solved


def _read(path: Path, size: int) -> bytes | None:
    """The content of a cached file of this size, or None if there is none or it is damaged."""
    with suppress(InputError):
        found = read_bytes(path, str(path))
        digest, content = found[:DIGEST_BYTES], found[DIGEST_BYTES:]
        if len(content) == size and digest == _digest(content):
            return content
    return None


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def _forget_oldest(folder: Path) -> None:
    with suppress(OSError):
        files = sorted((p.stat().st_mtime, p.stat().st_size, p) for p in folder.glob("*.solved"))
        excess = sum(size for _, size, _ in files) - MOST_BYTES
        for _, size, path in files:
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size
