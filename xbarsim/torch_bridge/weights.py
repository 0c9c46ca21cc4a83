"""The weights of a product as integers: one scale for all, a power of two, or one for every output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError
from xbarsim.graph.grid import FloatArray, Grid, IntArray
from xbarsim.graph.saturation import warn_of_vanished
from xbarsim.graph.scales import finest_fraction
from xbarsim.torch_bridge.products import Weighted

LARGEST_BIAS = 2**52
LARGEST_FREE_BIAS = 2**40
FEW_BITS = 8  # with fewer, the largest weights are cut off where the others gain by it
CUTS = np.linspace(1.0, 0.4, 31)


@dataclass(frozen=True, eq=False)
class Weights:
    """(groups, K, M) integers, (groups * M,) bias, and what their steps are worth; see `MatMul`."""

    integers: IntArray
    bias: IntArray
    fraction: int
    channel_scales: FloatArray | None

    def same_as(self, other: Weights) -> bool:
        """Whether an array that holds one holds the other: the bias is not in it."""
        scales = [np.ones(1) if w.channel_scales is None else w.channel_scales for w in (self, other)]
        same = np.array_equal(scales[0], scales[1]) and self.fraction == other.fraction
        return same and np.array_equal(self.integers, other.integers)


def quantize_weights(
    where: str, weighted: Weighted, source: Grid, *, bits: int, symmetric: bool, fixed_point: bool
) -> Weights:
    """Round a product's weights and bias.

    Parameters
    ----------
    where : how it is called in messages
    source : what a step of its inputs is worth
    symmetric : keep the weights within +-(2**(bits - 1) - 1)
    fixed_point : one power of two for all weights; otherwise a scale for every output, symmetric

    Raises
    ------
    InputError : a bias far above weights times inputs, weights that no scale fits.
    """
    weight, groups = weighted.weight, weighted.groups
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1).transpose(0, 2, 1)
    top = 2 ** (bits - 1) - 1
    low = -top if symmetric else -top - 1
    if fixed_point:
        try:
            fraction = finest_fraction(float(matrix.min()), float(matrix.max()), bits, True)
        except InputError as error:
            raise InputError(where, error.expected, error.got, error.remedy) from error
        scales, step = None, np.full(weight.shape[0], 2.0**-fraction)
    else:
        fraction = 0
        scales = step = _channel_scales(matrix, weighted.bias, source, top, bits)
    by_output = step.reshape(groups, 1, -1)
    integers = np.clip(np.floor(matrix / by_output + 0.5), low, top).astype(np.int64)
    warn_of_vanished(where, matrix, integers)
    rounded = np.floor(weighted.bias / (step * source.scale) + 0.5)
    if np.abs(rounded).max(initial=0) > LARGEST_BIAS:
        raise InputError(
            where,
            "a bias that is not far above weights times inputs",
            f"{np.abs(rounded).max():.3g} steps",
            "scale the network or the images",
        )
    return Weights(np.ascontiguousarray(integers), rounded.astype(np.int64), fraction, scales)


def _channel_scales(
    matrix: NDArray[np.float64], bias: NDArray[np.float64], source: Grid, top: int, bits: int
) -> NDArray[np.float64]:
    """A step for every output: its largest weight is `top` steps, its bias at most 2**40 of the sums'.

    With few bits the largest weights are cut off where that makes the squared error of all of them least.
    """
    found = np.abs(matrix).max(axis=1, initial=0) / top
    if bits < FEW_BITS:
        found = found * _least_error_cuts(matrix, found, top)
    least = np.abs(bias) / (LARGEST_FREE_BIAS * np.asarray(source.scale))
    found = np.maximum(found.reshape(-1), least)
    tiny = found < np.finfo(np.float64).tiny * 2**60
    return np.where(tiny, max(float(found.max(initial=0.0)), 1.0 / top) if tiny.all() else found.max(), found)


def _least_error_cuts(
    matrix: NDArray[np.float64], steps: NDArray[np.float64], top: int
) -> NDArray[np.float64]:
    """(groups, M): which of `CUTS` of its step gives an output of (groups, K, M) the least squared error."""
    scaled = matrix / np.where(steps > 0, steps, 1.0)[:, None]
    errors = []
    for cut in CUTS:
        rounded = np.clip(np.floor(scaled / cut + 0.5), -top, top)
        errors.append(np.square(rounded * cut - scaled).sum(axis=1))
    return CUTS[np.argmin(errors, axis=0)]
