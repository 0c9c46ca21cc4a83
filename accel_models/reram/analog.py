"""A ReRAM chip whose cells are conductances: programming, ageing, verified writes and noisy reads.

Conductances are drawn when cells are written and age along one history (see `xbarsim.cells.effects`). A stuck
cell sits at its level's conductance, written or not. Column currents are normalised to levels and the share
of G_off is taken off: exactly ('ideal' reference), or by a column of G_off cells in every array ('column'),
whose errors all columns share and whose read noise every conversion draws anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from accel_models.reram.chip import ReramChip, run_of
from accel_models.reram.conductances import Conductances, Draws
from accel_models.reram.config import ReramConfig
from accel_models.reram.timing import write_cost
from xbarsim.cells.device import Device
from xbarsim.cells.effects import Floats
from xbarsim.cells.encoding import WeightFormat
from xbarsim.chip import Accelerator, Cost, Run, Seed
from xbarsim.crossbar.analog import AnalogMatrix
from xbarsim.crossbar.diagonal import diagonal_blocks
from xbarsim.crossbar.parasitic import Wires
from xbarsim.crossbar.placement import Placement
from xbarsim.crossbar.solved import solve_arrays
from xbarsim.errors import InputError, check_choice, check_int, check_number, check_positive, check_type
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.masks import CellMasks
from xbarsim.faults.table import several
from xbarsim.graph.integer_graph import IntegerGraph, Multiply
from xbarsim.graph.nodes import FloatArray, IntArray, MatMul
from xbarsim.hints import checked
from xbarsim.rng import generator_of

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
    outside : written cells that are still out of tolerance (stuck ones among them)
    rms_uS, worst_uS : error of the written cells after the last round, stuck ones included
    """

    iterations: int
    writes: int
    outside: int
    rms_uS: float
    worst_uS: float


class _Prepared:
    """Matrices that are made when they are first asked for."""

    def __init__(self) -> None:
        self._matrices: dict[Key, AnalogMatrix] | None = None

    def get(self, make: Callable[[], dict[Key, AnalogMatrix]]) -> dict[Key, AnalogMatrix]:
        if self._matrices is None:
            self._matrices = make()
        return self._matrices


