"""Labelled inputs, and reading them from what people have: arrays, files, folders, torch data sets.

| source | what it is |
|---|---|
| `(images, labels)` | arrays, tensors, or what numpy makes arrays of |
| a torch `Dataset` or `DataLoader`, a list | pairs of an input and a label, or batches of them |
| `(train, test)` | two of the above |
| a mapping | `images` and `labels`; or `x_train`, `y_train`, `x_test`, `y_test`; or `test`, perhaps `train` |
| `file.npz` | arrays by the first two of these names |
| a folder | images (.png, .jpg, ...) in one folder a class; idx files; CIFAR-10's binary batches |

A folder may hold a training part: `train` and `test` folders, idx files `train-*` and `t10k-*`, batches
`data_batch_*` and `test_batch`. Pictures of a folder are of one class, whose number is the place of its name
among all of them, in both parts alike. Bytes become floats in 0..1; floats stay as they are. Pictures become
(channels, rows, columns).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.arrays import NUMBERS, REALS, as_array, check_array, check_labels
from xbarsim.data_files import PARTS, is_picture, pixels_of, read_folder
from xbarsim.digests import content_digest
from xbarsim.errors import InputError, check_int
from xbarsim.files import check_unpacked
from xbarsim.hints import check_fields, checked

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

    def __post_init__(self) -> None:
        check_fields(self)
        remedy = "make one of bytes with Dataset.of"
        images = check_array(f"{self.name}: images", self.images, ("N", "..."), kinds=REALS, remedy=remedy)
        labels = check_labels(self.labels, len(images), where=f"{self.name}: labels")
        if not self.value_range[0] <= self.value_range[1]:
            raise InputError(f"{self.name}: value_range", "the smallest, then the largest", self.value_range)
        object.__setattr__(self, "images", np.asarray(images, np.float32))
        object.__setattr__(self, "labels", labels)

    @classmethod
    def of(
        cls, images: ArrayLike, labels: ArrayLike, *, name: str = "data", source: str = "arrays"
    ) -> Dataset:
        """Check and convert (N, ...) images and (N,) classes; the range of the values is what they span.

        Raises
        ------
        InputError : no images, other shapes, labels that are no classes from 0 on, NaN or infinity.
        """
        x, y = _array(images, f"{name}: images"), _array(labels, f"{name}: labels")
        if x.ndim < 2 or x.size == 0 or x.dtype.kind not in NUMBERS:
            raise InputError(f"{name}: images", "(N, ...) real numbers, N above 0", f"{x.dtype} {x.shape}")
        y = check_labels(y, len(x), where=f"{name}: labels")
        if x.dtype == np.uint8:
            x, span = x.astype(np.float32) / np.float32(255), (0.0, 1.0)
        else:
            with np.errstate(over="ignore"):  # what does not fit is infinite, and refused
                x = x.astype(np.float32)
            if not np.isfinite(x).all():
                raise InputError(f"{name}: images", "finite numbers", "NaN or infinity")
            span = (float(x.min()), float(x.max()))
        return cls(images=x, labels=y, value_range=span, name=name, source=source)

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | None) -> Dataset:
        """Return the first so many images; all for None."""
        if count is None or check_int("number of images", count, 1, 10**9) >= len(self):
            return self
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


@checked
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
    if isinstance(source, Mapping):
        return _named(source, name, type(source).__qualname__)
    if isinstance(source, (tuple, list)) and len(source) == 2:
        if all(_is_labelled(part, 1) or not _is_array(part) for part in source):
            return Data(train=as_dataset(source[0], name="train"), test=as_dataset(source[1], name=name))
        if not all(_is_labelled(part, 0) for part in source):
            return Data(test=Dataset.of(*source, name=name))
    if isinstance(source, Iterable) or hasattr(source, "__getitem__"):
        return Data(test=_from_pairs(source, name))
    expected = "arrays (images, labels), a file, a folder, or pairs of an image and its label"
    raise InputError(name, expected, type(source).__qualname__)


def _named(found: Mapping[str, Any], name: str, source: str) -> Data:
    """Data of a mapping; see the table at the head of the module."""
    if "test" in found:
        train = found.get("train")
        part = None if train is None else replace(as_dataset(train, name="train"), split="train")
        return Data(test=as_dataset(found["test"], name=name), train=part)
    if {"images", "labels"} <= set(found):
        return Data(test=Dataset.of(found["images"], found["labels"], name=name, source=source))
    if set(ARCHIVE) <= set(found):
        train, test = (
            Dataset.of(found[f"x_{part}"], found[f"y_{part}"], name=name, source=source) for part in PARTS
        )
        return Data(train=replace(train, split="train"), test=test)
    expected = f"images and labels, or {', '.join(ARCHIVE)}"
    raise InputError(name, expected, ", ".join(map(str, found))[:100] or "nothing")


def _is_array(part: Any) -> bool:
    return isinstance(part, (np.ndarray, list, tuple)) or (
        hasattr(part, "__array__") and hasattr(part, "shape")
    )


def _is_labelled(part: Any, dimensions: int) -> bool:
    """Whether it is a pair of images, and labels of so many dimensions: 1 of a data set, 0 of one image."""
    return (
        isinstance(part, (tuple, list))
        and len(part) == 2
        and _dimensions(part[0]) > dimensions
        and _dimensions(part[1]) == dimensions
    )


def _dimensions(part: Any) -> int:
    if isinstance(part, (list, tuple)):
        return 1 + (_dimensions(part[0]) if part else 0)
    return 2 if is_picture(part) else int(getattr(part, "ndim", 0))


def _array(part: Any, where: str) -> NDArray:
    """The numbers of a tensor, a picture, a list."""
    return pixels_of(part) if is_picture(part) else as_array(where, part)


def _from_pairs(source: Any, name: str) -> Dataset:
    """Of a torch data set or loader, or anything else that gives pairs."""
    images: list[NDArray] = []
    labels: list[NDArray] = []
    try:
        for image, label in _pairs(source):
            image, label = _array(image, name), _array(label, name)
            images.append(image[None] if label.ndim == 0 else image)
            labels.append(np.atleast_1d(label))
        joined = np.concatenate(images), np.concatenate(labels)
    except InputError:
        raise
    except Exception as error:  # the source may be anybody's, and raise anything
        expected = "pairs of an image and its label, all of one shape"
        raise InputError(name, expected, f"{type(error).__name__}: {error}"[:120]) from error
    return Dataset.of(*joined, name=name, source=type(source).__qualname__)


def _pairs(source: Any) -> Iterator[Any]:
    """Its pairs; a torch data set that can be indexed knows its length, and not where to stop."""
    if hasattr(source, "__iter__"):
        return iter(source)
    return (source[place] for place in range(len(source)))


@checked
def read_data(path: str | Path) -> Data:
    """Read data from a file or folder, see the table at the head of the module.

    Raises
    ------
    InputError : nothing there, nothing that is known, damaged files.
    """
    where = Path(path)
    if where.suffix == ".npz" and os.path.isfile(where):
        return _read_archive(where)
    if not os.path.isdir(path):
        got = "another file" if os.path.exists(path) else "nothing there"
        raise InputError(f"data {path}", "a .npz file or a folder", got)
    found = {}
    for part, (images, labels, source) in read_folder(where).items():
        made = Dataset.of(images, labels, name=os.path.basename(os.path.realpath(where)), source=str(source))
        found[part] = replace(made, split=part)
    if "test" not in found:
        expected = "images in a folder a class, idx files, or CIFAR-10 batches, with a test part"
        raise InputError(f"data {path}", expected, "a training part alone" if found else "none of them")
    return Data(train=found.get("train"), test=found["test"])


def _read_archive(path: Path) -> Data:
    check_unpacked(path, f"data {path}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy and zipfile raise many kinds
        raise InputError(f"data {path}", "an .npz archive of arrays", f"'{error}'"[:100]) from error
    try:
        return _named(found, path.stem, str(path))
    except InputError as error:
        raise error.at(f"data {path}") from error
