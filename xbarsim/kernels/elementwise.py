"""Between integers and floats, and tables: a pass over a tensor, integers held in float32.

Slow, obvious twins: `forward` of `Quantize`, `Dequantize` and `Table`, which define the same numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from xbarsim.kernels.launch import launched
from xbarsim.kernels.rounding import VALUES, Limits

Floats = NDArray[np.floating]


def quantize(x: Floats, scale: float, zero: int, limits: Limits) -> tuple[NDArray[np.float32], int]:
    """Round (n,) numbers to floor(x / scale + zero + 1/2), limited, NaN to zero; count what is beyond."""
    out = np.empty(len(x), np.float32)
    given = (np.ascontiguousarray(x), float(scale), float(zero), *map(float, limits), out)
    return out, int(launched(_quantize, _quantize_alone, given))


def dequantize(
    x: Floats, scale: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Turn (n, channels) integers into (x + shift) * scale, by channel; `scale` and `shift` may have one."""
    x = np.ascontiguousarray(x)
    out = np.empty(x.shape, np.float32)
    scale, shift = (np.ascontiguousarray(np.broadcast_to(v, x.shape[1:]), np.float64) for v in (scale, shift))
    launched(_dequantize, _dequantize_alone, (x, scale, shift, out))
    return out


def look_up(x: Floats, table: NDArray[np.float32], low: int) -> NDArray[np.float32]:
    """Take table[x - low] for (n,) integers."""
    out = np.empty(len(x), np.float32)
    launched(_look_up, _look_up_alone, (np.ascontiguousarray(x), table, low, out))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _quantized(x, scale, zero, low, high, below, above, out):  # type: ignore[no-untyped-def]
    outside = 0
    for i in range(len(out)):
        quotient = np.float64(x[i]) / scale
        outside += int(quotient + zero < below) + int(quotient + zero > above)
        found = np.floor(quotient + (zero + 0.5))
        limited = min(max(found, low), high)
        out[i] = np.float32(limited if found == found else zero)
    return outside


@njit(cache=True, nogil=True)
def _quantize_alone(x, scale, zero, low, high, below, above, out):  # type: ignore[no-untyped-def]
    return _quantized(x, scale, zero, low, high, below, above, out)


@njit(cache=True, parallel=True)
def _quantize(x, scale, zero, low, high, below, above, out):  # type: ignore[no-untyped-def]
    outside = 0
    for block in prange((len(out) + VALUES - 1) // VALUES):
        start, stop = block * VALUES, (block + 1) * VALUES
        outside += _quantized(x[start:stop], scale, zero, low, high, below, above, out[start:stop])
    return outside


@njit(cache=True, nogil=True, error_model="numpy")
def _dequantize_alone(x, scale, shift, out):  # type: ignore[no-untyped-def]
    rows, channels = x.shape
    for i in range(rows):
        for c in range(channels):
            out[i, c] = np.float32((np.float64(x[i, c]) + shift[c]) * scale[c])


@njit(cache=True, parallel=True)
def _dequantize(x, scale, shift, out):  # type: ignore[no-untyped-def]
    rows = max(1, VALUES // max(1, x.shape[1]))
    for block in prange((len(x) + rows - 1) // rows):
        start, stop = block * rows, (block + 1) * rows
        _dequantize_alone(x[start:stop], scale, shift, out[start:stop])


@njit(cache=True, nogil=True, error_model="numpy")
def _look_up_alone(x, table, low, out):  # type: ignore[no-untyped-def]
    for i in range(len(out)):
        out[i] = table[np.int64(x[i]) - low]


@njit(cache=True, parallel=True)
def _look_up(x, table, low, out):  # type: ignore[no-untyped-def]
    for block in prange((len(out) + VALUES - 1) // VALUES):
        start, stop = block * VALUES, (block + 1) * VALUES
        _look_up_alone(x[start:stop], table, low, out[start:stop])
