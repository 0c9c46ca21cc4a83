"""Selective channel replication: compute the channels that matter three times, and vote.

The voter gives out = c2 if c1 == c2 else c0, so one wrong copy of three is outvoted. `protection` says why
the most critical channels are the ones to triplicate, whatever a channel costs.

Assumptions: voters do not fail; a fault in an added copy is outvoted as one in the first copy is, so that
only faults of the first copy are listed.

Source: FAT (Zahid et al.), section V-C and Fig. 9; Gambardella et al. (2019) for selective replication.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.chip import FinnChip
from accel_models.finn.concurrent import FaultResults
from accel_models.finn.criticality import Criticality, channel_criticality
from accel_models.finn.layer import IntArray
from accel_models.finn.network import FinnNetwork
from accel_models.finn.protection import ProtectionCurve, check_places, replicated_luts
from accel_models.finn.resources import WeightMemory
from xbarsim.errors import InputError, check_choice, check_int, check_rate
from xbarsim.faults.pe import SHARED_LAYER, PeFault, PeFaultKind
from xbarsim.hints import checked

COPIES = 3
COSTS = ("unrolled", "folded")


@dataclass(frozen=True)
class ReplicationPlan:
    """Which channels are triplicated.

    Parameters
    ----------
    channels : (layer, channel) pairs, in any order

    >>> ReplicationPlan(frozenset({(0, 3), (1, 2), (0, 1)})).rows(0).tolist()
    [1, 3]
    """

    channels: frozenset[tuple[int, int]]

    @classmethod
    def most_critical(cls, table: Criticality, count: int) -> ReplicationPlan:
        """The `count` most critical channels of a table."""
        check_int("replicated channels", count, 0, len(table))
        pairs = zip(table.layer[:count].tolist(), table.unit[:count].tolist(), strict=True)
        return cls(frozenset(pairs))

    @classmethod
    def for_accuracy(cls, table: Criticality, accuracy: float) -> ReplicationPlan:
        """The cheapest plan whose worst case is at least `accuracy` (0..1): exactly the channels below it.

        Raises
        ------
        InputError : the fault-free accuracy is lower.
        """
        needed = ceil(check_rate("worst-case accuracy", accuracy) * table.shots - 1e-9)
        if needed > table.baseline_hits:
            expected = f"at most the fault-free {table.baseline_hits / table.shots:.4f}"
            raise InputError("worst-case accuracy", expected, accuracy, "replication repairs faults only")
        return cls.most_critical(table, int((table.worst_hits < needed).sum()))

    def rows(self, layer: int) -> IntArray:
        """The triplicated channels of a layer, rising."""
        return np.array(sorted(channel for place, channel in self.channels if place == layer), np.int64)

    def covers(self, design: FinnChip, fault: PeFault) -> bool:
        """True if every channel that the fault changes is triplicated, so that the voters undo it.

        Faults of stream pixels and of a shared array are not covered.
        """
        if fault.layer == SHARED_LAYER or fault.kind == PeFaultKind.pixel:
            return False
        if fault.kind == PeFaultKind.channel:
            return (fault.layer, fault.unit) in self.channels
        effect = design.effect(fault.layer, [fault])
        rows = [] if effect is None else effect.rows.tolist()
        return all((fault.layer, row) in self.channels for row in rows)

    def check(self, network: FinnNetwork) -> None:
        """Refuse a channel that the network has not, or one without thresholds (codes are what is voted)."""
        for layer, channel in sorted(self.channels):
            check_int("replicated channel: layer", layer, 0, len(network.layers) - 1)
            check_int("replicated channel", channel, 0, network.layers[layer].rows - 1)
            if network.layers[layer].output is None:
                raise InputError("replicated channel", "a layer with thresholds", f"layer {layer}")


def vote(first: NDArray, second: NDArray, third: NDArray) -> NDArray:
    """What the voter gives for three copies of the codes, of one shape: third if second == third else first.

    >>> vote(np.array([0, 5, 1]), np.array([1, 1, 5]), np.array([1, 5, 1])).tolist()
    [1, 5, 1]
    """
    return np.where(second == third, third, first)


def disagreement(first: NDArray, second: NDArray, third: NDArray) -> NDArray[np.bool_]:
    """Where the three copies are not all the same: what a voter can report as a detected fault."""
    return (first != second) | (second != third)


@checked
def replication_front(
    design: FinnChip,
    results: FaultResults,
    *,
    cost: str = "unrolled",
    weights_in: WeightMemory = "BRAM",
) -> ProtectionCurve:
    """Cost and worst case of triplicating the k most critical channels, for every k.

    Parameters
    ----------
    results : of `channel` faults of the design
    cost : `unrolled`, every MAC of an image has hardware of its own (Fig. 9): a channel costs its windows
        times MW, the network's MACs are 1, copies add 2; a last layer without channel faults counts in the
        total, as padded rows do. `folded`, LUTs of the design's folding: copies take PEs of their own, see
        `replication_cost`
    weights_in : for `folded`; with BRAM, the growth of the weight memories is not in the LUTs

    Raises
    ------
    InputError : no channel faults in the results, or channels that the design has not.
    """
    check_choice("cost", cost, COSTS)
    table, layers = channel_criticality(results), design.network.layers
    check_places(table, [m.rows for m in layers])
    if cost == "folded":
        price = replicated_luts(design.network, table, [1] * len(layers), weights_in=weights_in)
        return ProtectionCurve(table=table, unit="LUT", price=price)
    channel = np.array([m.macs // m.rows for m in layers])[table.layer]
    added = (COPIES - 1) * np.concatenate([[0], np.cumsum(channel)])
    return ProtectionCurve(table=table, unit="MAC", price=sum(m.macs for m in layers) + added)
