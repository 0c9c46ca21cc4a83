"""What a network takes of an accelerator: layer by layer, for an inference, and what can be wrong with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accel_models.finn.chip import FinnChip
from accel_models.finn.cycles import DesignCycles, design_cycles
from accel_models.finn.folding import fold_for_rate, read_folding
from accel_models.finn.resources import PYNQ_Z1
from accel_models.reram.analog import AnalogChip
from accel_models.reram.chip import ReramChip
from xbarsim.errors import InputError, check_positive
from xbarsim.faults.pe import PeFaultKind
from xbarsim.registry import accelerators
from xbarsim.report.tables import Table, duration
from xbarsim.subject import Subject
from xbarsim.torch_bridge.cost import LayerCost, training_cost

BOARDS_MHz = {"Pynq-Z1": 100.0, "Ultra96": 300.0}
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
    if chip.config.chips > 1:
        words.append(f"{chip.config.chips} chips, the links between which are taken to cost nothing.")
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


def is_finn(subject: Subject) -> bool:
    """Whether a subject's chip is one of FINN's."""
    return isinstance(subject.chip, FinnChip)


def _finn(subject: Subject, what: str) -> FinnChip:
    if not isinstance(subject.chip, FinnChip):
        raise InputError(what, "a FINN chip", type(subject.chip).__name__, "choose the accelerator finn")
    return subject.chip


def refolded(subject: Subject, *, folding: Path | None, target_rate: float | None) -> Subject:
    """Return a FINN subject with its layers folded as a file says, or for so many images a second.

    Raises
    ------
    InputError : both, another kind of chip, a file that is none, a rate that no folding reaches.
    """
    if folding is None and target_rate is None:
        return subject
    if folding is not None and target_rate is not None:
        raise InputError("folding", "a file or a rate to reach", "both", "leave one of them out")
    chip = _finn(subject, "target rate" if folding is None else "folding")
    network, clock_MHz = chip.network, chip.accelerator.clock_MHz
    if folding is not None:
        found = read_folding(folding, network)
    else:
        rate = check_positive("target rate", target_rate)
        interval = network.first_layer_interval
        found = fold_for_rate(network, rate, clock_MHz, word_bits=64, first_layer_interval=interval)
    return Subject(found, subject.accelerator, test=subject.test, train=subject.train, name=subject.name)


def cycles_of(subject: Subject) -> DesignCycles:
    """Return the cycles of a FINN chip's layers."""
    network = _finn(subject, "cycles").network
    return design_cycles(network, first_layer_interval=network.first_layer_interval)


def clock_table(subject: Subject) -> Table:
    """Rates and latencies of a FINN chip at the boards' clocks and at its own."""
    chip, cycles = _finn(subject, "clocks"), cycles_of(subject)
    clocks = dict(BOARDS_MHz)
    if chip.accelerator.clock_MHz not in clocks.values():
        clocks["its own"] = chip.accelerator.clock_MHz
    rows = [
        (
            f"{board}, {clock:g} MHz",
            f"{cycles.images_per_s(clock):,.0f}",
            f"{cycles.latency_us(clock) / 1000:.3g} ms",
            f"{cycles.sum_cycles / clock / 1000:.3g} ms",
        )
        for board, clock in clocks.items()
    ]
    known = PYNQ_Z1.get(chip.network.name)
    beside = (
        ""
        if known is None
        else f" Published for the shipped folding on a Pynq-Z1: {known.luts:,} LUT, {known.bram36:g} BRAM36, "
        f"{known.dsp} DSP, whole design."
    )
    return Table(
        title="On a board, by the cycle model",
        columns=("board", "images/s", "latency", "FINN's sum of layers"),
        rows=tuple(rows),
        note=f"Interval {cycles.interval_cycles:,} cycles, latency {cycles.latency_cycles:,}.{beside}",
    )


def training_cost_of(subject: Subject) -> list[LayerCost]:
    """Return what training each layer of a subject's module takes."""
    return training_cost(subject.module, subject.test.images.shape[1:])


def training_table(subject: Subject, layers: Sequence[LayerCost]) -> Table:
    """Parameters, numbers to keep and operations, layer by layer."""
    columns = ("parameters", "parameter_bytes", "training_numbers", "operations")
    rows = [(layer.layer, *(f"{getattr(layer, c):,.0f}" for c in columns)) for layer in layers]
    totals = (f"{sum(getattr(layer, c) for layer in layers):,.0f}" for c in columns)
    return Table(
        title=f"Training {subject.name}, by layer",
        columns=("layer", "parameters", "bytes", "numbers kept", "operations"),
        rows=(*rows, ("all", *totals)),
        note="Of one image in 32 bits; numbers kept: Eqs. 20 and 23 of the adversarial-features paper.",
    )
