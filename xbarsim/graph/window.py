"""Sliding windows over (N, C, *sizes) integers: patches of convolutions, windows of pooling."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError

Pair = tuple[int, int]
Sizes = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Window:
    """A kernel that slides over one to three axes, (height, width) of an image for two, as in PyTorch.

    `padding` is (before, after) an axis. With `ceil_mode`, a last window that starts inside the
    (left-padded) image may hang over its end, as in PyTorch's pooling.
    """

    kernel: Sizes
    stride: Sizes = (1, 1)
    padding: tuple[Pair, ...] = ((0, 0), (0, 0))
    dilation: Sizes = (1, 1)
    ceil_mode: bool = False

    @property
    def reach(self) -> Sizes:
        """Extent of the dilated kernel."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))

    def positions(self, *sizes: int) -> Sizes:
        """How many windows fit along every axis."""
        return tuple(self.count(axis, size) for axis, size in enumerate(sizes))

    def pads(self, *sizes: int) -> tuple[Pair, ...]:
        """(before, after) every axis: cells to add, windows that hang over the end included."""
        return tuple(
            (self.padding[axis][0], self.padding[axis][1] + self._overhang(axis, size))
            for axis, size in enumerate(sizes)
        )

    def windows(self, x: NDArray, fill: int) -> NDArray:
        """A view (N, C, *positions, *kernel) of (N, C, *sizes)."""
        sizes = x.shape[2:]
        positions, pads = self.positions(*sizes), self.pads(*sizes)
        if any(p != (0, 0) for p in pads):
            x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
        axes = tuple(range(2, 2 + len(sizes)))
        view = np.lib.stride_tricks.sliding_window_view(x, self.reach, axis=axes)  # type: ignore[call-overload]
        steps = [slice(None, None, step) for step in (*self.stride, *self.dilation)]
        return view[(slice(None), slice(None), *steps)][(slice(None), slice(None), *map(slice, positions))]

    def count(self, axis: int, size: int) -> int:
        """How many windows fit along one axis (of an image 0 down, 1 across) of `size` cells."""
        free = size + sum(self.padding[axis]) - self.reach[axis]
        if free < 0:
            raise InputError("window", f"an input of at least {self.reach[axis]}", size)
        if not self.ceil_mode:
            return free // self.stride[axis] + 1
        count = -(-free // self.stride[axis]) + 1
        last_start = (count - 1) * self.stride[axis]
        return count - 1 if last_start >= size + self.padding[axis][0] else count

    def _overhang(self, axis: int, size: int) -> int:
        end = (self.count(axis, size) - 1) * self.stride[axis] + self.reach[axis]
        return max(0, end - size - sum(self.padding[axis]))


def patches(x: NDArray, window: Window, groups: int, fill: int = 0) -> NDArray:
    """Lay out convolution inputs as rows: (groups, N * P, K), K = C/groups * kernel cells."""
    n, channels = x.shape[:2]
    view = window.windows(x, fill)
    axes = len(window.kernel)
    positions, kernel = view.shape[2 : 2 + axes], view.shape[2 + axes :]
    split = view.reshape(n, groups, channels // groups, *positions, *kernel) if groups > 1 else view[:, None]
    where = range(3, 3 + axes)
    rows = split.transpose(1, 0, *where, 2, *range(3 + axes, 3 + 2 * axes))
    return np.ascontiguousarray(rows).reshape(groups, n * prod(positions), -1)
