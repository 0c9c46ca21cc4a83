"""Convolutions of float32 by torch's own kernels: torch as a BLAS, and as nothing else.

Integers held in floats are multiplied and added without error while every partial sum stays below 2**24, in
whatever order a kernel adds up. That holds for direct convolutions and products; it would not for fast ones
(Winograd, FFT), nor for lower precision that a user may have allowed. So oneDNN is asked by name, which
convolves directly, and is tried out once.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xbarsim.kernels.launch import in_worker

EXACT_BELOW = 2**24
WORTH_AN_IMPORT = 2**30  # multiply-accumulates that pay for importing torch

Sizes = tuple[int, ...]


def convolves(macs: int) -> bool:
    """Whether `convolve` is at hand for that much work: torch is loaded, or worth loading, and exact."""
    return ("torch" in sys.modules or macs >= WORTH_AN_IMPORT) and _is_exact(_precision())


def convolve(
    x: NDArray[np.float32],
    weights: NDArray[np.float32],
    *,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> NDArray[np.float32]:
    """Convolve (N, C, H, W) with (M, C / groups, kernel height, width), zeros as padding: (N, M, H', W').

    Both sides of an axis are padded alike. Inputs whose channels lie side by side in memory are the fastest,
    and give outputs of that kind.
    """
    import torch

    if in_worker() and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
    with torch.no_grad():
        found = torch.mkldnn_convolution(
            torch.from_numpy(x), torch.from_numpy(weights), None, padding, stride, dilation, groups
        )
    return found.numpy()


def _precision() -> Any:
    """What a user lets torch's convolutions do; anything else than full precision is tried out anew."""
    import torch

    return getattr(torch.backends.mkldnn.conv, "fp32_precision", None)  # type: ignore[attr-defined]


@cache
def _is_exact(precision: Any) -> bool:
    """Whether the library convolves integers exactly: shapes that it has kernels of their own for."""
    import torch

    if not torch.backends.mkldnn.is_available():
        return False
    rng = np.random.default_rng(0)
    for channels, outputs, kernel, groups in ((16, 16, 3, 1), (64, 8, 1, 1), (24, 24, 3, 24), (3, 8, 5, 1)):
        x = rng.integers(0, 256, (2, channels, 12, 12)).astype(np.float32)
        w = rng.integers(-400, 400, (outputs, channels // groups, kernel, kernel)).astype(np.float32)
        options: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": groups}
        view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
        split = view.reshape(2, groups, channels // groups, *view.shape[2:]).astype(np.int64)
        own = w.reshape(groups, outputs // groups, channels // groups, kernel, kernel).astype(np.int64)
        wanted = np.einsum("ngcijab,gocab->ngoij", split, own).reshape(2, outputs, *view.shape[2:4])
        if not np.array_equal(convolve(x, w, **options), wanted):
            return False
    return True
