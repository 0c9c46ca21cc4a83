"""A board's results as tables and figures for people."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from accel_models.finn.chip import FinnChip
from accel_models.finn.concurrent import FaultResults
from accel_models.finn.equivalence import saved_by_kind
from accel_models.finn.resources import PYNQ_Z1
from xbarsim.faults.pe import SHARED_LAYER, PeFaultKind
from xbarsim.files import write_atomically
from xbarsim.metrics.intervals import wilson
from xbarsim.report.plots import fault_accuracies
from xbarsim.report.tables import Table
from xbarsim.studies.boards import BoardAccuracy, BoardBench, BoardCost, Campaign

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOARDS_MHz = {"Pynq-Z1": 100.0, "Ultra96": 300.0}
SHOWN = 10


def accuracy_table(bench: BoardBench, found: BoardAccuracy) -> Table:
    """Right answers, and how fast they came here."""
    rate = wilson(found.hits, found.shots)
    return Table(
        title=f"{bench.design.network.name} on {bench.dataset}",
        columns=("images", "right", "accuracy", "95 % interval", "images/s here"),
        rows=(
            (
                str(found.shots),
                str(found.hits),
                f"{rate.value:.2%}",
                f"{rate.low:.2%} .. {rate.high:.2%}",
                f"{found.shots / found.seconds:,.0f}",
            ),
        ),
        note="Bit for bit what the board computes.",
    )


def layers_table(bench: BoardBench, cost: BoardCost) -> Table:
    """The folding, and the cycles that it takes."""
    rows = []
    for layer, cycles in zip(bench.design.network.layers, cost.cycles.layers, strict=True):
        kind = "fc" if layer.fully_connected else f"{layer.kernel[0]} x {layer.kernel[1]}"
        rows.append(
            (
                layer.name,
                kind + (f", pool {layer.pool}" if layer.pool > 1 else ""),
                f"{layer.rows} x {layer.columns}",
                f"W{layer.weight_bits}A{layer.input.bits}",
                str(layer.pe),
                str(layer.simd),
                f"{cycles.matrix:,}",
                f"{cycles.window:,}" if cycles.window else "-",
            )
        )
    return Table(
        title="Layers and cycles an image",
        columns=("layer", "kind", "MH x MW", "bits", "PE", "SIMD", "matrix unit", "window unit"),
        rows=tuple(rows),
    )


def board_table(bench: BoardBench, cost: BoardCost, target_MHz: float | None = None) -> Table:
    """Rates and latencies at the boards' clocks and at a wanted one, and resources beside published ones."""
    cycles, resources = cost.cycles, cost.resources
    clocks = dict(BOARDS_MHz)
    if target_MHz is not None and target_MHz not in clocks.values():
        clocks["target"] = target_MHz
    rows = [
        (
            f"{board}, {clock:g} MHz",
            f"{cycles.images_per_s(clock):,.0f}",
            f"{cycles.latency_us(clock) / 1000:.3g} ms",
            f"{cycles.sum_cycles / clock / 1000:.3g} ms",
        )
        for board, clock in clocks.items()
    ]
    known = PYNQ_Z1.get(bench.design.network.name)
    beside = (
        ""
        if known is None
        else f" Published for the shipped folding on a Pynq-Z1: {known.luts:,} LUT, "
        f"{known.bram36:g} BRAM36, {known.dsp} DSP, whole design."
    )
    return Table(
        title="On a board, by the cycle model",
        columns=("board", "images/s", "latency", "FINN's sum of layers"),
        rows=tuple(rows),
        note=f"Interval {cycles.interval_cycles:,} cycles, latency {cycles.latency_cycles:,}. "
        f"Matrix units: about {resources.luts:,} LUT and {resources.bram18 / 2:g} BRAM36 for weights, "
        f"estimated.{beside}",
    )


