"""Latency of N inferences by five models, from the paper's to a balanced pipeline.

(a) `mac-proportional` has the shape of RRAMedy's Table III; no pipelined model does, so a report shows
it beside (d), which is what an ISAAC chip would take. See docs/architecture.md, "Cost".
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xbarsim.chip import Cost
from xbarsim.crossbar.placement import Placement
from xbarsim.errors import InputError, check_choice, check_int
from xbarsim.graph.integer_graph import IntegerGraph

if TYPE_CHECKING:
    from accel_models.reram.config import ReramConfig

LATENCY_MODELS = ("mac-proportional", "array-serial", "layer-serial", "pipelined", "balanced")


@dataclass(frozen=True, kw_only=True)
class LayerLoad:
    """A layer as the cycle model sees it: positions P an image, arrays X, multiply-accumulates an image."""

    name: str
    positions: int
    arrays: int
    macs: int


def layer_loads(graph: IntegerGraph, placement: Placement) -> tuple[LayerLoad, ...]:
    """The loads of a placed network."""
    return tuple(
        LayerLoad(
            name=layer.name,
            positions=graph.positions(layer),
            arrays=placement.arrays_of(layer.name),
            macs=graph.macs_of(layer),
        )
        for layer in graph.layers
    )


def inference_latency_ns(
    loads: tuple[LayerLoad, ...], config: ReramConfig, images: int, model: str = "pipelined"
) -> float:
    """Latency of `images` inferences.

    Parameters
    ----------
    model : (a) 'mac-proportional': N T_mvm s MACs / (R C); (b) 'array-serial': N T_mvm sum(P X);
        (c) 'layer-serial': N sum(P T_mvm + (D - 16) T_x); (d) 'pipelined': sum(P) T_mvm + L (D - 16) T_x
        + (N - 1) max(P) T_mvm; (e) 'balanced': (d) with layers replicated under the chips' array budget
    """
    check_choice("latency model", model, LATENCY_MODELS)
    check_int("images", images, 1, 10**9)
    t, fill = config.t_mvm_ns, config.t_fill_ns
    if model == "mac-proportional":
        cells = config.array.rows * config.array.columns
        return images * t * config.array.format.digits * sum(load.macs for load in loads) / cells
    if model == "array-serial":
        return images * t * sum(load.positions * load.arrays for load in loads)
    if model == "layer-serial":
        return images * sum(load.positions * t + fill for load in loads)
    copies = (
        replication(loads, config.all_arrays) if model == "balanced" else {load.name: 1 for load in loads}
    )
    steps = [-(-load.positions // copies[load.name]) for load in loads]
    return sum(steps) * t + len(loads) * fill + (images - 1) * max(steps) * t


def replication(loads: tuple[LayerLoad, ...], budget: int) -> dict[str, int]:
    """Copies of every layer, greedily: the slowest layer gets the next copy while the arrays last.

    >>> replication((LayerLoad(name="a", positions=4, arrays=1, macs=1),), 3)
    {'a': 3}
    """
    left = budget - sum(load.arrays for load in loads)
    if left < 0:
        raise InputError("array budget", f"at least {budget - left}", budget)
    copies = {load.name: 1 for load in loads}
    queue = [(-load.positions, i) for i, load in enumerate(loads)]
    heapq.heapify(queue)
    while queue:
        _, i = queue[0]
        load = loads[i]
        if load.arrays > left or copies[load.name] >= load.positions:
            break
        copies[load.name] += 1
        left -= load.arrays
        steps = -(-load.positions // copies[load.name])
        heapq.heapreplace(queue, (-steps, i))
    return copies


def write_cost(config: ReramConfig, cells: int, *, rounds: int = 1) -> Cost:
    """Cost of writing cells: arrays in parallel, row by row, in so many rounds over all rows.

    Every write takes its energy once; verified writes read as well, which no source gives a time for here.
    """
    write_pJ = config.cell.write_pJ
    return Cost(
        latency_ns=rounds * config.array.rows * config.cell.t_write_ns if cells else 0.0,
        energy_pJ=float("nan") if write_pJ is None else cells * write_pJ,
        cell_writes=cells,
    )
