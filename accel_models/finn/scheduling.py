"""Fault-aware scheduling: which PE serves which row.

Row n is served by PE n mod PE, and a faulty PE spoils all its rows. Permuting the rows of a layer, with their
thresholds, and the matching columns of the next layer changes which rows share a PE and nothing else: the
scores stay the same, and so do the cycles and the hardware. It is a matter of the parameter files.

| policy | rows |
|---|---|
| `natural` | as the network has them |
| `gather` | the most critical on PE 0, the next on PE 1, ...: few PEs to protect |
| `spread` | dealt to the PEs in turns, back and forth: no PE is much worse than another |

The last layer keeps its rows, which are the classes. Which policy is better depends on the network, since the
effect of a PE is not the sum of its channels' effects: `compare_schedules` measures.

Source: FINN (FPGA 2017) and FAT (Zahid et al.), section II, for the rows of a PE; the policies are our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accel_models.finn.chip import FinnChip
from accel_models.finn.concurrent import FaultResults, simulate_faults
from accel_models.finn.criticality import Criticality, channel_criticality, pe_criticality
from accel_models.finn.layer import IntArray, Mvtu
from accel_models.finn.network import FinnNetwork
from accel_models.finn.protection import ProtectionCurve, check_places, replicated_luts
from accel_models.finn.resources import WeightMemory
from xbarsim.errors import InputError, check_choice, check_int
from xbarsim.faults.pe import PeFaultKind
from xbarsim.metrics.pareto import pareto_front

POLICIES = ("natural", "gather", "spread")


@dataclass(frozen=True, kw_only=True)
class SchedulePoint:
    """One point on the joint front of several schedules: so many PEs triplicated under a policy."""

    policy: str
    protected: int
    luts: int
    error_percent: float


def schedule(layer: Mvtu, scores: ArrayLike, policy: str) -> IntArray:
    """(MH,) an order of a layer's rows: place n, which PE n mod PE serves, gets the old row order[n].

    Parameters
    ----------
    scores : (MH,) how critical each row is, say the accuracy it can cost; equal rows stay in order
    policy : `natural`, `gather` or `spread`

    Raises
    ------
    InputError : another policy, another shape, or a score that is NaN.
    """
    check_choice("policy", policy, POLICIES)
    found = np.asarray(scores, float)
    if found.shape != (layer.rows,) or np.isnan(found).any():
        raise InputError(f"layer {layer.name}: scores", f"{layer.rows} numbers", str(found.shape))
    if policy == "natural":
        return np.arange(layer.rows)
    ranked = np.argsort(-found, kind="stable")
    if policy == "gather":  # ranks r NF .. r NF + NF - 1 at places r, r + PE, ...
        return ranked.reshape(layer.pe, layer.row_folds).T.ravel()
    dealt = ranked.reshape(layer.row_folds, layer.pe).copy()
    dealt[1::2] = dealt[1::2, ::-1]
    return dealt.ravel()


def permute_rows(network: FinnNetwork, layer: int, order: ArrayLike) -> FinnNetwork:
    """The same function with the rows of one layer in another order; scores do not change.

    Parameters
    ----------
    layer : number of the layer, not the last one, whose rows are the classes
    order : (MH,) the old row at each new place

    Raises
    ------
    InputError : the last layer, or not a permutation of the rows.
    """
    check_int("permuted layer", layer, 0, len(network.layers) - 2, "the last layer's rows are the classes")
    own, after = network.layers[layer : layer + 2]
    moved = np.asarray(order)
    if not np.array_equal(np.sort(moved, axis=None), np.arange(own.rows)) or moved.ndim != 1:
        raise InputError(f"layer {own.name}: order", f"every row of 0..{own.rows - 1} once", str(moved)[:60])
    assert own.thresholds is not None
    columns = after.weights.reshape(after.rows, -1, own.rows)  # kernel x channels
    changed = list(network.layers)
    changed[layer] = replace(
        own,
        weights=own.weights[moved],
        thresholds=own.thresholds[moved],
        bias=None if own.bias is None else own.bias[moved],
    )
    changed[layer + 1] = replace(after, weights=columns[:, :, moved].reshape(after.weights.shape))
    return replace(network, layers=tuple(changed))


def schedule_network(network: FinnNetwork, scores: Sequence[ArrayLike], policy: str) -> FinnNetwork:
    """Every layer but the last scheduled by the same policy.

    Parameters
    ----------
    scores : (MH,) for each of these layers, on the network's own rows
    """
    if len(scores) != len(network.layers) - 1:
        raise InputError("scores", f"those of {len(network.layers) - 1} layers", len(scores))
    for place, own in enumerate(scores):
        network = permute_rows(network, place, schedule(network.layers[place], own, policy))
    return network


def row_scores(network: FinnNetwork, table: Criticality) -> list[NDArray[np.float64]]:
    """(MH,) worst loss of accuracy of every row, for each layer but the last; 0 for rows not in the table."""
    check_places(table, [layer.rows for layer in network.layers])
    scores = [np.zeros(layer.rows) for layer in network.layers]
    for layer, unit, drop in zip(table.layer, table.unit, table.drop, strict=True):
        scores[layer][unit] = drop
    return scores[:-1]


def protect_pes(
    design: FinnChip, results: FaultResults, *, weights_in: WeightMemory = "BRAM"
) -> ProtectionCurve:
    """Cost and worst case of triplicating the k most critical PEs, for every k.

    Parameters
    ----------
    results : of `pe` faults of the design, which has PEs of its own for every layer
    weights_in : where the weights are; with BRAM, the growth of the memories is not in the LUTs

    A PE takes two more PEs of its layer and a voter (`replication_cost` of its MH / PE rows).

    Raises
    ------
    InputError : no PE faults in the results, or PEs that the design has not (a shared array's, for one).
    """
    table, layers = pe_criticality(results), design.network.layers
    check_places(table, [layer.pe for layer in layers])
    rows = [layer.row_folds for layer in layers]
    price = replicated_luts(design.network, table, rows, weights_in=weights_in)
    return ProtectionCurve(table=table, unit="LUT", price=price)


def compare_schedules(
    design: FinnChip,
    channel_results: FaultResults,
    images: NDArray,
    labels: IntArray,
    *,
    policies: Iterable[str] = POLICIES,
    weights_in: WeightMemory = "BRAM",
    memory_MB: int = 1024,
) -> dict[str, ProtectionCurve]:
    """Each policy's curve of triplicated PEs: every PE fault of the scheduled design, simulated.

    Parameters
    ----------
    design : with PEs of its own for every layer, without faults
    channel_results : of the design's `channel` faults, which rank the rows
    images, labels : (N, *image) uint8 and (N,), to simulate the PE faults with

    Ranking and judging on the same images flatters a schedule; use others where there are enough.

    Raises
    ------
    InputError : a loopback design, an unknown policy, results of another design.
    """
    if design.shared is not None:
        raise InputError("design", "PEs of its own for every layer", "a shared array")
    scores = row_scores(design.network, channel_criticality(channel_results))
    curves = {}
    for policy in policies:
        moved = replace(design, network=schedule_network(design.network, scores, policy))
        faults = moved.fault_list([PeFaultKind.pe])
        results = simulate_faults(moved, faults, images, labels, memory_MB=memory_MB)
        curves[policy] = protect_pes(moved, results, weights_in=weights_in)
    return curves


def joint_front(curves: dict[str, ProtectionCurve]) -> list[SchedulePoint]:
    """The Pareto front of several curves together, by rising LUTs; of equal points the first curve's."""
    points = [
        SchedulePoint(policy=policy, protected=k, luts=int(price), error_percent=float(error))
        for policy, curve in curves.items()
        for k, (price, error) in enumerate(zip(curve.price, curve.error_percent, strict=True))
    ]
    kept = pareto_front([p.luts for p in points], [p.error_percent for p in points])
    return [points[place] for place in kept]
