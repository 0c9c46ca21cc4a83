"""A ReRAM chip: a network programmed into crossbar arrays, its faults, its runs and what they cost.

Digital fidelity: cells hold integer levels, the ADC clips or rounds, everything else is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accel_models.reram.many import run_each
from accel_models.reram.timing import LayerLoad, inference_latency_ns, layer_loads, write_cost
from xbarsim.cells.encoding import WeightFormat
from xbarsim.chip import Cost, Run, Seed
from xbarsim.crossbar.diagonal import diagonal_blocks, faulty_blocks
from xbarsim.crossbar.matrix import ProgrammedMatrix, check_signed_inputs, program_groups
from xbarsim.crossbar.placement import MatrixPlace, Placement, place
from xbarsim.crossbar.proof import CollapseShares, collapse_shares
from xbarsim.crossbar.strays import Strays, strays_of
from xbarsim.errors import InputError, check_choice, check_int, check_type
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.masks import CellMasks
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import IntArray, MatMul
from xbarsim.graph.product import Products
from xbarsim.hints import checked

if TYPE_CHECKING:
    from accel_models.reram.config import ReramConfig

Matrices = dict[tuple[str, int], ProgrammedMatrix]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReramChip:
    """A programmed chip. Immutable: `inject`, `refresh` and `update` give a new one. See `program`.

    Attributes
    ----------
    config, graph, placement : what it is, what it runs, and where that lies
    matrices : the cells by (layer, first group) of every place; see `Placement`
    faults : of its cells
    write_cost : what the last program, refresh or update cost
    """

    config: ReramConfig
    graph: IntegerGraph
    placement: Placement
    matrices: Matrices
    faults: FaultMap
    write_cost: Cost

    @property
    def accelerator(self) -> ReramConfig:
        """Its config."""
        return self.config

    @property
    def geometry(self) -> CellGeometry:
        """The cells that a fault map of this chip refers to."""
        return self.placement.geometry

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""
        return self.graph.input_shape

    @property
    def resources(self) -> dict[str, float]:
        """Arrays, all cells of them, and the cells that hold a digit of a weight."""
        place = self.placement
        return {"arrays": place.arrays, "cells": place.geometry.cells, "used_cells": place.used_cells}

    @cached_property
    def loads(self) -> tuple[LayerLoad, ...]:
        """The layers as the cycle model sees them."""
        return layer_loads(self.graph, self.placement)

    def inject(self, faults: FaultMap) -> ReramChip:
        """The chip with these faults on top of its own.

        Raises
        ------
        InputError : a map of another geometry.
        """
        check_type("fault map", faults, FaultMap, "read it with FaultMap.load")
        if faults.geometry != self.geometry:
            raise InputError(
                "fault map", str(self.geometry), str(faults.geometry), "sample it for this chip's geometry"
            )
        return self._with_faults(self.faults.merge(faults))

    @checked
    def refresh(self, seed: Seed = 0) -> ReramChip:
        """Write every cell that matters again: soft faults are gone, stuck cells stay.

        Cells off the diagonal of arrays that groups share are written to level 0 again. Draws nothing from
        `seed`.
        """
        cells = self.placement.written_cells
        return replace(self._with_faults(self.faults.permanent), write_cost=write_cost(self.config, cells))

    @checked
    def update(self, graph: IntegerGraph) -> ReramChip:
        """Write the changed cells of a retrained network of the same shape; columns keep their inversion.

        Soft faults in cells that are not rewritten stay.

        Raises
        ------
        InputError : a network of other layers or shapes.
        """
        check_same_layers(self.graph, graph)
        written, rewritten = self._rewrite(graph)
        cost = write_cost(self.config, len(rewritten))
        chip = replace(self, graph=graph, matrices=written, write_cost=cost)
        return chip._with_faults(self.faults.rewritten(rewritten))

    @checked
    def run(
        self,
        inputs: Any,
        *,
        seed: int = 0,
        fidelity: str = "digital",
        batch_size: int = 64,
        on_batch: Callable[[int, int], None] | None = None,
    ) -> Run:
        """Run (N, *input_shape) floats; exact scores. Digital chips have no noise: `seed` changes nothing.

        Parameters
        ----------
        fidelity : 'bit-serial' simulates every conversion, collapsing nothing: the same numbers, slowly
        batch_size : inputs at once; bounds the memory, changes no result
        on_batch : called with inputs done and in all

        Raises
        ------
        InputError : inputs of another shape, none at all, or that are not finite real numbers.
        """
        check_choice("fidelity", fidelity, ("digital", "bit-serial"))
        multiply = self.multiply if fidelity == "digital" else self._multiply_bit_serially
        scores = self.graph.run(
            inputs,
            multiply=multiply,
            batch_size=batch_size,
            on_batch=on_batch,
            watched=not len(self.faults),
        )
        return run_of(scores, self.cost(len(scores)))

    def run_each(
        self, faults: Iterable[FaultMap], inputs: NDArray, *, seed: int = 0, batch_size: int = 64
    ) -> Iterator[Run]:
        """Run the same inputs on a copy with each of these fault maps on top of its own, one by one.

        What `inject` and `run` give one after the other, sooner: see `accel_models.reram.many`.

        Raises
        ------
        InputError : no iterable of fault maps, a map of another geometry, bad inputs.
        """
        found = run_each(self, faults, inputs, batch_size=batch_size)
        return (run_of(scores, self.cost(len(scores))) for scores in found)

    @checked
    def cost(self, inputs: int) -> Cost:
        """Latency (pipelined model) and energy of so many inferences; energy is NaN without a power model.

        Links between several chips are taken to cost nothing.
        """
        check_int("inputs", inputs, 1, 10**9)
        products = inputs * sum(load.positions * load.arrays for load in self.loads)
        return Cost(
            latency_ns=inference_latency_ns(self.loads, self.config, inputs),
            energy_pJ=self.config.power.energy_pJ(products, self.config.t_mvm_ns, self.config.array),
        )

    def collapse_shares(self) -> dict[str, CollapseShares]:
        """For every layer, the share of (row block, output) pairs that collapse, and why not the rest."""
        shares = {}
        for layer in self.graph.layers:
            places = self.placement.of_layer(layer.matrix)
            shares[layer.name] = collapse_shares([self.matrices[p.key].proof for p in places])
        return shares

    def effective_weights(self, layer: str) -> IntArray:
        """(groups, K, M): the weights that a layer's cells act as, without what cells off a diagonal add."""
        places = self.placement.of_layer(layer)
        return np.concatenate([diagonal_blocks(self.matrices[p.key].effective, p.groups) for p in places])

    @property
    def weight_format(self) -> WeightFormat:
        """How its cells hold weights."""
        return self.config.array.format

    def used_faults(self, faults: FaultMap) -> int:
        """Return how many of these faults lie in cells that matter to the network.

        Those are the cells that hold weights, and the cells off the diagonal of arrays that groups share.
        """
        return self.placement.used_faults(faults)

    def training_masks(self) -> dict[tuple[str, int], CellMasks]:
        """Masks of the stuck cells on the words of the weights, inverted storage undone; faulty ones only.

        By (layer, group). Cells off the diagonal of arrays that groups share hold no weight and are left out.
        """
        found = {}
        for (layer, first), masks in self.placement.masks(self.faults.permanent, self.matrices).items():
            matrix = self.matrices[layer, first]
            for i, block in faulty_blocks(masks.logical(matrix.row_inversion), matrix.groups):
                found[layer, first + i] = block
        return found

    def array_levels(self) -> NDArray[np.uint8]:
        """(arrays, rows, columns): the level in every cell."""
        return self.placement.array_levels(self.matrices)

    def multiply(self, layer: MatMul, x: NDArray) -> NDArray:
        """A layer's sums of integers in range: see `IntegerGraph.run`."""
        if not any(m.collapses for m in self._matrices_of(layer)):
            return self._multiply(self.matrices, layer, x)
        sums = self._products(layer, x)
        strays, serial = self._strays[layer.matrix], self._serial[layer.matrix]
        if len(strays.values):
            sums = strays.add_to(sums, layer, x)
        return self._with_serial(layer, x, sums, serial) if serial else sums

    def _multiply_bit_serially(self, layer: MatMul, x: NDArray) -> NDArray:
        return self._multiply(self._uncollapsed, layer, x)

    def _multiply(self, matrices: Matrices, layer: MatMul, x: NDArray) -> NDArray:
        places, rows = self.placement.of_layer(layer.matrix), layer.rows(x, np.int64)
        products = [matrices[p.key].multiply(p.rows(rows), layer.input_signed) for p in places]
        return layer.gather(products, x.shape)

    def _with_serial(
        self, layer: MatMul, x: NDArray, sums: NDArray, serial: Sequence[tuple[MatrixPlace, int]]
    ) -> NDArray:
        """Add the outputs that the ADC may change to those that are products."""
        rows = layer.rows(x, np.int64)
        wide = np.moveaxis(sums, 1, -1).astype(np.float64) if layer.window else sums.astype(np.float64)
        flat = wide.reshape(-1, wide.shape[-1])
        for where, first in serial:
            outputs, found = self.matrices[where.key].beside(where.rows(rows), layer.input_signed)
            flat[:, first + outputs] += found
        return np.moveaxis(wide, -1, 1) if layer.window else wide

    def _matrices_of(self, layer: MatMul) -> list[ProgrammedMatrix]:
        return [self.matrices[p.key] for p in self.placement.of_layer(layer.matrix)]

    @cached_property
    def _products(self) -> Products:
        """Of what collapses."""
        return Products(
            lambda layer: np.concatenate(
                [diagonal_blocks(m.collapsed, m.groups) for m in self._matrices_of(layer)]
            )
        )

    @cached_property
    def _serial(self) -> dict[str, list[tuple[MatrixPlace, int]]]:
        """For every layer the places of which the ADC may change outputs, and the first output of each."""
        found: dict[str, list[tuple[MatrixPlace, int]]] = {}
        for layer in self.graph.layers:
            found[layer.name] = [
                (where, first)
                for where, first in self.placement.with_outputs(layer.name)
                if self.matrices[where.key].is_serial
            ]
        return found

    @cached_property
    def _strays(self) -> dict[str, Strays]:
        """For every layer what faulty cells off a diagonal add."""
        return {
            layer.name: strays_of(
                layer,
                [
                    (where.group * layer.weights.shape[1], first, self.matrices[where.key].off_diagonal)
                    for where, first in self.placement.with_outputs(layer.name)
                ],
            )
            for layer in self.graph.layers
        }

    @cached_property
    def _uncollapsed(self) -> Matrices:
        return {key: replace(m, collapse=False) for key, m in self.matrices.items()}

    def _with_faults(self, faults: FaultMap) -> ReramChip:
        bare = {key: m if m.masks is None else m.with_masks(None) for key, m in self.matrices.items()}
        masks = self.placement.masks(faults, bare)
        faulty = {key: m.with_masks(masks[key]) if key in masks else m for key, m in bare.items()}
        return replace(self, matrices=faulty, faults=faults)

    def _rewrite(self, graph: IntegerGraph) -> tuple[Matrices, NDArray[np.int64]]:
        weights = {layer.name: layer.weights for layer in graph.layers}
        written = {}
        for p in self.placement.matrices:
            old = self.matrices[p.key]
            own = weights[p.layer][p.of_groups]
            written[p.key] = program_groups(own, old.config, inversion=old.inversion)
        before = self.placement.array_levels({k: m.with_masks(None) for k, m in self.matrices.items()})
        return written, np.flatnonzero(before != self.placement.array_levels(written))


