"""What is said when numbers do not fit a network's integers: they saturate, or round to zero.

A network's scales hold what its calibration images caused. Few values beyond them are usual: of the zoo's
networks no input saturates, and at most 0.03 % of a layer's activations do. Far more are a mistake: images of
another scale, or calibration images that are not like them, or too few: with 4 a ResNet-18 had 55.7 dB of
signal to noise on them and 20.6 dB on others, with 32 it had 56.9 dB.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError
from xbarsim.graph.grid import Grid
from xbarsim.graph.nodes import IntArray, Node, integer_range

MOST_SATURATED = 0.001
FEWEST_SATURATED = 8  # of activations: a single value of one image says nothing
MOST_VANISHED = 0.9
FEWEST_CALIBRATED = 32


class SaturationWarning(UserWarning):
    """A share of the values at a node of a network lies outside its range, and saturates."""


class RoundingWarning(UserWarning):
    """Most weights of a layer are rounded to zero."""


class CalibrationWarning(UserWarning):
    """Ranges come from few inputs, and may not hold the values of others."""


def warn_of_few(inputs: int) -> None:
    """Say when ranges come from so few inputs that others may well lie outside."""
    if inputs < FEWEST_CALIBRATED:
        given = "1 input" if inputs == 1 else f"{inputs} inputs"
        text = f"calibrated on {given}: the ranges may not hold others; hand in {FEWEST_CALIBRATED} or more"
        warnings.warn(text, CalibrationWarning, stacklevel=4)


def check_range(where: str, values: NDArray, low: float, high: float) -> None:
    """Say when many inputs of a network saturate.

    Parameters
    ----------
    where : the node
    values : finite numbers of any shape
    low, high : smallest and largest number that saturates by no more than a rounding

    Raises
    ------
    InputError : integers outside the range: bytes, for a network that was calibrated on floats.
    """
    outside = int(np.count_nonzero(values < low) + np.count_nonzero(values > high))
    if not outside:
        return
    if values.dtype.kind in "iu":
        expected = f"integers in {low:g}..{high:g}, the range that the network was calibrated for"
        got = f"{values.min()}..{values.max()}"
        raise InputError(where, expected, got, "divide bytes by 255, or scale them as in the training")
    remedy = "scale the inputs as those that the network was calibrated on"
    _warn_of_saturation(where, outside, values.size, low, high, remedy)


def tell_saturated(grids: Mapping[str, Grid | None], node: Node, outside: int, size: int) -> None:
    """Say when many activations saturate, where a node brings values to few bits.

    Parameters
    ----------
    grids : what the nodes' integers stand for, by name: the range is told in the network's own numbers
    outside, size : how many values saturate by more than a rounding, and how many there are
    """
    if outside >= FEWEST_SATURATED:
        ends = integer_range(node.bits, node.signed)  # type: ignore[attr-defined]
        grid = grids[node.name]
        low, high = ends if grid is None else grid.to_numbers(np.array(ends))
        remedy = "calibrate on inputs that are like these"
        _warn_of_saturation(f"node {node.name!r}", outside, size, low, high, remedy)


def warn_of_vanished(where: str, weights: NDArray, rounded: IntArray) -> None:
    """Say when most weights of a layer are rounded to zero, those that were zero before left out."""
    there = np.count_nonzero(weights)
    lost = there - np.count_nonzero(rounded)
    if lost > MOST_VANISHED * there:
        share, largest = 100 * lost / there, float(np.abs(weights).max())
        text = f"{where}: {share:.3g} % of the weights are rounded to zero beside the largest, {largest:g}"
        warnings.warn(f"{text}; clip the weights, or take more weight bits", RoundingWarning, stacklevel=3)


def _warn_of_saturation(where: str, outside: int, size: int, low: float, high: float, remedy: str) -> None:
    if outside > MOST_SATURATED * size:
        share = f"{100 * outside / size:.3g} % of the values"
        text = f"{where}: {share} lie outside {low:g}..{high:g} and saturate; {remedy}"
        warnings.warn(text, SaturationWarning, stacklevel=4)
