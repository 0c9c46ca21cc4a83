"""Checks of the arrays that users hand in: once, where they come in; loops and kernels take them as they are.

What numpy makes an array of, lists, tensors and tables of others among them, is welcome. Refused is what
would become other numbers without a word: masked values, text, truth values as numbers, objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.errors import InputError

NUMBERS, INTEGERS, REALS = "fiu", "iu", "f"
_IN_WORDS = {NUMBERS: "real numbers", INTEGERS: "integers", REALS: "floating-point numbers"}
MOST_CLASSES = 10**6


def as_array(where: str, values: Any) -> NDArray:
    """Return what somebody calls an array as one, its type as it is; gradients of tensors are left behind.

    Raises
    ------
    InputError : no array, ragged lists, masked values, tensors without values.

    >>> as_array("images", [[1, 2], [3]])
    Traceback (most recent call last):
    ...
    xbarsim.errors.InputError: images: expected an array of numbers, got lists of different lengths
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError(where, "an array of numbers", "masked values", "fill or leave them out")
    try:
        found = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except Exception as error:  # the array may be anybody's, and raise anything
        got = "lists of different lengths" if "inhomogeneous" in str(error) else f"'{error}'"[:100]
        raise InputError(where, "an array of numbers", got) from error
    if found.dtype.byteorder not in "=|":
        found = found.astype(found.dtype.newbyteorder("="))
    return found


def writable(values: NDArray) -> NDArray:
    """Return an array that may be written to, in C order: itself, or a copy of one that may not."""
    return np.require(values, requirements=("C", "W"))


def check_array(
    where: str,
    values: ArrayLike,
    shape: tuple[int | str, ...],
    *,
    kinds: str = NUMBERS,
    low: float | None = None,
    high: float | None = None,
    remedy: str = "",
) -> NDArray:
    """Return an array of this shape whose numbers are of a kind, finite and in range; its type as it is.

    Parameters
    ----------
    where : what it is called in messages
    shape : sizes, or a letter for one that may be any above 0; "..." at its end stands for more axes
    kinds : NUMBERS, INTEGERS or REALS
    low, high : smallest and largest number allowed

    Raises
    ------
    InputError : see above.

    >>> check_array("shares", [0.5, 1.5], ("chips",), low=0, high=1)
    Traceback (most recent call last):
    ...
    xbarsim.errors.InputError: shares: expected numbers in 0..1, got 1.5
    """
    found = as_array(where, values)
    if found.ndim and not found.size and any(isinstance(size, str) for size in shape):
        raise InputError(where, "at least one number", "none", remedy)
    if found.dtype.kind not in kinds:
        raise InputError(where, _IN_WORDS[kinds], _kind_of(values, found), remedy)
    if not _fits(found.shape, shape):
        raise InputError(where, f"shape {_written(shape)}", str(found.shape), remedy)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise InputError(where, "finite numbers", "NaN or infinity", remedy)
    outside = low is not None and (number := found.min()) < low
    if outside or (high is not None and (number := found.max()) > high):
        raise InputError(where, f"numbers in {_range(low, high)}", f"{number:g}", remedy)
    return found


def check_inputs(inputs: ArrayLike, shape: tuple[int, ...]) -> NDArray:
    """Return a network's inputs as an array of shape (N, *shape), their type as it is.

    Raises
    ------
    InputError : no array, another shape, no input at all, no real numbers, NaN or infinite ones.

    >>> check_inputs([[1.0, 2.0]], (3,))
    Traceback (most recent call last):
    ...
    xbarsim.errors.InputError: inputs: expected shape (N, 3), got (1, 2)
    """
    found = as_array("inputs", inputs)
    if found.ndim and not len(found):
        raise InputError("inputs", "at least one input", "none")
    return check_array("inputs", inputs, ("N", *shape))


def check_calibration(images: ArrayLike) -> NDArray:
    """Return the inputs (N, ...) that fix a module's scales, their type as it is.

    Raises
    ------
    InputError : another shape, none at all, no finite floats.
    """
    where, remedy = "calibration images", "hand in floats, as the module takes them: bytes divided by 255"
    found = check_array(where, images, ("N", "..."), kinds=REALS, remedy=remedy)
    if found.ndim < 2:
        raise InputError(where, "shape (N, ...)", str(found.shape))
    return found


def check_labels(
    labels: ArrayLike, count: int, *, classes: int = MOST_CLASSES, where: str = "labels"
) -> NDArray[np.int64]:
    """Return the classes of so many images, (count,) int64.

    Parameters
    ----------
    classes : how many there are; labels are 0..classes - 1

    Raises
    ------
    InputError : another shape, no integers, a class that there is not.

    >>> check_labels([[3], [4]], 2)
    Traceback (most recent call last):
    ...
    xbarsim.errors.InputError: labels: expected shape (2,), got (2, 1); one class an image, as integers from 0
    """
    remedy = "one class an image, as integers from 0"
    found = check_array(where, labels, (count,), kinds=INTEGERS, low=0, high=classes - 1, remedy=remedy)
    return found.astype(np.int64)


def check_scores(where: str, scores: ArrayLike) -> NDArray[np.float64]:
    """Return one finite number a chip, (chips,) float64; at least one chip.

    >>> check_scores("first", [[0.9, 0.8]])
    Traceback (most recent call last):
    ...
    xbarsim.errors.InputError: first: expected shape (chips,), got (1, 2); one number a chip
    """
    return check_array(where, scores, ("chips",), remedy="one number a chip").astype(np.float64)


def _fits(shape: tuple[int, ...], wanted: tuple[int | str, ...]) -> bool:
    if wanted and wanted[-1] == "...":
        shape, wanted = shape[: len(wanted) - 1], wanted[:-1]
    same = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(n > 0 if isinstance(m, str) else n == m for n, m in same)


def _written(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _kind_of(values: Any, found: NDArray) -> str:
    """The type of an array, or the class of what is none."""
    return type(values).__name__ if found.ndim == 0 else str(found.dtype)


def _range(low: float | None, high: float | None) -> str:
    return f"{'' if low is None else format(low, 'g')}..{'' if high is None else format(high, 'g')}"
