"""A spiking network as plain data: what a spiking chip is programmed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xbarsim.arrays import as_array, check_array
from xbarsim.errors import InputError
from xbarsim.faults.neurons import SpikingGeometry
from xbarsim.hints import check_fields

FloatArray = NDArray[np.float64]
LARGEST = 1e9  # of weights, gains and offsets


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingNetwork:
    """Layers of leaky integrate-and-fire neurons.

    Parameters
    ----------
    geometry : layers, steps, leak, threshold
    weights : (n, m) of every layer
    gain, offset : (m,) of every layer's neurons; 1 and 0 if not given

    Raises
    ------
    InputError : arrays of another shape, or numbers that are not finite.
    """

    geometry: SpikingGeometry
    weights: Sequence[NDArray]
    gain: Sequence[NDArray] | None = None
    offset: Sequence[NDArray] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_weights(self.geometry, self.weights)
        sizes = self.geometry.sizes[1:]
        for name, given in (("gain", self.gain), ("offset", self.offset)):
            if given is not None:
                _check_finite(name, f"one a neuron of the layers {sizes}", [(m,) for m in sizes], given)

    @property
    def gains(self) -> tuple[FloatArray, ...]:
        """(m,) float64 of every layer."""
        return self._of_neurons(self.gain, 1.0)

    @property
    def offsets(self) -> tuple[FloatArray, ...]:
        """(m,) float64 of every layer."""
        return self._of_neurons(self.offset, 0.0)

    def _of_neurons(self, given: Sequence[NDArray] | None, default: float) -> tuple[FloatArray, ...]:
        if given is None:
            return tuple(np.full(m, default) for m in self.geometry.sizes[1:])
        return tuple(as_array("neurons", values).astype(float) for values in given)


def check_weights(geometry: SpikingGeometry, weights: Sequence[NDArray]) -> None:
    """Refuse weights of other layers, or that are not finite."""
    shapes = list(pairwise(geometry.sizes))
    _check_finite("weights", f"matrices of {shapes}", shapes, weights)


def _check_finite(
    name: str, expected: str, shapes: Sequence[tuple[int, ...]], given: Sequence[NDArray]
) -> None:
    found = [as_array(name, values) for values in given]
    if [values.shape for values in found] != shapes:
        raise InputError(name, expected, str([values.shape for values in found]))
    for values, shape in zip(found, shapes, strict=True):
        check_array(name, values, shape, low=-LARGEST, high=LARGEST, remedy="train again")
