"""Accuracy of chips whose cells are conductances, written and read by draws of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from accel_models.reram.analog import AnalogChip, write_analog
from accel_models.reram.chip import ReramChip
from xbarsim.cells.device import Device
from xbarsim.crossbar.parasitic import Wires
from xbarsim.faults.cell_map import FaultMap
from xbarsim.rng import stream
from xbarsim.studies.accuracy import ChipAccuracy
from xbarsim.studies.workbench import Workbench


@dataclass(frozen=True, kw_only=True)
class Physics:
    """What a chip is made of, and when it is looked at.

    Parameters
    ----------
    device : its cells
    wires : their resistances; none for analog fidelity
    seconds : after the write
    """

    device: Device
    wires: Wires
    seconds: float

    @property
    def words(self) -> str:
        """In words, for titles."""
        wires = "" if self.wires.ideal else f", {self.wires.word_ohm:g} ohm a wire segment"
        return f"{self.device.name} cells{wires}, {self.seconds:g} s after the write"

    def write(self, chip: ReramChip, *, seed: int, trial: int) -> AnalogChip:
        """The chip in conductances; the same draws for a trial in every study."""
        rng = stream(seed, "writes", trial)
        return write_analog(chip, self.device, rng, wires=self.wires).age(self.seconds)


def accuracy_of_analog_chips(
    bench: Workbench,
    fault_maps: Iterable[FaultMap],
    physics: Physics,
    *,
    seed: int,
    on_chip: Callable[[float], None] | None = None,
) -> list[ChipAccuracy]:
    """Run the test images on a chip of this physics with each of these fault maps.

    `on_chip` is told how many chips are done; solving the wires of one is half of it.
    """
    rows = []

    def advance(chips: float) -> None:
        if on_chip is not None:
            on_chip(chips)

    for trial, fault_map in enumerate(fault_maps):
        chip = physics.write(bench.chip.inject(fault_map), seed=seed, trial=trial)
        chip.prepare(lambda done, of, trial=trial: advance(trial + done / of / 2))  # type: ignore[misc]
        run = chip.run(bench.test.images, seed=stream(seed, "reads", trial))
        rows.append(
            ChipAccuracy(
                trial=trial,
                faults=len(fault_map),
                used_faults=bench.chip.placement.used_faults(fault_map),
                hits=run.hits(bench.test.labels),
                shots=len(bench.test.labels),
            )
        )
        advance(trial + 1)
    return rows
