"""Files and folders of images: idx (MNIST), CIFAR-10's binary batches, pictures. Checked before use."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError
from xbarsim.files import check_readable, read_bytes
from xbarsim.limits import check_size, file_limit

Bytes = NDArray[np.uint8]
Labelled = tuple[Bytes, NDArray[np.integer]]
PARTS = ("train", "test")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm")
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
    """The bytes of a file, unpacked if they are packed."""
    where = f"file {path}"
    raw = read_bytes(path, where, remedy="get it again")
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
            content = packed.read(file_limit() + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(where, "a complete file", f"'{error}'", "get it again") from error
    check_size(f"{where}, unpacked", len(content))
    return content


def read_folder(folder: Path) -> dict[str, tuple[Bytes, NDArray[np.integer], Path]]:
    """Return the parts 'train' and 'test' of a folder, those that it has: images, labels, and where they are.

    Images (N, channels, rows, columns) and labels (N,) are not compared. What has no parts is a test part.

    Raises
    ------
    InputError : files that are not what their names say, pictures of several sizes.
    """
    has_test = os.path.isdir(folder / "test")
    places = {part: folder / part if has_test else folder for part in PARTS}
    places = {part: place for part, place in places.items() if os.path.isdir(place)}
    classes = sorted({found.name for place in places.values() for found in _class_folders(place)})
    parts = {part: (_read_part(place, part, classes), place) for part, place in places.items()}
    if not has_test and not any(found for found, _ in parts.values()):
        parts = {"test": (_read_part(folder, "", classes), folder)}
    return {part: (*found, place) for part, (found, place) in parts.items() if found is not None}


def _read_part(path: Path, part: str, classes: Sequence[str]) -> Labelled | None:
    """A part of a folder in the first of the known forms; None if there is none."""
    return _read_idx_files(path, part) or _read_cifar_files(path, part) or _read_pictures(path, part, classes)


def _read_idx_files(path: Path, part: str) -> Labelled | None:
    start = {"train": "train", "test": "t10k", "": ""}[part] if path.name != part else ""
    found = [_idx_file(path, f"{start}*{what}*idx*") for what in ("images", "labels")]
    if found == [None, None]:
        return None
    if None in found:
        there = next(file for file in found if file is not None)
        raise InputError(f"data {path}", "idx files of images and of labels", f"{there.name} alone")
    images, labels = found
    return read_idx(images, 3)[:, None], read_idx(labels, 1)  # type: ignore[arg-type]


def _idx_file(folder: Path, pattern: str) -> Path | None:
    """The file of this name; a packed one only where it does not lie beside what was packed."""
    named = sorted(file for file in folder.glob(pattern) if os.path.isfile(file))
    named = [file for file in named if file.suffix != ".gz" or file.with_suffix("") not in named]
    if len(named) > 1:
        raise InputError(f"data {folder}", f"one file {pattern}", ", ".join(file.name for file in named))
    return named[0] if named else None


def _read_cifar_files(path: Path, part: str) -> Labelled | None:
    pattern = {"train": "data_batch_*.bin", "test": "test_batch.bin", "": "*.bin"}[part]
    files = sorted(path.glob("*.bin" if path.name == part else pattern))
    if not files:
        return None
    images, labels = zip(*map(read_cifar, files), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _class_folders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if os.path.isdir(folder) and folder.name[0] not in "._")


def _read_pictures(path: Path, part: str, classes: Sequence[str]) -> Labelled | None:
    if part and path.name != part:
        return None
    files = [
        (classes.index(folder.name), file)
        for folder in _class_folders(path)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in PICTURES
    ]
    if not files:
        return None
    images, size = [], 0
    for _, file in files:
        images.append(_picture(file, size))
        size += images[-1].nbytes
    for image, (_, file) in zip(images, files, strict=True):
        if image.shape != images[0].shape:
            expected = f"{images[0].shape} (channels, rows, columns), as the others"
            raise InputError(f"picture {file}", expected, image.shape)
    return np.stack(images), np.array([place for place, _ in files])


def _picture(file: Path, before: int) -> NDArray[np.uint8]:
    """A picture's pixels, unless they are too many beside so many bytes of others."""
    from PIL import Image

    check_readable(file, f"picture {file}")
    try:
        with Image.open(file) as picture:
            check_size("pictures, unpacked", before + 3 * picture.width * picture.height)
            return pixels_of(picture)
    except InputError:
        raise
    except Exception as error:  # PIL's readers raise many kinds
        raise InputError(f"picture {file}", "a picture that can be read", f"'{error}'"[:100]) from error


def is_picture(thing: Any) -> bool:
    """Whether it is a picture of PIL, which nothing needs to import."""
    return hasattr(thing, "convert") and hasattr(thing, "getbands")


def pixels_of(picture: Any) -> NDArray[np.uint8]:
    """Return a PIL picture's (channels, rows, columns) bytes: one channel of a grey picture, else three.

    Raises
    ------
    ValueError : a picture of more than 8 bits a channel.
    """
    if picture.mode[0] in "IF":
        raise ValueError(f"mode {picture.mode}, more than 8 bits a channel")
    grey = picture.mode in ("1", "L", "LA")
    pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
