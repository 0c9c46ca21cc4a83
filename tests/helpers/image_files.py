"""Files of images in the published forms, for tests of what reads them."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image


def idx_bytes(array):
    """An idx file of unsigned bytes."""
    array = np.asarray(array, np.uint8)
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def cifar_bytes(images, labels):
    """A CIFAR-10 batch of (N, 3, 32, 32) bytes."""
    flat = np.asarray(images, np.uint8).reshape(len(images), -1)
    return np.concatenate([np.asarray(labels, np.uint8)[:, None], flat], axis=1).tobytes()


def write_pictures(folder: Path, classes, *, suffix=".png"):
    """A folder a class, with (channels, rows, columns) bytes as pictures."""
    for name, pictures in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for place, pixels in enumerate(pictures):
            pixels = np.asarray(pixels, np.uint8)
            shown = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
            Image.fromarray(shown).save(folder / name / f"{place}{suffix}")
    return folder
