"""How much each channel, or each PE, matters: the worst that one stuck fault of it does.

A place is a channel of a layer, or a PE. It can be stuck at any activation; what counts is the worst of them.
Accuracy hides predictions that change from one wrong class to another, so the most flips stand beside it.
A difference of a few images on a small test set is chance: rank with as many images as there are.

Source: FAT (Zahid et al.), Table I (layer, channels, lowest and highest accuracy for each stuck value) and
section V-C (channels sorted from most to least critical).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.concurrent import FaultResults
from accel_models.finn.layer import IntArray
from xbarsim.errors import InputError
from xbarsim.faults.pe import NONE, PeFaultKind

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Criticality:
    """Places from the most to the least critical: by worst accuracy, ties by layer and then by unit.

    Attributes
    ----------
    layer, unit : (places,) the channel or the PE; layer -1 is the array of a loopback accelerator
    worst_hits : (places,) images still right under the worst stuck value
    worst_value : (places,) that value, the lowest of equals
    most_flips : (places,) images whose class changed, under the value that changes most
    baseline_hits, shots : images right without a fault, and images
    """

    layer: IntArray
    unit: IntArray
    worst_hits: IntArray
    worst_value: IntArray
    most_flips: IntArray
    baseline_hits: int
    shots: int

    def __len__(self) -> int:
        return len(self.layer)

    @property
    def accuracy(self) -> FloatArray:
        """(places,): the worst accuracy, 0..1."""
        return self.worst_hits / self.shots

    @property
    def drop(self) -> FloatArray:
        """(places,): accuracy lost at worst; negative where even the worst value helps."""
        return (self.baseline_hits - self.worst_hits) / self.shots

    @property
    def flip_rate(self) -> FloatArray:
        """(places,): the largest share of predictions that change (silent data corruption)."""
        return self.most_flips / self.shots


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerExtremes:
    """The lowest and the highest accuracy of a layer's places, for each stuck value; by layer, then value.

    Attributes
    ----------
    layer, value : (rows,)
    places : (rows,) channels or PEs that were tried
    least_hits, most_hits : (rows,) images still right at the worst and at the best place
    """

    layer: IntArray
    value: IntArray
    places: IntArray
    least_hits: IntArray
    most_hits: IntArray
    baseline_hits: int
    shots: int

    @property
    def lowest(self) -> FloatArray:
        """(rows,): lowest accuracy, 0..1."""
        return self.least_hits / self.shots

    @property
    def highest(self) -> FloatArray:
        """(rows,): highest accuracy, 0..1."""
        return self.most_hits / self.shots


def channel_criticality(results: FaultResults) -> Criticality:
    """Channels from the most to the least critical, from the permanent `channel` faults of a result.

    Raises
    ------
    InputError : the result has none.
    """
    return _criticality(results, PeFaultKind.channel)


def pe_criticality(results: FaultResults) -> Criticality:
    """PEs from the most to the least critical, from the permanent `pe` faults of a result.

    Raises
    ------
    InputError : the result has none.
    """
    return _criticality(results, PeFaultKind.pe)


def layer_extremes(results: FaultResults, *, kind: PeFaultKind = PeFaultKind.channel) -> LayerExtremes:
    """What FAT's Table I prints: each layer's lowest and highest accuracy, for each stuck value.

    Raises
    ------
    InputError : the result has no permanent faults of this kind.
    """
    chosen = _permanent(results, kind)
    layer, value = (results.faults.column(name)[chosen] for name in ("layer", "value"))
    order = np.lexsort((value, layer))
    chosen, layer, value = chosen[order], layer[order], value[order]
    starts = _starts(layer, value)
    return LayerExtremes(
        layer=layer[starts],
        value=value[starts],
        places=np.diff(starts, append=len(chosen)),
        least_hits=np.minimum.reduceat(results.hits[chosen], starts),
        most_hits=np.maximum.reduceat(results.hits[chosen], starts),
        baseline_hits=results.baseline_hits,
        shots=results.shots,
    )


def _criticality(results: FaultResults, kind: PeFaultKind) -> Criticality:
    chosen = _permanent(results, kind)
    layer, unit, value = (results.faults.column(name)[chosen] for name in ("layer", "unit", "value"))
    order = np.lexsort((value, results.hits[chosen], unit, layer))
    chosen, layer, unit, value = chosen[order], layer[order], unit[order], value[order]
    starts = _starts(layer, unit)  # the worst value of each place
    flips = np.maximum.reduceat(results.flips[chosen], starts)
    layer, unit, value, hits = layer[starts], unit[starts], value[starts], results.hits[chosen[starts]]
    ranked = np.lexsort((unit, layer, hits))
    return Criticality(
        layer=layer[ranked],
        unit=unit[ranked],
        worst_hits=hits[ranked],
        worst_value=value[ranked],
        most_flips=flips[ranked],
        baseline_hits=results.baseline_hits,
        shots=results.shots,
    )


def _permanent(results: FaultResults, kind: PeFaultKind) -> IntArray:
    faults = results.faults
    chosen = np.flatnonzero((faults.column("kind") == kind) & (faults.column("image") == NONE))
    if len(chosen) == 0:
        remedy = f"simulate design.fault_list([PeFaultKind.{kind.name}])"
        raise InputError("criticality", f"permanent faults of kind {kind.name}", "none", remedy)
    return chosen


def _starts(first: IntArray, second: IntArray) -> IntArray:
    """Where a new pair begins, in sorted columns."""
    new = (np.diff(first) != 0) | (np.diff(second) != 0)
    return np.concatenate([[0], np.flatnonzero(new) + 1])
