"""Readers of the published file formats: idx (MNIST) and CIFAR-10's binary batches. Checked before use."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError

Bytes = NDArray[np.uint8]
CIFAR_RECORD = 1 + 3 * 32 * 32


def read_idx(path: Path, dimensions: int) -> Bytes:
    """Read an idx file of unsigned bytes, plain or gzip.

    Source: the format as published with MNIST: magic 0, 0, 8, dimensions; big-endian sizes; data.
    """
    content = _content(path)
    head = 4 + 4 * dimensions
    if len(content) < head or content[:4] != bytes((0, 0, 8, dimensions)):
        raise InputError(
            f"file {path}", f"an idx file of {dimensions} dimensions", f"it begins {content[:4].hex()}"
        )
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", dimensions, 4))
    size = int(np.prod(shape, dtype=object))
    if len(content) - head != size:
        raise InputError(
            f"file {path}", f"{size} bytes of data for {shape}", len(content) - head, "get it again"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def read_cifar(path: Path) -> tuple[Bytes, Bytes]:
    """Read a CIFAR-10 batch: images (N, 3, 32, 32) and labels (N,)."""
    content = _content(path)
    if not content or len(content) % CIFAR_RECORD:
        raise InputError(
            f"file {path}", f"records of {CIFAR_RECORD} bytes", f"{len(content)} bytes", "get it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR_RECORD)
    if records[:, 0].max() > 9:
        raise InputError(f"file {path}", "labels 0..9", int(records[:, 0].max()), "get it again")
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"file {path}", "a complete file", f"'{error}'", "get it again") from error
