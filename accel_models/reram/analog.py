"""A ReRAM chip whose cells are conductances: programming, ageing, verified writes and noisy reads.

Conductances are drawn when cells are written and age along one history (see `xbarsim.cells.effects`). A stuck
cell sits at its level's conductance, written or not. Column currents are normalised to levels and the share
of G_off is taken off: exactly ('ideal' reference), or by a column of G_off cells in every array ('column'),
whose errors all columns share and whose read noise every conversion draws anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_models.reram.chip import ReramChip
from accel_models.reram.timing import write_cost
from xbarsim.cells.device import Device
from xbarsim.cells.effects import Floats
from xbarsim.checks import InputError, check_choice, check_int, check_number, check_positive, check_type
from xbarsim.crossbar.analog import HEADROOM, AnalogMatrix, analog_matrix
from xbarsim.crossbar.matrix import ProgrammedMatrix
from xbarsim.crossbar.parasitic import Wires
from xbarsim.crossbar.solved import solve_arrays
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.masks import CellMasks
from xbarsim.mapping.graph import IntegerGraph
from xbarsim.mapping.nodes import FloatArray, IntArray, MatMul
from xbarsim.mapping.protocols import Cost

Key = tuple[str, int]
REFERENCES = ("ideal", "column")
NO_WIRES = Wires(word_ohm=0, bit_ohm=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """Standard normal draws of a matrix's cells since they were last written.

    Attributes
    ----------
    cells : (draws, digits, K, M) float32
    reference : (draws, K, column blocks) float32, of the reference columns
    """

    cells: Floats
    reference: Floats


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
        wrong = {key: fresh._errors_uS(key) > tolerance_uS for key in fresh.draws}
        while iteration < max_iterations and any(w.any() for w in wrong.values()):
            for key, draws in fresh.draws.items():
                again = wrong[key]
                writes += int(again.sum())
                draws.cells[:, again] = rng.standard_normal((len(draws.cells), again.sum()), np.float32)
                wrong[key] = fresh._errors_uS(key) > tolerance_uS
            iteration += 1
        errors = np.concatenate([fresh._errors_uS(key).ravel() for key in fresh.draws])
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

    def _prepare(self, on_array: Callable[[int, int], None] | None) -> dict[Key, AnalogMatrix]:
        if self.wires.ideal:
            return {key: self._matrix(key, self._bare(key)) for key in self.draws}
        total = self.chip.placement.arrays

        def solved() -> Iterator[Floats]:
            arrays = (array for key in self.draws for array in self._arrays(key))
            for done, array in enumerate(solve_arrays(arrays, self.wires), 1):
                if on_array is not None:
                    on_array(done, total)
                yield array

        every = solved()
        found = {key: self._matrix(key, self._behind_wires(key, every)) for key in self.draws}
        next(every, None)  # let it tidy the cache
        return found

    def conductances_uS(self, layer: str, group: int = 0) -> Floats:
        """(digits, K, M): the conductance of every used cell of a matrix now."""
        matrix = self.chip.matrices[layer, group]
        return np.concatenate(
            [self._block_uS((layer, group), b) for b in range(len(matrix.inversion))], axis=1
        )

    def _matrix(self, key: Key, blocks: Iterable[tuple[Floats, Floats]]) -> AnalogMatrix:
        """A matrix from its row blocks' conductances: the cells' own, and as the columns see them."""
        digital, device = self.chip.matrices[key], self.device
        bound, uniform = 0.0, device.read is None or device.read.uniform
        if not uniform:
            highest = np.array([device.g_off_uS + HEADROOM * (device.g_on_uS - device.g_off_uS)], np.float32)
            bound = float(self._variance(highest)[0]) * (2 if self.reference == "column" else 1)

        def in_levels() -> Iterator[tuple[Floats, Floats | float]]:
            step = np.float32(device.step_uS(digital.config.format.levels))
            for block, (own, effective) in enumerate(blocks):
                reference, variance = np.full((1, 1), device.g_off_uS, np.float32), self._variance(own)
                if self.reference == "column":
                    reference = self._reference_uS(key, block)
                    variance = variance + self._variance(reference)
                yield (effective - reference) / step, float(variance.flat[0]) if uniform else variance

        return analog_matrix(
            digital.config, digital.inversion, digital.shape, in_levels(), largest_variance=bound
        )

    def _bare(self, key: Key) -> Iterator[tuple[Floats, Floats]]:
        for block in range(len(self.chip.matrices[key].inversion)):
            g = self._block_uS(key, block)
            yield g, g

    def _behind_wires(self, key: Key, solved: Iterator[Floats]) -> Iterator[tuple[Floats, Floats]]:
        config = self.chip.matrices[key].config
        digits, width = config.format.digits, config.weights_per_row
        for block in range(len(self.chip.matrices[key].inversion)):
            own = self._block_uS(key, block)
            effective = np.empty_like(own)
            for start in range(0, own.shape[2], width):
                part = effective[:, :, start : start + width]
                used = next(solved)[: own.shape[1], : part.shape[2] * digits]
                part[...] = used.reshape(own.shape[1], -1, digits).transpose(2, 0, 1)
            yield own, effective

    def _arrays(self, key: Key) -> Iterator[Floats]:
        """Conductances of every array of a matrix, row block by row block.

        Unused cells sit at G_off, faulty ones where their fault puts level 0.
        """
        config = self.chip.matrices[key].config
        width, array = config.weights_per_row, self.chip.placement.place_of(*key).first
        for block in range(len(self.chip.matrices[key].inversion)):
            own = self._block_uS(key, block)
            for start in range(0, own.shape[2], width):
                cells = own[:, :, start : start + width].transpose(1, 2, 0).reshape(own.shape[1], -1)
                idle = self.fault_map.levels_of_idle_array(array)
                found = self.device.target_uS(idle, config.format.levels)
                found[: cells.shape[0], : cells.shape[1]] = cells
                array += 1
                yield found

    def _variance(self, g_uS: Floats) -> Floats:
        """Of one read, in levels squared."""
        step = self.device.step_uS(self.chip.config.array.format.levels)
        return np.square(self.device.read_sigma_uS(g_uS, self.seconds) / np.float32(step))

    def _block_uS(self, key: Key, block: int) -> Floats:
        """(digits, rows, M) conductances of a row block."""
        digital = self.chip.matrices[key]
        rows = slice(block * digital.config.rows, (block + 1) * digital.config.rows)
        target = self._target_uS(digital, digital.held[rows])
        z = self.draws[key].cells[:, :, rows]
        g = np.stack([self.device.conductance_uS(t, z[:, d], self.seconds) for d, t in enumerate(target)])
        if digital.masks is None:
            return g
        return np.where(_stuck_digits(digital, rows), target, g)

    def _reference_uS(self, key: Key, block: int) -> Floats:
        """(rows, M) conductances of the reference cell in each weight's row and array."""
        config, (_, m) = self.chip.config.array, self.chip.matrices[key].shape
        z = self.draws[key].reference[:, block * config.rows : (block + 1) * config.rows]
        target = np.full(z.shape[1:], self.device.g_off_uS, np.float32)
        found = self.device.conductance_uS(target, z, self.seconds)
        return np.repeat(found, config.weights_per_row, axis=1)[:, :m]

    def _target_uS(self, digital: ProgrammedMatrix, words: IntArray) -> Floats:
        form = digital.config.format
        levels = (form.level(words, d) for d in range(form.digits))
        return np.stack([self.device.target_uS(level, form.levels) for level in levels])

    def _errors_uS(self, key: Key) -> Floats:
        wanted = self._target_uS(self.chip.matrices[key], self.chip.matrices[key].stored)
        return np.abs(self.conductances_uS(*key) - wanted)


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
    columns = chip.config.array.weights_per_row
    draws = {}
    for key, matrix in chip.matrices.items():
        k, m = matrix.shape
        draws[key] = Draws(
            cells=rng.standard_normal((device.draws, matrix.config.format.digits, k, m), np.float32),
            reference=rng.standard_normal((device.draws, k, -(-m // columns)), np.float32),
        )
    return AnalogChip(
        chip=chip,
        device=device,
        reference=reference,
        wires=wires,
        draws=draws,
        seconds=0.0,
        write_cost=write_cost(chip.config, chip.placement.used_cells),
    )


def _stuck_digits(digital: ProgrammedMatrix, rows: slice) -> NDArray[np.bool_]:
    """(digits, rows, M): which cells are stuck."""
    assert digital.masks is not None
    form = digital.config.format
    kept = digital.masks.keep[rows]
    return np.stack([form.level(kept, d) == 0 for d in range(form.digits)])
