"""Operators beside the arrays, slow and obvious: loops over positions."""

import itertools

import numpy as np


def spread(x, steps, padding, zero):
    """Zeros between the values of (N, C, *sizes), then around them; padding below 0 cuts off."""
    sizes = [(size - 1) * step + 1 for size, step in zip(x.shape[2:], steps, strict=True)]
    wide = np.full((*x.shape[:2], *sizes), zero, x.dtype)
    for place in np.ndindex(*x.shape[2:]):
        wide[(..., *(i * step for i, step in zip(place, steps, strict=True)))] = x[(..., *place)]
    for axis, ends in enumerate(padding, 2):
        wide = np.pad(
            wide,
            [(0, 0)] * axis + [tuple(max(e, 0) for e in ends)] + [(0, 0)] * (x.ndim - axis - 1),
            constant_values=zero,
        )
        cut = [max(-e, 0) for e in ends]
        wide = wide.take(range(cut[0], wide.shape[axis] - cut[1]), axis=axis)
    return wide


def window_sums(x, window, zero):
    """(N, C, *positions): the sums of x - zero over the windows, padding adding nothing."""
    sizes = x.shape[2:]
    found = np.zeros((*x.shape[:2], *window.positions(*sizes)), np.int64)
    for position in np.ndindex(*found.shape[2:]):
        for offset in itertools.product(*map(range, window.kernel)):
            cell = [
                p * s + o * d - low
                for p, s, o, d, (low, _) in zip(
                    position, window.stride, offset, window.dilation, window.padding, strict=True
                )
            ]
            if all(0 <= c < size for c, size in zip(cell, sizes, strict=True)):
                found[(..., *position)] += x[(..., *cell)] - zero
    return found