def program(graph: IntegerGraph, config: ReramConfig) -> ReramChip:
    """Write a network into a new, fault-free chip.

    Raises
    ------
    InputError : weights or inputs of more bits than the arrays take, or too few arrays.

    Source: ISAAC (ISCA 2016), sections 5 and 6.
    """
    check_type("network", graph, IntegerGraph, "make one with xbarsim.torch_bridge.quantize.quantize")
    for layer in graph.layers:
        if layer.input_bits > config.array.input_bits:
            raise InputError(
                f"layer {layer.name!r}",
                f"inputs of at most {config.array.input_bits} bits",
                layer.input_bits,
                "quantize with fewer activation_bits",
            )
        check_signed_inputs(config.array, layer.input_signed)
    placement = place(graph, config.array)
    _check_budget(config, placement.arrays)
    matrices = {
        p.key: program_groups(layer.weights[p.of_groups], config.array)
        for layer in graph.layers
        for p in placement.of_layer(layer.matrix)
    }
    return ReramChip(
        config=config,
        graph=graph,
        placement=placement,
        matrices=matrices,
        faults=FaultMap.of(placement.geometry),
        write_cost=write_cost(config, placement.written_cells),
    )


def run_of(scores: NDArray, cost: Cost) -> Run:
    """Return (N, ...) scores with their classes: the largest score, of equal ones the first."""
    classes = scores.reshape(len(scores), -1).argmax(axis=1).astype(np.int64)
    return Run(scores=scores, classes=classes, cost=cost)


def _check_budget(config: ReramConfig, needed: int) -> None:
    if needed > config.all_arrays:
        held = f"{config.arrays} arrays" + (f" on each of {config.chips} chips" if config.chips > 1 else "")
        raise InputError(
            f"accelerator {config.name!r}",
            f"a network of at most {held}",
            needed,
            f"say chips={-(-needed // config.arrays)} for several chips, or"
            f" arrays={-(-needed // config.chips)} for larger ones",
        )


def check_same_layers(old: IntegerGraph, new: IntegerGraph) -> None:
    """Refuse a network whose layers differ in name or shape."""
    before = {layer.name: layer.weights.shape for layer in old.layers}
    after = {layer.name: layer.weights.shape for layer in new.layers}
    if before != after:
        raise InputError("network", f"layers {before}", str(after), "program it into a new chip")
