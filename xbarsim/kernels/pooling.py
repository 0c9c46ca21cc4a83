"""Windows that slide over (N, height, width, channels), every channel by itself, channels side by side.

Slow, obvious twins: `forward` of `MaxPool` and `AvgPool`, `exact_product` of a depthwise layer.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from xbarsim.kernels.launch import over_parts


def largest(x, out, kernel, stride, start, dilation):  # type: ignore[no-untyped-def]
    """Write the largest value of every window into out (N, positions down, across, C); see `total`."""
    _over_lines(_largest, (x, out, *kernel, *stride, *start, *dilation))


def total(x, out, kernel, stride, start, dilation, zero):  # type: ignore[no-untyped-def]
    """Write the sum of x - zero of every window into out, float64.

    Parameters
    ----------
    x : (N, H, W, C) float32 or float64, C-contiguous
    kernel, stride, dilation : (down, across)
    start : where the first window begins, negative in the padding; cells beyond the image are left out
    """
    _over_lines(_total, (x, out, *kernel, *stride, *start, *dilation, float(zero)))


def filtered(x, out, weights, kernel, stride, start, dilation, fill):  # type: ignore[no-untyped-def]
    """Write the sum of x * weights of every window into out, float64; see `total`.

    `weights` are (down, across, C) float64; cells beyond the image are `fill`.
    """
    _over_lines(_filtered, (x, out, weights, *kernel, *stride, *start, *dilation, float(fill)))


def strayed(x, out, places, weights, stride, fill):  # type: ignore[no-untyped-def]
    """Add single inputs times weights to single outputs: out[n, i, j, m] += w x[n, i s + a, j t + b, c].

    Parameters
    ----------
    x, out : as for `total`, changed in place
    places : (count, 4) int64: a, b, c and m of every weight; cells beyond the image are `fill`
    weights : (count,) float64
    """
    rows, columns, channels = places[:, 0], places[:, 1], places[:, 2]
    bounds = int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())
    within = (rows * x.shape[2] + columns) * x.shape[3] + channels  # from the cell that a window begins at
    places = np.column_stack([places, within])
    _over_lines(_strayed, (x, out, places, weights, bounds, *stride, float(fill)))


def _over_lines(kernel, given):  # type: ignore[no-untyped-def]
    """Run a kernel over the lines of all outputs (N, positions down, across, C), its second argument."""
    out = given[1]
    over_parts(lambda start, stop: kernel(*given, start, stop), out.shape[0] * out.shape[1], out.size)


@njit(cache=True, nogil=True, error_model="numpy")
def _largest_of(x, out, n, i, kh, kw, sh, sw, top, left, dh, dw):  # type: ignore[no-untyped-def]
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    for j in range(out.shape[2]):
        first = True
        for a in range(kh):
            row = i * sh + top + a * dh
            if row < 0 or row >= height:
                continue
            for b in range(kw):
                column = j * sw + left + b * dw
                if column < 0 or column >= width:
                    continue
                here, there = x[n, row, column], out[n, i, j]
                if first:
                    for c in range(channels):
                        there[c] = here[c]
                    first = False
                else:
                    for c in range(channels):
                        there[c] = here[c] if here[c] > there[c] else there[c]


@njit(cache=True, nogil=True)
def _largest(x, out, kh, kw, sh, sw, top, left, dh, dw, start, stop):  # type: ignore[no-untyped-def]
    for line in range(start, stop):
        _largest_of(x, out, line // out.shape[1], line % out.shape[1], kh, kw, sh, sw, top, left, dh, dw)
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def _total_of(x, out, n, i, kh, kw, sh, sw, top, left, dh, dw, zero):  # type: ignore[no-untyped-def]
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    for j in range(out.shape[2]):
        there = out[n, i, j]
        for c in range(channels):
            there[c] = 0.0
        for a in range(kh):
            row = i * sh + top + a * dh
            if row < 0 or row >= height:
                continue
            for b in range(kw):
                column = j * sw + left + b * dw
                if column < 0 or column >= width:
                    continue
                here = x[n, row, column]
                for c in range(channels):
                    there[c] += np.float64(here[c]) - zero


@njit(cache=True, nogil=True)
def _total(x, out, kh, kw, sh, sw, top, left, dh, dw, zero, start, stop):  # type: ignore[no-untyped-def]
    for line in range(start, stop):
        _total_of(x, out, line // out.shape[1], line % out.shape[1], kh, kw, sh, sw, top, left, dh, dw, zero)
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def _filtered_of(x, out, weights, n, i, kh, kw, sh, sw, top, left, dh, dw, fill):  # type: ignore[no-untyped-def]
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    for j in range(out.shape[2]):
        there = out[n, i, j]
        for c in range(channels):
            there[c] = 0.0
        for a in range(kh):
            row = i * sh + top + a * dh
            for b in range(kw):
                column, by = j * sw + left + b * dw, weights[a, b]
                if 0 <= row < height and 0 <= column < width:
                    here = x[n, row, column]
                    for c in range(channels):
                        there[c] += np.float64(here[c]) * by[c]
                elif fill != 0.0:
                    for c in range(channels):
                        there[c] += fill * by[c]


@njit(cache=True, nogil=True)
def _filtered(x, out, weights, kh, kw, sh, sw, top, left, dh, dw, fill, start, stop):  # type: ignore[no-untyped-def]
    for line in range(start, stop):
        n, i = line // out.shape[1], line % out.shape[1]
        _filtered_of(x, out, weights, n, i, kh, kw, sh, sw, top, left, dh, dw, fill)
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def _strayed_of(x, out, places, weights, bounds, n, i, sh, sw, fill):  # type: ignore[no-untyped-def]
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    top, bottom, left, right = bounds
    flat = x[n].reshape(-1)
    lines_inside = i * sh + top >= 0 and i * sh + bottom < height
    for j in range(out.shape[2]):
        there = out[n, i, j]
        if lines_inside and j * sw + left >= 0 and j * sw + right < width:
            first = (i * sh * width + j * sw) * channels
            for s in range(len(weights)):
                there[places[s, 3]] += np.float64(flat[first + places[s, 4]]) * weights[s]
        else:
            for s in range(len(weights)):
                row, column = i * sh + places[s, 0], j * sw + places[s, 1]
                inside = 0 <= row < height and 0 <= column < width
                here = np.float64(x[n, row, column, places[s, 2]]) if inside else fill
                there[places[s, 3]] += here * weights[s]


@njit(cache=True, nogil=True)
def _strayed(x, out, places, weights, bounds, sh, sw, fill, start, stop):  # type: ignore[no-untyped-def]
    for line in range(start, stop):
        n, i = line // out.shape[1], line % out.shape[1]
        _strayed_of(x, out, places, weights, bounds, n, i, sh, sw, fill)
    return 0
