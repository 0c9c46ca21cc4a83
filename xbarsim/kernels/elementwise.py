"""Between integers and floats, and tables: a pass over a tensor, integers held in float32.

Slow, obvious twins: `forward` of `Quantize`, `Dequantize` and `Table`, which define the same numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xbarsim.kernels.launch import over_parts
from xbarsim.kernels.rounding import Limits

Floats = NDArray[np.floating]


def quantize(x: Floats, scale: float, zero: int, limits: Limits) -> tuple[NDArray[np.float32], int]:
    """Round (n,) numbers to floor(x / scale + zero + 1/2), limited, NaN to zero; count what is beyond."""
    out = np.empty(len(x), np.float32)
    x, ends = np.ascontiguousarray(x), (float(scale), float(zero), *map(float, limits))
    return out, over_parts(lambda i, j: int(_quantize(x[i:j], *ends, out[i:j])), len(x), len(x))


def dequantize(
    x: Floats, scale: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Turn (n, channels) integers into (x + shift) * scale, by channel; `scale` and `shift` may have one."""
    x = np.ascontiguousarray(x)
    out = np.empty(x.shape, np.float32)
    scale, shift = (np.ascontiguousarray(np.broadcast_to(v, x.shape[1:]), np.float64) for v in (scale, shift))
    over_parts(lambda i, j: _dequantize(x[i:j], scale, shift, out[i:j]), len(x), x.size)
    return out


def look_up(x: Floats, table: NDArray[np.float32], low: int) -> NDArray[np.float32]:
    """Take table[x - low] for (n,) integers."""
    out = np.empty(len(x), np.float32)
    x = np.ascontiguousarray(x)
    over_parts(lambda i, j: _look_up(x[i:j], table, low, out[i:j]), len(x), len(x))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _quantize(x, scale, zero, low, high, below, above, out):  # type: ignore[no-untyped-def]
    outside = 0
    for i in range(len(out)):
        quotient = np.float64(x[i]) / scale
        outside += int(quotient + zero < below) + int(quotient + zero > above)
        found = np.floor(quotient + (zero + 0.5))
        limited = min(max(found, low), high)
        out[i] = np.float32(limited if found == found else zero)
    return outside


@njit(cache=True, nogil=True, error_model="numpy")
def _dequantize(x, scale, shift, out):  # type: ignore[no-untyped-def]
    rows, channels = x.shape
    for i in range(rows):
        for c in range(channels):
            out[i, c] = np.float32((np.float64(x[i, c]) + shift[c]) * scale[c])
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def _look_up(x, table, low, out):  # type: ignore[no-untyped-def]
    for i in range(len(out)):
        out[i] = table[np.int64(x[i]) - low]
    return 0
