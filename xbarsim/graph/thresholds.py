"""Activations by thresholds: a quantized network's batch norm and quantizer as comparisons of integers.

A quantizer turns a real number y into low + step * (how many of its decision points y has passed). After
batch norm y is a monotone function of the integer accumulator, so each decision point becomes one integer
threshold a channel, found exactly: numbers are fractions, and the root of the variance is never rounded.

Source: FINN (Umuroglu et al., FPGA 2017), section 4.2.2; Streamlined Deployment (Umuroglu and Jahre, 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xbarsim.errors import InputError, check_int
from xbarsim.graph.grid import Grid
from xbarsim.graph.nodes import IntArray, Node

ALWAYS, NEVER = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)


@dataclass(frozen=True, kw_only=True, eq=False)
class Threshold(Node):
    """low + step * number of thresholds that the accumulator exceeds (T < accumulator, strictly).

    Parameters
    ----------
    thresholds : (channels, n) int64, ascending in every channel; repeats are allowed
    low, step : the activation below all thresholds, and what each one adds
    fraction : binary places of the activation

    Raises
    ------
    InputError : thresholds of another shape or type, or out of order; a step below 1.

    >>> node = Threshold(name="sign", thresholds=np.array([[-1], [4]]), low=-1, step=2)
    >>> node.forward(np.array([[0, 4], [-1, 5]])).tolist()
    [[1, -1], [-1, 1]]
    """

    thresholds: IntArray
    low: int = 0
    step: int = 1
    fraction: int = 0

    def __post_init__(self) -> None:
        where, found = f"node {self.name!r}", self.thresholds
        if not isinstance(found, np.ndarray) or found.dtype != np.int64 or found.ndim != 2 or not found.size:
            got = f"{getattr(found, 'dtype', type(found).__name__)} {np.shape(found)}"
            raise InputError(where, "thresholds (channels, n) of int64", got)
        if (found[:, 1:] < found[:, :-1]).any():
            raise InputError(where, "thresholds in ascending order in every channel", "a step down")
        check_int(f"{where}: low", self.low, -(2**31), 2**31)
        check_int(f"{where}: step", self.step, 1, 2**31)
        check_int(f"{where}: fraction", self.fraction, -64, 64)

    @property
    def top(self) -> int:
        """The largest activation."""
        return self.low + self.step * int(self.thresholds.shape[1])

    def grid(self, sources: Sequence[Grid | None]) -> Grid | None:
        """Its own: thresholds are in the accumulator's steps, activations are not."""
        return Grid(scale=2.0**-self.fraction)

    def forward(self, *values: IntArray) -> IntArray:
        """(N, channels) or (N, channels, height, width) integers to activations of that shape."""
        x = values[0]
        if x.ndim not in (2, 4) or x.shape[1] != len(self.thresholds):
            expected = f"(N, {len(self.thresholds)}) or (N, {len(self.thresholds)}, height, width)"
            raise InputError(f"node {self.name!r}", expected, str(x.shape), "one row of thresholds a channel")
        out = np.empty(x.shape, np.int64)
        for channel, own in enumerate(self.thresholds):
            # how many come before x when x is put in front of its equals: those that are strictly less
            out[:, channel] = np.searchsorted(own, x[:, channel], side="left")
        return self.low + self.step * out