@dataclass(frozen=True, kw_only=True, eq=False)
class AnalogChip:
    """A chip with analog fidelity. Immutable, like `ReramChip`. Made by `write_analog` and `AnalogConfig`.

    Attributes
    ----------
    accelerator : what it was programmed with
    chip : its levels, faults and placement
    device : its cells
    reference : 'ideal' or 'column'
    wires : resistances of every array; none of them is analog fidelity, any is parasitic fidelity
    draws : of the last writes, by (layer, first group) as `ReramChip.matrices`
    seconds : since the last write
    write_cost : what the last write cost
    """

    accelerator: Accelerator
    chip: ReramChip
    device: Device
    reference: str
    wires: Wires
    draws: Mapping[Key, Draws]
    seconds: float
    write_cost: Cost
    _prepared: _Prepared = field(default_factory=_Prepared, init=False, repr=False)

    @property
    def graph(self) -> IntegerGraph:
        """The network it was programmed with."""
        return self.chip.graph

    @property
    def geometry(self) -> CellGeometry:
        """The cells that a fault map of this chip refers to."""
        return self.chip.geometry

    @property
    def faults(self) -> FaultMap:
        """Its faults."""
        return self.chip.faults

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""
        return self.chip.input_shape

    @property
    def resources(self) -> dict[str, float]:
        """As `ReramChip.resources`."""
        return self.chip.resources

    def cost(self, inputs: int) -> Cost:
        """As `ReramChip.cost`."""
        return self.chip.cost(inputs)

    @property
    def digital(self) -> ReramChip:
        """The levels that the conductances aim at, as a chip."""
        return self.chip

    @property
    def config(self) -> ReramConfig:
        """The arrays and their converters."""
        return self.chip.config

    @property
    def placement(self) -> Placement:
        """Where the network lies."""
        return self.chip.placement

    @property
    def weight_format(self) -> WeightFormat:
        """How its cells hold weights."""
        return self.chip.weight_format

    def used_faults(self, faults: FaultMap) -> int:
        """As `ReramChip.used_faults`."""
        return self.chip.used_faults(faults)

    def training_masks(self) -> dict[Key, CellMasks]:
        """As `ReramChip.training_masks`."""
        return self.chip.training_masks()

    def inject(self, faults: FaultMap) -> AnalogChip:
        """The chip with these faults on top of its own; healthy cells keep their conductances."""
        return replace(self, chip=self.chip.inject(faults))

    def age(self, seconds: float) -> AnalogChip:
        """The chip so many seconds later, nothing rewritten.

        Raises
        ------
        InputError : a negative time, or later than the device's models hold.
        """
        left = self.device.longest_seconds - self.seconds
        remedy = f"device {self.device.name!r} is known until {self.device.longest_seconds:g} s after a write"
        return replace(self, seconds=self.seconds + check_number("seconds", seconds, 0, left, remedy))

    @checked
    def refresh(self, seed: Seed = 0) -> AnalogChip:
        """Write every cell that matters again: new draws, soft faults gone, time at 0.

        A number draws what it drew for `write_analog`: take another one for another write.
        """
        return self._written(self.chip.refresh(), seed)

    @checked
    def another(self, seed: Seed = 0) -> AnalogChip:
        """Another specimen: the same levels and faults, soft ones too, as old as this one, draws of its own.

        A number draws what it drew for `write_analog`: take another one for another specimen.
        """
        return self._written(self.chip, seed).age(self.seconds)

    @checked
    def update(self, graph: IntegerGraph, seed: Seed = 0) -> AnalogChip:
        """Write the changed cells of a retrained network of the same shape; columns keep their inversion.

        The cells that get another level are drawn anew, and count as old as the others, which keep their
        conductances. A number as `seed` is combined with all draws so far: no two specimens, and no two
        updates of one, draw the same. Soft faults in cells that are not rewritten stay.

        Raises
        ------
        InputError : a network of other layers or shapes.
        """
        chip = self.chip.update(graph)
        rng = seed if isinstance(seed, np.random.Generator) else self._stream(seed)
        draws = {
            key: own.redrawn(self._cells(key).levels_differ(chip.matrices[key]), rng)
            for key, own in self.draws.items()
        }
        return replace(self, chip=chip, draws=draws, write_cost=chip.write_cost)

    @checked
    def write_verify(
        self, tolerance_uS: float, seed: Seed = 0, *, max_iterations: int = 10
    ) -> tuple[AnalogChip, WriteVerify]:
        """Write every cell that matters, then again those further than `tolerance_uS` from their target.

        Verification reads without noise. Soft faults are gone; stuck cells are retried in vain.
        """
        check_positive("tolerance_uS", tolerance_uS)
        check_int("max_iterations", max_iterations, 1, 10**4)
        rng = generator_of(seed)
        fresh = self.refresh(rng)
        cells = {key: fresh._cells(key) for key in fresh.draws}
        writes, iteration = fresh.write_cost.cell_writes, 1
        wrong = {key: found.errors_uS() > tolerance_uS for key, found in cells.items()}
        while iteration < max_iterations and any(w.any() for w in wrong.values()):
            for key, again in wrong.items():
                writes += int(again.sum())
                cells[key] = replace(cells[key], draws=cells[key].draws.redrawn(again, rng))
                wrong[key] = cells[key].errors_uS() > tolerance_uS
            iteration += 1
        errors = np.concatenate([found.errors_uS().ravel() for found in cells.values()])
        cost = write_cost(self.chip.config, writes, rounds=iteration)
        report = WriteVerify(
            iterations=iteration,
            writes=writes,
            outside=sum(int(w.sum()) for w in wrong.values()),
            rms_uS=float(np.sqrt(np.mean(np.square(errors, dtype=np.float64)))),
            worst_uS=float(errors.max()),
        )
        draws = {key: found.draws for key, found in cells.items()}
        return replace(fresh, draws=draws, write_cost=cost), report

    @checked
    def run(
        self,
        inputs: Any,
        *,
        seed: Seed = 0,
        batch_size: int = 64,
        on_batch: Callable[[int, int], None] | None = None,
    ) -> Run:
        """Run (N, *input_shape) floats. Read noise depends on `seed` and an input's place, not on batches.

        Raises
        ------
        InputError : inputs of another shape, none at all, or that are not finite real numbers; no seed.
        """
        scores = self.graph.run(
            inputs,
            multiply=self.multiplier(seed),
            batch_size=batch_size,
            on_batch=on_batch,
            watched=False,
        )
        return run_of(scores, self.cost(len(scores)))

    def multiplier(self, seed: Seed = 0) -> Multiply:
        """The products of the arrays for one run: inputs are counted from the first on, for their noise."""
        noise, done = int(generator_of(seed).integers(2**63)), dict.fromkeys(self.draws, 0)

        def multiply(layer: MatMul, x: NDArray) -> NDArray:
            places, rows = self.placement.of_layer(layer.matrix), layer.rows(x)
            products = [product(p.key, p.rows(rows), layer.input_signed) for p in places]
            return layer.gather(products, x.shape)

        def product(key: Key, rows: FloatArray, signed: bool) -> IntArray:
            first, done[key] = done[key], done[key] + len(rows)
            own = np.random.SeedSequence(noise, spawn_key=(list(self.draws).index(key),))
            noise_seed = int(own.generate_state(1, np.uint64)[0])
            return self.matrices[key].multiply(rows, signed, seed=noise_seed, first=first)

        return multiply

    def run_each(self, faults: Iterable[FaultMap], inputs: NDArray, *, seed: Seed = 0) -> Iterator[Run]:
        """Run the same inputs on a copy with each of these fault maps on top of its own."""
        return (self.inject(found).run(inputs, seed=seed) for found in several(faults))

    @property
    def matrices(self) -> dict[Key, AnalogMatrix]:
        """The cells as the columns see them now."""
        return self.prepare()

    def prepare(self, on_array: Callable[[int, int], None] | None = None) -> dict[Key, AnalogMatrix]:
        """`matrices`, with progress: solves the wire networks of all arrays that are not cached."""
        return self._prepared.get(lambda: self._matrices(on_array))

    def conductances_uS(self, layer: str, group: int = 0) -> Floats:
        """(digits, K, M): the conductance now of every cell that holds a weight of a group."""
        place = self.placement.place_of(layer, group)
        return diagonal_blocks(self._cells(place.key).used_uS(), place.groups)[group - place.group]

    def _cells(self, key: Key) -> Conductances:
        return Conductances(
            digital=self.chip.matrices[key],
            device=self.device,
            draws=self.draws[key],
            seconds=self.seconds,
            column=self.reference == "column",
        )

    def _written(self, chip: ReramChip, seed: Seed) -> AnalogChip:
        return write_analog(
            chip, self.device, seed, reference=self.reference, wires=self.wires, accelerator=self.accelerator
        )

    def _stream(self, seed: int) -> np.random.Generator:
        digests = [crc32(np.ascontiguousarray(own.cells).data) for own in self.draws.values()]
        return np.random.default_rng([check_int("seed", seed, 0, 2**63 - 1), *digests])

    def _matrices(self, on_array: Callable[[int, int], None] | None) -> dict[Key, AnalogMatrix]:
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
        return lambda number: self.faults.levels_of_idle_array(first + number)