def campaign_table(campaign: Campaign) -> Table:
    """What faults of each kind did in each layer."""
    results, rows = campaign.results, []
    kind, layer = results.faults.column("kind"), results.faults.column("layer")
    for k, m in np.unique(np.stack([kind, layer], axis=1), axis=0):
        own = (kind == k) & (layer == m)
        accuracy, flips = results.accuracy[own], results.flip_rate[own]
        rows.append(
            (
                PeFaultKind(k).name,
                "all" if m == SHARED_LAYER else str(m),
                str(int(own.sum())),
                f"{accuracy.min():.2%}",
                f"{accuracy.mean():.2%}",
                f"{accuracy.max():.2%}",
                f"{flips.mean():.2%}",
                f"{flips.max():.2%}",
                f"{results.masked[own].mean() / results.shots:.2%}",
            )
        )
    parts = [
        f"{n:,} {name} ({none:,} without effect)"
        for name, (n, none, _) in saved_by_kind(campaign.classes).items()
    ]
    return Table(
        title=f"{len(results.faults):,} single faults on {results.shots:,} images; "
        f"fault-free {results.baseline_hits / results.shots:.2%}",
        columns=("kind", "layer", "faults", "worst", "mean", "best", "mean flips", "most flips", "masked"),
        rows=tuple(rows),
        note="Accuracy under one fault at a time; flips: predictions that change; masked: images "
        f"whose class scores do not. {', '.join(parts)}; {campaign.classes.saved:,} need no simulation "
        "of their own.",
    )


def critical_table(results: FaultResults) -> Table:
    """The faults that cost most accuracy."""
    worst = np.lexsort((-results.flips, results.hits))[:SHOWN]
    rows = [
        (str(results.faults[int(i)]), f"{results.accuracy[i]:.2%}", f"{results.flip_rate[i]:.2%}")
        for i in worst
    ]
    return Table(title="The worst faults", columns=("fault", "accuracy", "flips"), rows=tuple(rows))


def campaign_figure(results: FaultResults, title: str) -> Figure:
    """Every fault's accuracy, by layer, kind and value."""
    kind, layer, value = (results.faults.column(name) for name in ("kind", "layer", "value"))
    groups = {}
    for k, v in np.unique(np.stack([kind, value], axis=1), axis=0):
        own = (kind == k) & (value == v)
        groups[f"{PeFaultKind(k).name} at {v}"] = layer[own], 100 * results.accuracy[own]
    return fault_accuracies(groups, error_free=100 * results.baseline_hits / results.shots, title=title)


def result_columns(results: FaultResults) -> dict[str, list[int]]:
    """Faults and their counts, column by column, for machines."""
    names = ("kind", "layer", "unit", "word", "bit", "value", "image")
    found: dict[str, list] = {name: results.faults.column(name).tolist() for name in names}
    found["kind"] = [PeFaultKind(k).name for k in found["kind"]]
    return found | {n: getattr(results, n).tolist() for n in ("hits", "flips", "masked")}


def design_words(design: FinnChip) -> str:
    """The kind of accelerator, for a title."""
    if design.shared is None:
        return f"{design.network.name}, dataflow"
    return f"{design.network.name}, loopback on {design.shared.pe} PEs of {design.shared.simd} lanes"


def save_results(results: FaultResults, path: Path) -> Path:
    """A CSV file of `result_columns`, a fault a line."""
    columns, text = result_columns(results), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return write_atomically(path, lambda temporary: temporary.write_text(text.getvalue()))


def fault_counts(design: FinnChip) -> dict[str, int]:
    """Single faults of each kind that a design can have."""
    return {kind.name: design.count_faults(kind) for kind in PeFaultKind}


def counts_table(design: FinnChip, counts: dict[str, int]) -> Table:
    """Those counts for people."""
    return Table(
        title=f"Single faults of {design_words(design)}",
        columns=("kind", "faults"),
        rows=tuple((name, f"{n:,}") for name, n in counts.items()),
        note=f"{sum(counts.values()):,} in all, permanent; each can also strike a single image.",
    )
