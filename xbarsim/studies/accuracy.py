"""Accuracy of healthy and faulty chips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from xbarsim.faults.cell_map import FaultMap
from xbarsim.studies.workbench import Workbench
from xbarsim.training.loop import accuracy


@dataclass(frozen=True, kw_only=True)
class ChipAccuracy:
    """Right predictions of one faulty chip; `used_faults` lie in cells that hold weights."""

    trial: int
    faults: int
    used_faults: int
    hits: int
    shots: int


def accuracy_of_chips(
    bench: Workbench,
    fault_maps: Iterable[FaultMap],
    *,
    fidelity: str = "digital",
    on_chip: Callable[[int], None] | None = None,
) -> list[ChipAccuracy]:
    """Run the test images on a chip with each of these fault maps; fidelity as in `ReramChip.run`."""
    placement, labels = bench.chip.placement, bench.test.labels
    faults: list[tuple[int, int]] = []

    def counted() -> Iterator[FaultMap]:
        for fault_map in fault_maps:
            faults.append((len(fault_map), placement.used_faults(fault_map)))
            yield fault_map

    rows = []
    if fidelity == "digital":
        runs = bench.chip.run_each(counted(), bench.test.images)
    else:
        runs = (bench.chip.inject(m).run(bench.test.images, fidelity=fidelity) for m in counted())
    for trial, run in enumerate(runs):
        in_all, used = faults[trial]
        rows.append(
            ChipAccuracy(
                trial=trial, faults=in_all, used_faults=used, hits=run.hits(labels), shots=len(labels)
            )
        )
        if on_chip is not None:
            on_chip(trial + 1)
    return rows


@dataclass(frozen=True, kw_only=True)
class HealthyAccuracy:
    """Right predictions of the float network and of the healthy chip, on the same images.

    `agreeing` counts the images on which the chip predicts what the integer graph predicts: all of them,
    where no column clips its ADC.
    """

    float_hits: int
    chip_hits: int
    agreeing: int
    shots: int


def healthy_accuracy(
    bench: Workbench, *, on_batch: Callable[[int, int], None] | None = None
) -> HealthyAccuracy:
    """The test images in float, on the integer graph and on the healthy chip."""
    images, labels = bench.test.images, bench.test.labels
    float_hits, shots = accuracy(bench.module, images, labels)
    run = bench.chip.run(images, on_batch=on_batch)
    expected = bench.chip.graph.run(images)
    return HealthyAccuracy(
        float_hits=float_hits,
        chip_hits=run.hits(labels),
        agreeing=int((run.classes == expected.argmax(axis=1)).sum()),
        shots=shots,
    )
