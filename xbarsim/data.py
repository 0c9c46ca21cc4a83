"""Labelled inputs, and reading them from what people have: arrays, files, folders, torch data sets.

| source | what it is |
|---|---|
| `(images, labels)` | arrays, or what numpy makes arrays of |
| a torch `Dataset` or `DataLoader` | pairs of an input and a label, or batches of them |
| `file.npz` | `images` and `labels`; or `x_train`, `y_train`, `x_test`, `y_test` |
| a folder | images (.png, .jpg, ...) in one folder a class; idx files; CIFAR-10's binary batches |

A folder or archive may hold a training part: `train` and `test` folders, idx files `train-*` and `t10k-*`,
batches `data_batch_*` and `test_batch`. Bytes become floats in 0..1; floats stay as they are.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.data_files import read_cifar, read_idx
from xbarsim.digests import content_digest
from xbarsim.errors import InputError, check_int

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm")
ARCHIVE = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Images with their classes.

    Attributes
    ----------
    images : (N, ...) float32
    labels : (N,) int64
    value_range : smallest and largest value a valid image can have
    source : where it came from, for the record
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    value_range: tuple[float, float]
    name: str = "data"
    split: str = "test"
    source: str = "arrays"

    @classmethod
    def of(
        cls, images: ArrayLike, labels: ArrayLike, *, name: str = "data", source: str = "arrays"
    ) -> Dataset:
        """Check and convert (N, ...) images and (N,) classes; the range of the values is what they span.

        Raises
        ------
        InputError : no images, other shapes, labels that are no classes from 0 on, numbers that are not finite.
        """
        x, y = np.asarray(images), np.asarray(labels)
        if x.ndim < 2 or len(x) == 0 or x.dtype.kind not in "fiub":
            raise InputError(f"{name}: images", "(N, ...) real numbers, N above 0", f"{x.dtype} {x.shape}")
        if y.shape != (len(x),) or y.dtype.kind not in "iu" or int(y.min()) < 0:
            got = f"{y.dtype} of shape {y.shape}" if y.dtype.kind not in "iu" or y.ndim != 1 else "others"
            raise InputError(f"{name}: labels", f"({len(x)},) integers from 0 on", got)
        if x.dtype == np.uint8:
            x, span = x.astype(np.float32) / np.float32(255), (0.0, 1.0)
        else:
            x = x.astype(np.float32)
            if not np.isfinite(x).all():
                raise InputError(f"{name}: images", "finite numbers", "NaN or infinity")
            span = (float(x.min()), float(x.max()))
        return cls(images=x, labels=y.astype(np.int64), value_range=span, name=name, source=source)

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | None) -> Dataset:
        """Return the first so many images; all for None."""
        if count is None or count >= len(self):
            return self
        check_int("number of images", count, 1, 10**9)
        return replace(self, images=self.images[:count], labels=self.labels[:count])

    @cached_property
    def digest(self) -> str:
        """Sixteen digits of a digest of images and labels."""
        return content_digest((self.images, self.labels))


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """A test set, and the training set beside it if there is one."""

    test: Dataset
    train: Dataset | None = None


def as_dataset(source: Any, *, name: str = "data") -> Dataset:
    """Return what somebody calls a data set as a `Dataset`; of one with two parts, the test set."""
    return as_data(source, name=name).test


def as_data(source: Any, *, name: str = "data") -> Data:
    """Return what somebody calls their data, see the table at the head of the module.

    A mapping with 'test' and perhaps 'train', or a pair (train, test) of data sets, has both parts.

    Raises
    ------
    InputError : anything else, files that are not what they claim, images of different sizes.
    """
    if isinstance(source, Data):
        return source
    if isinstance(source, Dataset):
        return Data(test=source)
    if isinstance(source, (str, Path)):
        return read_data(source)
    if isinstance(source, Mapping) and "test" in source:
        train = as_dataset(source["train"], name="train") if source.get("train") is not None else None
        return Data(test=as_dataset(source["test"], name=name), train=train)
    if isinstance(source, (tuple, list)) and len(source) == 2:
        if all(isinstance(part, Dataset) or not _is_array(part) for part in source):
            return Data(train=as_dataset(source[0], name="train"), test=as_dataset(source[1], name=name))
        return Data(test=Dataset.of(_array(source[0]), _array(source[1]), name=name))
    if isinstance(source, Iterable) or hasattr(source, "__getitem__"):
        return Data(test=_from_pairs(source, name))
    expected = "arrays (images, labels), a file, a folder, or pairs of an image and its label"
    raise InputError(name, expected, type(source).__qualname__)


def _is_array(part: Any) -> bool:
    return isinstance(part, (np.ndarray, list, tuple)) or (
        hasattr(part, "__array__") and hasattr(part, "shape")
    )


def _array(part: Any) -> NDArray:
    """A tensor's or a list's numbers."""
    return np.asarray(part.detach().cpu() if hasattr(part, "detach") else part)


def _from_pairs(source: Any, name: str) -> Dataset:
    """Of a torch data set or loader, or anything else that gives pairs."""
    images: list[NDArray] = []
    labels: list[NDArray] = []
    try:
        for pair in _pairs(source):
            image, label = pair
            image, label = _array(image), _array(label)
            images.append(image[None] if label.ndim == 0 else image)
            labels.append(np.atleast_1d(label))
        joined = np.concatenate(images), np.concatenate(labels)
    except (TypeError, ValueError) as error:
        expected = "pairs of an image and its label, all of one shape"
        raise InputError(name, expected, f"'{error}'"[:100]) from error
    return Dataset.of(*joined, name=name, source=type(source).__qualname__)


def _pairs(source: Any) -> Iterator[Any]:
    if hasattr(source, "__len__") and hasattr(source, "__getitem__") and not hasattr(source, "batch_size"):
        return (source[place] for place in range(len(source)))
    return iter(source)


def read_data(path: str | Path) -> Data:
    """Read data from a file or folder, see the table at the head of the module.

    Raises
    ------
    InputError : nothing there, nothing that is known, damaged files.
    """
    where = Path(path)
    if where.suffix == ".npz" and where.is_file():
        return _read_archive(where)
    if not where.is_dir():
        raise InputError(f"data {path}", "a .npz file or a folder", "a file" if where.exists() else "nothing")
    parts = [where / part for part in ("train", "test")]
    if parts[1].is_dir():
        found = [_read_folder(part, part.name) if part.is_dir() else None for part in parts]
        return Data(train=found[0], test=found[1])  # type: ignore[arg-type]
    train = _read_folder(where, "train")
    test = _read_folder(where, "test")
    if test is None and train is None:
        test = _read_folder(where, "")
    if test is None:
        expected = "images in a folder a class, idx files, or CIFAR-10 batches, with a test part"
        raise InputError(f"data {path}", expected, "a training part alone" if train else "none of them")
    return Data(train=train, test=test)


def _read_archive(path: Path) -> Data:
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise InputError(f"data {path}", "an .npz archive of arrays", f"'{error}'"[:100]) from error
    if {"images", "labels"} <= set(found):
        return Data(test=Dataset.of(found["images"], found["labels"], name=path.stem, source=str(path)))
    if set(ARCHIVE) <= set(found):
        sets = [
            Dataset.of(found[f"x_{part}"], found[f"y_{part}"], name=path.stem, source=str(path))
            for part in ("train", "test")
        ]
        return Data(train=replace(sets[0], split="train"), test=sets[1])
    expected = f"images and labels, or {', '.join(ARCHIVE)}"
    raise InputError(f"data {path}", expected, ", ".join(found) or "nothing")


def _read_folder(path: Path, split: str) -> Dataset | None:
    """A part of a folder in the first of the known forms; None if there is none."""
    for read in (_read_idx_files, _read_cifar_files, _read_pictures):
        if (found := read(path, split)) is not None:
            images, labels = found
            made = Dataset.of(images, labels, name=path.resolve().name, source=str(path))
            return replace(made, split=split or "test")
    return None


def _read_idx_files(path: Path, split: str) -> tuple[NDArray, NDArray] | None:
    start = {"train": "train", "test": "t10k", "": ""}[split] if path.name != split else ""
    files = []
    for what in ("images", "labels"):
        named = sorted(file for file in path.glob(f"{start}*{what}*idx*") if file.is_file())
        if len(named) != 1:
            return None
        files.append(named[0])
    images = read_idx(files[0], 3)[:, None]
    return images, read_idx(files[1], 1)


def _read_cifar_files(path: Path, split: str) -> tuple[NDArray, NDArray] | None:
    pattern = {"train": "data_batch_*.bin", "test": "test_batch.bin", "": "*.bin"}[split]
    files = sorted(path.glob("*.bin" if path.name == split else pattern))
    if not files:
        return None
    images, labels = zip(*map(read_cifar, files), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _read_pictures(path: Path, split: str) -> tuple[NDArray, NDArray] | None:
    if split and path.name != split:
        return None
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir())
    files = [(place, file) for place, folder in enumerate(folders) for file in sorted(folder.iterdir())]
    files = [(place, file) for place, file in files if file.suffix.lower() in PICTURES]
    if not files:
        return None
    images = [_picture(file) for _, file in files]
    shapes = {image.shape: file for image, (_, file) in zip(images, files, strict=True)}
    if len(shapes) > 1:
        (first, _), (other, file) = list(shapes.items())[:2]
        raise InputError(f"picture {file}", f"{first} (channels, rows, columns), as the others", str(other))
    return np.stack(images), np.array([place for place, _ in files])


def _picture(file: Path) -> NDArray[np.uint8]:
    """(channels, rows, columns) bytes: one channel of a grey picture, else three."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            grey = picture.mode in ("1", "L", "I", "F", "I;16", "LA")
            pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"picture {file}", "a picture that can be read", f"'{error}'"[:100]) from error
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