def batch_norm_thresholds(
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    eps: float,
    cuts: ArrayLike,
    scale: ArrayLike,
    *,
    inclusive: bool | Sequence[bool] = True,
) -> tuple[IntArray, IntArray]:
    """Fold batch norm and the quantizer behind it into thresholds on the integer accumulator.

    y = gamma (scale * accumulator - mean) / sqrt(var + eps) + beta passes a cut if y >= cut (y > cut where
    not `inclusive`); the accumulator passes it if and only if T < sign * accumulator.

    Parameters
    ----------
    gamma, beta, mean, var : (channels,) of the batch norm, or single numbers
    cuts : (n,) or (channels, n) decision points of the quantizer, ascending
    scale : (channels,) or one number above 0: what one step of the accumulator is worth
    inclusive : whether y = cut passes, for all cuts or for each of the n

    All are taken exactly as given: floats, integers or fractions.

    Returns
    -------
    thresholds : (channels, n) int64, ascending; the ends of int64 where a cut is always or never passed, as
        in every channel with gamma = 0
    sign : (channels,) int64 of 1 and -1: the weights and the bias of channels with -1 (negative gamma) must
        be negated, since only then is more above more thresholds

    Raises
    ------
    InputError : arrays that do not fit together, numbers that are not finite, var + eps or scale not above
        0, cuts out of order.

    >>> batch_norm_thresholds([1.0, -2.0], [0.5, 0.0], [3.0, 3.0], [1.0, 4.0], 0.0, [0.0], 0.5)
    (array([[ 4],
           [-7]]), array([ 1, -1]))
    """
    channels = max(np.size(part) for part in (gamma, beta, mean, var, scale))
    channels = max(channels, np.shape(cuts)[0] if np.ndim(cuts) == 2 else 1)
    g, b, m, v, s = (
        _exact(name, part, (channels,))
        for name, part in (("gamma", gamma), ("beta", beta), ("mean", mean), ("var", var), ("scale", scale))
    )
    points = _exact("cuts", cuts, (channels, np.shape(cuts)[-1] if np.ndim(cuts) else 1))
    variance = v + Fraction(eps)
    _check(variance, s, points)
    passes_at = np.broadcast_to(np.asarray(inclusive, bool), points.shape[1:])
    thresholds = np.empty(points.shape, np.int64)
    for (row, place), cut in np.ndenumerate(points):
        if g[row] == 0:
            passes = b[row] >= cut if passes_at[place] else b[row] > cut
            thresholds[row, place] = ALWAYS if passes else NEVER
            continue
        sign = 1 if g[row] > 0 else -1
        distance = (cut - b[row]) / (sign * g[row] * s[row])
        first = _first_integer(sign * m[row] / s[row], distance, variance[row], bool(passes_at[place]))
        thresholds[row, place] = min(max(first - 1, ALWAYS), NEVER)
    thresholds.sort(axis=1)  # equal cuts of which one is inclusive
    return thresholds, np.where(g < 0, -1, 1).astype(np.int64)


def _first_integer(start: Fraction, distance: Fraction, variance: Fraction, inclusive: bool) -> int:
    """The smallest integer a with a >= start + distance * sqrt(variance), or > where not inclusive.

    With square = distance**2 * variance = n / d and start = p / q this reads
    a * q * d - p * d >= +-sqrt(n * d * q**2), whose left side is an integer: the root may be rounded to one.
    """
    square = distance * distance * variance
    p, q, d = start.numerator, start.denominator, square.denominator
    radicand = square.numerator * d * q * q
    floor = isqrt(radicand)
    ceiling = floor if floor * floor == radicand else floor + 1
    if distance < 0:
        floor, ceiling = -ceiling, -floor
    least = ceiling if inclusive else floor + 1
    return -((-(least + p * d)) // (q * d))


def _exact(name: str, part: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.object_]:
    """An array of fractions, broadcast to `shape`."""
    found = np.asarray(part)
    try:
        if found.dtype == object:
            fractions = [Fraction(value) for value in found.flat]
        else:
            fractions = [Fraction(value) for value in found.ravel().tolist()]
        exact = np.empty(found.size, object)
        exact[:] = fractions
        return np.broadcast_to(exact.reshape(found.shape), shape)
    except (ValueError, TypeError, OverflowError) as error:
        expected = f"finite numbers of a shape that fits {shape}"
        raise InputError(f"batch norm: {name}", expected, f"{found.dtype} {found.shape}: {error}") from error


def _check(variance: NDArray, scale: NDArray, cuts: NDArray) -> None:
    if (variance <= 0).any():
        raise InputError("batch norm: var + eps", "numbers above 0", float(variance.min()))
    if (scale <= 0).any():
        raise InputError("batch norm: scale", "numbers above 0", float(scale.min()), "negate the weights")
    if (cuts[:, 1:] < cuts[:, :-1]).any():
        raise InputError("batch norm: cuts", "decision points in ascending order", "a step down")
