"""A ReRAM chip whose cells are conductances: programming, ageing, verified writes and noisy reads.

Conductances are drawn when cells are written and age along one history (see `xbarsim.cells.effects`). A stuck
cell sits at its level's conductance, written or not. Column currents are normalised to levels and the share
of G_off is taken off: exactly ('ideal' reference), or by a column of G_off cells in every array ('column'),
whose errors all columns share and whose read noise every conversion draws anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_models.reram.chip import ReramChip
from accel_models.reram.conductances import Conductances, Draws
from accel_models.reram.timing import write_cost
from xbarsim.cells.device import Device
from xbarsim.cells.effects import Floats
from xbarsim.chip import Cost
from xbarsim.crossbar.analog import AnalogMatrix
from xbarsim.crossbar.parasitic import Wires
from xbarsim.crossbar.solved import solve_arrays
from xbarsim.errors import InputError, check_choice, check_int, check_number, check_positive, check_type
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.masks import CellMasks
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import FloatArray, IntArray, MatMul

Key = tuple[str, int]
REFERENCES = ("ideal", "column")
NO_WIRES = Wires(word_ohm=0, bit_ohm=0)


@dataclass(frozen=True, kw_only=True)
class WriteVerify:
    """What verified writes took and left.

    Attributes
    ----------
    iterations : rounds of write and verify, the first write included
    writes : cell writes in all
    outside : used cells that are still out of tolerance (stuck ones among them)
    rms_uS, worst_uS : error of the used cells after the last round, stuck ones included
    """

    iterations: int
    writes: int
    outside: int
    rms_uS: float
    worst_uS: float


@dataclass(frozen=True, kw_only=True, eq=False)
class AnalogChip:
    """A chip with analog fidelity. Immutable, like `ReramChip`. Make it with `write_analog`.

    Attributes
    ----------
    chip : its levels, faults and placement
    device : its cells
    reference : 'ideal' or 'column'
    wires : resistances of every array; none of them is analog fidelity, any is parasitic fidelity
    draws : of the last writes, by (layer, group)
    seconds : since the last write
    write_cost : what the last write cost
    """

    chip: ReramChip
    device: Device
    reference: str
    wires: Wires
    draws: dict[Key, Draws]
    seconds: float
    write_cost: Cost

    @property
    def graph(self) -> IntegerGraph:
        """The network it was programmed with."""
        return self.chip.graph

    @property
    def geometry(self) -> CellGeometry:
        """The cells that a fault map of this chip refers to."""
        return self.chip.geometry

    @property
    def fault_map(self) -> FaultMap:
        """Its faults."""
        return self.chip.fault_map

    def training_masks(self) -> dict[Key, CellMasks]:
        """As `ReramChip.training_masks`."""
        return self.chip.training_masks()

    def inject(self, fault_map: FaultMap) -> AnalogChip:
        """The chip with these faults on top of its own; healthy cells keep their conductances."""
        return replace(self, chip=self.chip.inject(fault_map))

    def age(self, seconds: float) -> AnalogChip:
        """The chip so many seconds later, nothing rewritten.

        Raises
        ------
        InputError : a negative time, or later than the device's models hold.
        """
        left = self.device.longest_seconds - self.seconds
        remedy = f"device {self.device.name!r} is known until {self.device.longest_seconds:g} s after a write"
        return replace(self, seconds=self.seconds + check_number("seconds", seconds, 0, left, remedy))

    def refresh(self, rng: np.random.Generator) -> AnalogChip:
        """Write every used cell again: new draws, soft faults gone, time at 0."""
        return write_analog(self.chip.refresh(), self.device, rng, reference=self.reference, wires=self.wires)

    def write_verify(
        self, tolerance_uS: float, rng: np.random.Generator, *, max_iterations: int = 10
    ) -> tuple[AnalogChip, WriteVerify]:
        """Write every used cell, then again those that are further than `tolerance_uS` from their target.

        Verification reads without noise. Soft faults are gone; stuck cells are retried in vain.
        """
        check_positive("tolerance_uS", tolerance_uS)
        check_int("max_iterations", max_iterations, 1, 10**4)
        fresh = self.refresh(rng)
        writes, iteration = fresh.write_cost.cell_writes, 1
        wrong = {key: fresh._cells(key).errors_uS() > tolerance_uS for key in fresh.draws}
        while iteration < max_iterations and any(w.any() for w in wrong.values()):
            for key, draws in fresh.draws.items():
                again = wrong[key]
                writes += int(again.sum())
                draws.cells[:, again] = rng.standard_normal((len(draws.cells), again.sum()), np.float32)
                wrong[key] = fresh._cells(key).errors_uS() > tolerance_uS
            iteration += 1
        errors = np.concatenate([fresh._cells(key).errors_uS().ravel() for key in fresh.draws])
        cost = write_cost(self.chip.config, writes, rounds=iteration)
        report = WriteVerify(
            iterations=iteration,
            writes=writes,
            outside=sum(int(w.sum()) for w in wrong.values()),
            rms_uS=float(np.sqrt(np.mean(np.square(errors, dtype=np.float64)))),
            worst_uS=float(errors.max()),
        )
        return replace(fresh, write_cost=cost), report

    def run(
        self,
        images: NDArray[np.floating],
        rng: np.random.Generator,
        *,
        batch_size: int = 64,
        on_batch: Callable[[int, int], None] | None = None,
    ) -> tuple[NDArray[np.float64], Cost]:
        """Logits (N, classes) of (N, ...) images, and the cost of the run.

        Read noise depends on `rng` and the image's number, not on batches or threads.
        """
        check_type("rng", rng, np.random.Generator, "use numpy.random.default_rng(seed)")
        seed, done = int(rng.integers(2**63)), dict.fromkeys(self.draws, 0)

        def multiply(layer: MatMul, group: int, rows: FloatArray) -> IntArray:
            key = layer.name, group
            first, done[key] = done[key], done[key] + len(rows)
            own = np.random.SeedSequence(seed, spawn_key=(list(self.draws).index(key),))
            noise_seed = int(own.generate_state(1, np.uint64)[0])
            return self.matrices[key].multiply(rows, layer.input_signed, seed=noise_seed, first=first)

        logits = self.graph.run(images, multiply=multiply, batch_size=batch_size, on_batch=on_batch)
        return logits, self.chip.run_cost(len(images))

    @cached_property
    def matrices(self) -> dict[Key, AnalogMatrix]:
        """The cells as the columns see them now."""
        return self._prepare(None)

    def prepare(self, on_array: Callable[[int, int], None] | None = None) -> dict[Key, AnalogMatrix]:
        """`matrices`, with progress: solves the wire networks of all arrays that are not cached."""
        if "matrices" not in self.__dict__:
            self.__dict__["matrices"] = self._prepare(on_array)
        return self.matrices

    def conductances_uS(self, layer: str, group: int = 0) -> Floats:
        """(digits, K, M): the conductance of every used cell of a matrix now."""
        return self._cells((layer, group)).used_uS()

    def _cells(self, key: Key) -> Conductances:
        return Conductances(
            digital=self.chip.matrices[key],
            device=self.device,
            draws=self.draws[key],
            seconds=self.seconds,
            column=self.reference == "column",
        )

    def _prepare(self, on_array: Callable[[int, int], None] | None) -> dict[Key, AnalogMatrix]:
        cells = {key: self._cells(key) for key in self.draws}
        if self.wires.ideal:
            return {key: found.matrix(found.bare()) for key, found in cells.items()}
        solved = self._solved(cells, on_array)
        matrices = {key: found.matrix(found.behind_wires(solved)) for key, found in cells.items()}
        next(solved, None)  # let it tidy the cache
        return matrices

    def _solved(
        self, cells: dict[Key, Conductances], on_array: Callable[[int, int], None] | None
    ) -> Iterator[Floats]:
        """What columns see of every array, in the order of the placement."""
        arrays = (array for key, found in cells.items() for array in found.arrays(self._idle_levels(key)))
        for done, array in enumerate(solve_arrays(arrays, self.wires), 1):
            if on_array is not None:
                on_array(done, self.chip.placement.arrays)
            yield array

    def _idle_levels(self, key: Key) -> Callable[[int], IntArray]:
        first = self.chip.placement.place_of(*key).first
        return lambda number: self.fault_map.levels_of_idle_array(first + number)


def write_analog(
    chip: ReramChip,
    device: Device,
    rng: np.random.Generator,
    *,
    reference: str = "ideal",
    wires: Wires = NO_WIRES,
) -> AnalogChip:
    """Write a chip's levels into conductances, every cell with draws of its own from `rng`.

    Parameters
    ----------
    chip : levels, faults and converters; its ADC rounds or clips as configured
    device : see `xbarsim.cells.device.device`
    reference : 'ideal' or 'column', see the module
    wires : their resistances; only with the ideal reference

    Raises
    ------
    InputError : an unknown reference, or a reference column behind resistive wires.
    """
    check_type("device", device, Device, "look it up with xbarsim.cells.device.device")
    check_type("rng", rng, np.random.Generator, "use numpy.random.default_rng(seed)")
    check_choice("reference", reference, REFERENCES)
    if reference == "column" and not wires.ideal:
        raise InputError("reference", "'ideal' with resistive wires", "'column'", "no such model is built")
    return AnalogChip(
        chip=chip,
        device=device,
        reference=reference,
        wires=wires,
        draws={key: Draws.make(matrix, device, rng) for key, matrix in chip.matrices.items()},
        seconds=0.0,
        write_cost=write_cost(chip.config, chip.placement.used_cells),
    )