@checked
def write_analog(
    chip: ReramChip,
    device: Device,
    seed: Seed = 0,
    *,
    reference: str = "ideal",
    wires: Wires = NO_WIRES,
    accelerator: Accelerator | None = None,
) -> AnalogChip:
    """Write a chip's levels into conductances, every cell with draws of its own.

    Parameters
    ----------
    chip : levels, faults and converters; its ADC rounds or clips as configured
    device : see `xbarsim.cells.device.device`
    reference : 'ideal' or 'column', see the module
    seed : of the draws; a generator is drawn from
    wires : their resistances; only with the ideal reference
    accelerator : what the chip is of; the digital chip's if not given

    Raises
    ------
    InputError : an unknown reference, or a reference column behind resistive wires.
    """
    check_type("device", device, Device, "look it up with xbarsim.cells.device.device")
    check_choice("reference", reference, REFERENCES)
    if reference == "column" and not wires.ideal:
        raise InputError("reference", "'ideal' with resistive wires", "'column'", "no such model is built")
    rng = generator_of(seed)
    return AnalogChip(
        accelerator=chip.accelerator if accelerator is None else accelerator,
        chip=chip,
        device=device,
        reference=reference,
        wires=wires,
        draws={key: Draws.make(matrix, device, rng) for key, matrix in chip.matrices.items()},
        seconds=0.0,
        write_cost=write_cost(chip.config, chip.placement.written_cells),
    )
