"""Detection of faulty chips by patterns, and what that costs beside a March test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from accel_models.reram.chip import ReramChip
from accel_models.reram.timing import inference_latency_ns
from xbarsim.detection.adversarial import DetectionCount, RunChip, count_detections, pattern_sets
from xbarsim.detection.march.latency import ADDRESSING, march_addresses, march_latency_ns
from xbarsim.detection.march.notation import MarchTest
from xbarsim.faults.cell_map import FaultMap
from xbarsim.studies.workbench import Workbench


@dataclass(frozen=True, kw_only=True)
class DetectionStudy:
    """Detections on faulty chips and false alarms on healthy ones."""

    faulty: list[DetectionCount]
    healthy: list[DetectionCount]


def study_detection(
    bench: Workbench,
    fault_maps: Iterable[FaultMap],
    *,
    patterns: int,
    seed: int,
    epsilon: float | None = None,
    on_chip: Callable[[int], None] | None = None,
) -> DetectionStudy:
    """Test a chip with each of these fault maps, and the healthy chip with as many draws of patterns.

    The answers to compare with are the float network's, so a healthy chip raises a false alarm where its
    quantization alone moves an answer too far. Digital chips have no read noise: that is all that can.
    `on_chip` is called with the chips done, of twice as many as there are fault maps.
    """
    sets = pattern_sets(
        bench.module,
        bench.test.images,
        bench.test.labels,
        epsilon=bench.entry.epsilon if epsilon is None else epsilon,
        value_range=bench.test.value_range,
    )
    faulty = (_logits_of(bench.chip.inject(fault_map)) for fault_map in fault_maps)
    found = count_detections(faulty, sets, patterns=patterns, seed=seed, on_chip=on_chip)
    chips = found[0].chips
    alarms = count_detections(
        [_logits_of(bench.chip)] * chips,
        sets,
        patterns=patterns,
        seed=seed,
        on_chip=None if on_chip is None else lambda done: on_chip(chips + done),
    )
    return DetectionStudy(faulty=found, healthy=alarms)


def _logits_of(chip: ReramChip) -> RunChip:
    return lambda images: chip.run(images).scores


@dataclass(frozen=True, kw_only=True)
class LatencyRow:
    """Latency of one way to test a chip."""

    test: str
    model: str
    latency_ns: float


def compare_latency(bench: Workbench, march: MarchTest, *, patterns: int, restore: bool) -> list[LatencyRow]:
    """Latency of `patterns` patterns and of a March test, the paper's model first, then the fair ones."""
    config, place = bench.chip.config, bench.chip.placement
    rows = [
        LatencyRow(
            test=f"{patterns} patterns",
            model=model,
            latency_ns=inference_latency_ns(bench.chip.loads, config, patterns, model),
        )
        for model in ("mac-proportional", "layer-serial", "pipelined", "balanced")
    ]
    for mode in ADDRESSING:
        addresses = march_addresses(
            mode,
            used_cells=place.used_cells,
            arrays=place.arrays,
            rows=config.array.rows,
            columns=config.array.columns,
        )
        latency = march_latency_ns(
            march,
            addresses=addresses,
            t_read_ns=config.cell.t_read_ns,
            t_write_ns=config.cell.t_write_ns,
            restore=restore,
        )
        rows.append(LatencyRow(test=march.name, model=mode, latency_ns=latency))
    return rows
