"""What a network takes of an accelerator: layer by layer, for an inference, and what can be wrong with it."""

from __future__ import annotations

import math
from typing import Any

from accel_models.finn.chip import FinnChip
from accel_models.finn.cycles import design_cycles
from accel_models.reram.analog import AnalogChip
from accel_models.reram.chip import ReramChip
from xbarsim.faults.pe import PeFaultKind
from xbarsim.registry import accelerators
from xbarsim.report.tables import Table, duration
from xbarsim.subject import Subject

Layers = tuple[tuple[str, ...], list[tuple[str, ...]], str]


def chip_table(subject: Subject) -> Table:
    """Return the layers on the hardware; below them the whole, and what an inference takes."""
    chip: Any = subject.chip
    digital = chip.chip if isinstance(chip, AnalogChip) else chip
    if isinstance(digital, ReramChip):
        columns, rows, note = _arrays(digital)
    elif isinstance(chip, FinnChip):
        columns, rows, note = _units(chip)
    else:
        columns, rows, note = ("", "amount"), _amounts(chip), ""
    one = chip.cost(1)
    taken = f"An inference: {_time(one.latency_ns)}, {_energy(one.energy_pJ)}."
    return Table(
        title=f"{subject.name} on {accelerators.words(subject.accelerator)}: {_whole(chip)}",
        columns=columns,
        rows=tuple(rows),
        note=f"{taken} {note}".strip(),
    )


def _whole(chip: Any) -> str:
    return ", ".join(f"{value:,.6g} {name.replace('_', ' ')}" for name, value in chip.resources.items())


def _amounts(chip: Any) -> list[tuple[str, ...]]:
    return [(name.replace("_", " "), f"{value:,.6g}") for name, value in chip.resources.items()]


def _time(latency_ns: float) -> str:
    return duration(latency_ns) if math.isfinite(latency_ns) else "latency unknown"


def _energy(energy_pJ: float) -> str:
    return f"{energy_pJ / 1e6:.3g} uJ" if math.isfinite(energy_pJ) else "energy unknown"


def _arrays(chip: ReramChip) -> Layers:
    shares = chip.collapse_shares()
    rows: list[tuple[str, ...]] = [
        (load.name, str(load.arrays), str(load.positions), str(load.macs), f"{shares[load.name].proven:.1%}")
        for load in chip.loads
    ]
    reasons = [f"{name}: {found.reason}." for name, found in shares.items() if found.reason]
    written = f"{chip.write_cost.cell_writes} cell writes, {duration(chip.write_cost.latency_ns)}"
    words = [
        "Pipelined.",
        f"Programming: {written}.",
        "Collapses: outputs that the ADC provably cannot change.",
    ]
    return ("layer", "arrays", "positions", "MACs", "collapses"), rows, " ".join([*words, *reasons])


def _units(chip: FinnChip) -> Layers:
    cycles = design_cycles(chip.network, first_layer_interval=chip.network.first_layer_interval)
    rows: list[tuple[str, ...]] = []
    for layer, taken in zip(chip.network.layers, cycles.layers, strict=True):
        kind = "fc" if layer.fully_connected else f"{layer.kernel[0]} x {layer.kernel[1]}"
        rows.append(
            (
                layer.name,
                kind + (f", pool {layer.pool}" if layer.pool > 1 else ""),
                f"{layer.rows} x {layer.columns}",
                f"W{layer.weight_bits}A{layer.input.bits}",
                str(layer.pe),
                str(layer.simd),
                f"{taken.matrix:,}",
                f"{taken.window:,}" if taken.window else "-",
            )
        )
    counts = ", ".join(f"{chip.geometry.count_faults(kind):,} {kind.name}" for kind in PeFaultKind)
    columns = ("layer", "kind", "MH x MW", "bits", "PE", "SIMD", "matrix unit", "window unit")
    return columns, rows, f"Units in cycles an image. Single faults: {counts}."
