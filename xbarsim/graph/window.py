"""Sliding windows over (N, C, H, W) integers: patches of convolutions, windows of pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Window:
    """A kernel that slides over an image; pairs are (height, width), as in PyTorch.

    `padding` is ((top, bottom), (left, right)). With `ceil_mode`, a last window that starts inside the
    (left-padded) image may hang over its end, as in PyTorch's pooling.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    ceil_mode: bool = False

    @property
    def reach(self) -> Pair:
        """Extent of the dilated kernel."""
        return (self.dilation[0] * (self.kernel[0] - 1) + 1, self.dilation[1] * (self.kernel[1] - 1) + 1)

    def positions(self, height: int, width: int) -> Pair:
        """How many windows fit, down and across."""
        return self.count(0, height), self.count(1, width)

    def pads(self, height: int, width: int) -> tuple[Pair, Pair]:
        """((top, bottom), (left, right)) cells to add, windows that hang over the end included."""
        (top, bottom), (left, right) = self.padding
        return (top, bottom + self._overhang(0, height)), (left, right + self._overhang(1, width))

    def windows(self, x: NDArray, fill: int) -> NDArray:
        """A view (N, C, positions down, positions across, kernel height, kernel width) ."""
        down, across = self.positions(*x.shape[2:])
        pads = self.pads(*x.shape[2:])
        if any(p != (0, 0) for p in pads):
            x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
        view = np.lib.stride_tricks.sliding_window_view(x, self.reach, axis=(2, 3))
        (sh, sw), (dh, dw) = self.stride, self.dilation
        return view[:, :, ::sh, ::sw, ::dh, ::dw][:, :, :down, :across]

    def count(self, axis: int, size: int) -> int:
        """How many windows fit along one axis (0 down, 1 across) of `size` cells."""
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


def patches(x: NDArray, window: Window, groups: int) -> NDArray:
    """Lay out convolution inputs as rows: (groups, N * P, K), K = C/groups * kernel height * kernel width."""
    n, channels = x.shape[:2]
    view = window.windows(x, 0)
    _, _, down, across, kh, kw = view.shape
    split = view.reshape(n, groups, channels // groups, down, across, kh, kw) if groups > 1 else view[:, None]
    rows = split.transpose(1, 0, 3, 4, 2, 5, 6)
    return np.ascontiguousarray(rows).reshape(groups, n * down * across, -1)
