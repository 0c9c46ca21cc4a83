"""Checks of the arrays that users hand in."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.errors import InputError


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
    try:
        found = np.asarray(inputs)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists, tensors that only torch can read
        raise InputError("inputs", "an array of numbers", str(error)) from error
    if found.ndim == 0 or found.shape[1:] != shape:
        raise InputError("inputs", f"shape (N, {', '.join(map(str, shape))})", str(found.shape))
    if len(found) == 0:
        raise InputError("inputs", "at least one input", "none")
    if found.dtype.kind not in "fiub":
        raise InputError("inputs", "real numbers", str(found.dtype))
    if not np.isfinite(found).all():
        raise InputError("inputs", "finite numbers", "NaN or infinity")
    return found
