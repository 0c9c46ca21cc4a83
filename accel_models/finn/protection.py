"""Cost and worst case of protecting the k most critical places, for every k.

With the k most critical places (channels or PEs) triplicated, the worst case under a single fault is that of
the others, or the fault-free accuracy if that is lower. No other k places do better: a set that lacks one
of the k most critical keeps that one's worst case. And a worst case of at least a is reached exactly by the
sets that hold every place below a; the cheapest of them holds no other. So sorting by worst accuracy is
optimal for every cost that grows with the set, and the points at which the worst case rises are the exact
Pareto front. Places with the same worst accuracy may change order: only points inside a step move, which are
not on the front.

Source: FAT (Zahid et al.), section V-C and Fig. 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.criticality import Criticality
from accel_models.finn.layer import IntArray, Mvtu
from accel_models.finn.network import FinnNetwork
from accel_models.finn.resources import WeightMemory, design_resources, replication_cost
from xbarsim.errors import InputError
from xbarsim.metrics.pareto import pareto_front


@dataclass(frozen=True, kw_only=True, eq=False)
class ProtectionCurve:
    """Cost and worst case with the k most critical places triplicated, for k = 0 .. places.

    Attributes
    ----------
    table : the places, most critical first
    unit : of the price, "MAC" or "LUT"
    price : (places + 1,) of the whole accelerator
    """

    table: Criticality
    unit: str
    price: IntArray

    @property
    def cost(self) -> NDArray[np.float64]:
        """(places + 1,): price, where 1 is the accelerator without replication."""
        return self.price / self.price[0]

    @cached_property
    def hits(self) -> IntArray:
        """(places + 1,): images right in the worst case."""
        return worst_case_hits(self.table)

    @property
    def error_percent(self) -> NDArray[np.float64]:
        """(places + 1,): images wrong in the worst case, 0..100; as Fig. 9 of FAT."""
        return 100 * (self.table.shots - self.hits) / self.table.shots

    @property
    def front(self) -> IntArray:
        """The k of the Pareto front, rising; exact over all sets of places, see above."""
        return pareto_front(self.price, -self.hits)


def worst_case_hits(table: Criticality) -> IntArray:
    """(places + 1,): images right under the worst single fault that is left, k = 0 .. places protected.

    Without a fault left, and where every fault left helps, it is the fault-free count.
    """
    return np.minimum(np.append(table.worst_hits, table.baseline_hits), table.baseline_hits)


def replicated_luts(
    network: FinnNetwork, table: Criticality, rows_each: list[int], *, weights_in: WeightMemory = "BRAM"
) -> IntArray:
    """(places + 1,) LUTs of the accelerator with the first k places of a table triplicated.

    Parameters
    ----------
    rows_each : rows that a place of each layer stands for: 1 for channels, MH / PE for PEs
    """
    base = design_resources(network, weights_in=weights_in).luts
    price = np.full(len(table) + 1, base, np.int64)
    for place, (layer, rows) in enumerate(zip(network.layers, rows_each, strict=True)):
        count = np.concatenate([[0], np.cumsum(table.layer == place)])
        price += _luts_by_count(layer, rows, int(count[-1]), weights_in)[count]
    return price


def check_places(table: Criticality, units: list[int]) -> None:
    """Refuse places outside a design; `units` are the channels or PEs of its layers."""
    for layer, unit in zip(table.layer.tolist(), table.unit.tolist(), strict=True):
        if not 0 <= layer < len(units) or unit >= units[layer]:
            expected = "places of the design's layers"
            remedy = "simulate this design, with PEs of its own for every layer"
            raise InputError("results", expected, f"layer {layer}, unit {unit}", remedy)


def _luts_by_count(layer: Mvtu, rows: int, most: int, weights_in: WeightMemory) -> IntArray:
    costs = (replication_cost(layer, rows * count, weights_in=weights_in) for count in range(most + 1))
    return np.array([c.luts for c in costs], np.int64)
