"""Image data sets: the embedded digits, MNIST, Fashion-MNIST and CIFAR-10.

Files are looked for in the folder named by XBARSIM_DATA, then in the cache, then downloaded and checked.
"""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pooch
from numpy.typing import NDArray

from xbarsim.data import Dataset
from xbarsim.data_files import read_cifar, read_idx
from xbarsim.errors import InputError, check_choice, check_int
from xbarsim.hints import checked

FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
CIFAR_CENTRE = 0.5
DIGITS = "datasets/data/digits.csv.gz"  # in scikit-learn's folder
SPLITS = ("train", "test")
DATASETS = ("digits", "mnist", "fashion-mnist", "cifar10")


@checked
def load_dataset(name: str, split: str = "train", *, limit: int | None = None) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : 'digits' (embedded), 'mnist', 'fashion-mnist', 'cifar10'
    split : 'train' or 'test'
    limit : keep the first so many images

    Raises
    ------
    InputError : an unknown name, a damaged file, no file and no network.
    """
    if limit is not None:
        check_int("number of images", limit, 1, 10**9)
    loaders: dict[str, Callable[[str], Dataset]] = {
        "digits": _digits,
        "mnist": lambda s: _idx("mnist", MNIST_URL, s),
        "fashion-mnist": lambda s: _idx("fashion-mnist", FASHION_URL, s),
        "cifar10": lambda s: _cifar(s, limit),
    }
    check_choice("data set", name, loaders)
    check_choice("split", split, SPLITS)
    data = loaders[name](split)
    data = data.first(limit)
    if len(data.images) == 0:
        raise InputError(f"data set {name}", "at least one image", "none")
    return data


def pixels_of(data: Dataset) -> NDArray[np.uint8]:
    """(N, H, W, C) bytes 0..255, as cameras and boards have them, of images scaled from bytes."""
    low, high = data.value_range
    scaled = np.rint((data.images.transpose(0, 2, 3, 1) - low) * (255 / (high - low)))
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _digits(split: str) -> Dataset:
    table = _table_of_digits()
    order = np.random.default_rng(0).permutation(len(table))
    chosen = table[order[:1297] if split == "train" else order[1297:]]
    return Dataset(
        name="digits",
        split=split,
        images=(chosen[:, :-1].reshape(-1, 1, 8, 8) / 16).astype(np.float32),
        labels=chosen[:, -1].astype(np.int64),
        value_range=(0.0, 1.0),
        source="scikit-learn",
    )


@cache
def _table_of_digits() -> NDArray[np.float64]:
    """(1797, 65) pixels in 0..16 and a label: from scikit-learn's file, since its import takes seconds."""
    spec = find_spec("sklearn")
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent
    if folder is None or not (folder / DIGITS).is_file():
        from sklearn.datasets import load_digits

        found = load_digits()
        return np.column_stack([found.data, found.target])
    with gzip.open(folder / DIGITS, "rt") as file:
        return np.loadtxt(file, delimiter=",")


MD5 = {
    "mnist/train-images": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "mnist/train-labels": "d53e105ee54ea40749a09fcbcd1e9432",
    "mnist/t10k-images": "9fb629c4189551a2d022fa330f9573f3",
    "mnist/t10k-labels": "ec29112dd5afa0611ce80d1b7f02629c",
    "fashion-mnist/train-images": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "fashion-mnist/train-labels": "25c81989df183df01b3e8a0aad5dffbe",
    "fashion-mnist/t10k-images": "bef4ecab320f06d8554ea6380940ec79",
    "fashion-mnist/t10k-labels": "bb300cfdad3c16e7a12a480ee83cd310",
}


def _idx(name: str, url: str, split: str) -> Dataset:
    part = "train" if split == "train" else "t10k"
    found = {}
    for what, dimensions in (("images", 3), ("labels", 1)):
        file = f"{part}-{what}-idx{dimensions}-ubyte"
        path = _find(f"{name}/{file}", f"{name}/{file}.gz")
        if path is None:
            path = _download(url + file + ".gz", MD5[f"{name}/{part}-{what}"], name)
        found[what] = path, read_idx(path, dimensions)
    images, labels = found["images"][1], found["labels"][1]
    again = "get the files again"
    if images.shape[1:] != (28, 28):
        raise InputError(
            f"data set {name}", "images of 28 x 28", " x ".join(map(str, images.shape[1:])), again
        )
    if len(images) != len(labels):
        raise InputError(f"data set {name}", f"{len(images)} labels", len(labels), again)
    if len(labels) and labels.max() > 9:
        raise InputError(f"data set {name}", "labels in 0..9", int(labels.max()), again)
    return Dataset(
        name=name,
        split=split,
        images=images[:, None].astype(np.float32) / np.float32(255),
        labels=labels.astype(np.int64),
        value_range=(0.0, 1.0),
        source=str(found["images"][0].parent),
    )


def _cifar(split: str, limit: int | None) -> Dataset:
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    paths = [p for n in names if (p := _find(f"cifar-10-batches-bin/{n}")) is not None]
    if not paths:
        members = [f"cifar-10-batches-bin/{n}" for n in names]
        paths = _download_tar(CIFAR_URL, CIFAR_MD5, members)
    parts = []
    for path in paths:  # as many as are asked for
        parts.append(read_cifar(path))
        if limit is not None and sum(len(labels) for _, labels in parts) >= limit:
            break
    images = np.concatenate([p[0] for p in parts])[:limit]
    return Dataset(
        name="cifar10",
        split=split,
        images=images.astype(np.float32) / np.float32(255) - np.float32(CIFAR_CENTRE),
        labels=np.concatenate([p[1] for p in parts])[:limit].astype(np.int64),
        value_range=(-CIFAR_CENTRE, 1 - CIFAR_CENTRE),
        source=f"{len(paths)} of {len(names)} files in {paths[0].parent}",
    )


def _find(*names: str) -> Path | None:
    named = os.environ.get("XBARSIM_DATA")
    if named and not os.path.isdir(named):
        raise InputError("XBARSIM_DATA", "a folder", repr(named), "correct it or unset it")
    roots = [Path(named)] if named else []
    for root in [*roots, _cache()]:
        for name in names:
            if os.path.isfile(root / name):
                return root / name
    return None


def _cache() -> Path:
    return Path(pooch.os_cache("xbarsim"))


def _download(url: str, md5: str, folder: str) -> Path:
    return Path(_retrieve(url, md5, folder, None))


def _download_tar(url: str, md5: str, members: list[str]) -> list[Path]:
    _retrieve(url, md5, "", pooch.Untar(members=members, extract_dir="."))
    return [_cache() / m for m in members]


def _retrieve(url: str, md5: str, folder: str, processor: pooch.Untar | None) -> str:
    pooch.get_logger().setLevel(logging.ERROR)
    try:
        return pooch.retrieve(
            url, f"md5:{md5}", fname=url.rsplit("/", 1)[1], path=_cache() / folder, processor=processor
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"download {url}",
            "the published file",
            type(error).__name__,
            "set XBARSIM_DATA to a folder that holds it, or use the digits",
        ) from error
