"""The studies' results as small tables and figures for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from accel_models.reram.chip import ReramChip
from accel_models.reram.timing import LATENCY_MODELS
from xbarsim.metrics.intervals import Estimate, mean_over_chips, wilson
from xbarsim.papers.rramedy_paper import detection_in_paper, speedup_in_paper
from xbarsim.report.plots import chip_accuracies, latency_bars, rate_bars, size_bars
from xbarsim.report.tables import Table, byte_size, duration, energy
from xbarsim.studies.accuracy import ChipAccuracy, HealthyAccuracy
from xbarsim.studies.detection import DetectionStudy, LatencyRow
from xbarsim.studies.repair import Repair
from xbarsim.training.resume import Epoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARED = "Intervals: 95 %, Wilson's for images, Student's t for means over chips."


def chip_table(chip: ReramChip) -> Table:
    """What a network takes on a chip: arrays, proofs, writes and the cost of an image, layer by layer."""
    shares = chip.collapse_shares()
    rows = [
        (load.name, str(load.arrays), str(load.positions), str(load.macs), f"{shares[load.name].proven:.1%}")
        for load in chip.loads
    ]
    one, place = chip.cost(1), chip.placement
    reasons = [f"{name}: {found.reason}." for name, found in shares.items() if found.reason]
    return Table(
        title=f"On {chip.config.name}: {place.arrays} arrays, {place.occupancy:.1%} of their cells used",
        columns=("layer", "arrays", "positions", "MACs", "collapses"),
        rows=tuple(rows),
        note=f"An image: {duration(one.latency_ns)} pipelined, {energy(one.energy_pJ)}. Programming: "
        f"{chip.write_cost.cell_writes} cell writes, {duration(chip.write_cost.latency_ns)}. "
        + " ".join(["Collapses: outputs that the ADC provably cannot change.", *reasons]),
    )


def accuracy_table(
    healthy: HealthyAccuracy,
    faulty: Sequence[ChipAccuracy],
    repairs: Sequence[Repair] = (),
    *,
    subject: str,
    kind: str = "faulty",
) -> Table:
    """Accuracy of the float network, the healthy chip, the faulty chips and the retrained ones.

    `subject` says in words which chips: it goes into the title; `kind` names their row.
    """
    shots = healthy.shots
    healthy_chip = "healthy chip" if kind == "faulty" else "healthy chip, digital"
    rows = [
        ("float network", *_rate(wilson(healthy.float_hits, shots)), "", ""),
        (healthy_chip, *_rate(wilson(healthy.chip_hits, shots)), "", "1"),
    ]
    groups = (
        (f"{kind} chips", [c.hits / c.shots for c in faulty]),
        ("closest values, no training", [r.hits_closest / r.shots for r in repairs]),
        ("retrained chips", [r.hits_retrained / r.shots for r in repairs]),
        ("retrained, ternary update", [r.hits_ternary / r.shots for r in repairs]),
    )
    for name, rates in groups:
        if rates:
            rows.append((name, *_rate(mean_over_chips(rates)), f"{min(rates):.2%}", str(len(rates))))
    return Table(
        title=f"Accuracy on {shots} test images: {subject}",
        columns=("", "accuracy", "95 % interval", "worst chip", "chips"),
        rows=tuple(rows),
        note=f"The healthy chip predicts what the integer graph predicts on {healthy.agreeing} of {shots} "
        f"images. {SHARED}",
    )


def accuracy_figure(
    healthy: HealthyAccuracy,
    faulty: Sequence[ChipAccuracy],
    repairs: Sequence[Repair] = (),
    *,
    kind: str = "faulty",
) -> Figure:
    """A dot for every chip; `kind` as in `accuracy_table`."""
    groups = {kind: [c.hits / c.shots for c in faulty]}
    if repairs:
        groups["closest\nvalues"] = [r.hits_closest / r.shots for r in repairs]
        groups["retrained"] = [r.hits_retrained / r.shots for r in repairs]
        groups["retrained,\nternary update"] = [r.hits_ternary / r.shots for r in repairs]
    title = f"Accuracy of {len(faulty)} {kind} chips on {healthy.shots} images"
    return chip_accuracies(groups, healthy=healthy.chip_hits / healthy.shots, title=title)


def training_table(
    about: Mapping[str, str], history: Sequence[Epoch], hits: int, shots: int, path: object
) -> Table:
    """What a training gave."""
    last = f"{history[-1].loss:.4f}" if history else "-"
    seconds = f"{sum(epoch.seconds for epoch in history):.0f}"
    against = about["method"] + (f" {about['rates']}" if "rates" in about else "")
    return Table(
        title=f"{about['network']}, {against}, seed {about['seed']}",
        columns=("epochs", "last loss", "seconds", "test images", "right", "accuracy"),
        rows=((str(len(history)), last, seconds, str(shots), str(hits), f"{hits / shots:.2%}"),),
        note=f"Data: {about['data']}. Wrote {path}.",
    )


def detection_table(
    study: DetectionStudy, *, subject: str, patterns: int, network: str, cell_bits: int
) -> Table:
    """Detection and false alarms by criterion and pattern set, the paper's rates beside."""
    paper = detection_in_paper(network, cell_bits)
    rows = []
    for found, alarms in zip(study.faulty, study.healthy, strict=True):
        rate, interval = _rate(wilson(found.detected, found.chips))
        rows.append(
            (
                f"{found.criterion}, {found.patterns}",
                rate,
                str(found.chips),
                interval,
                f"{alarms.detected} of {alarms.chips}",
                paper[found.patterns] if found.criterion == "SDC-3%" else "-",
            )
        )
    return Table(
        title=f"Detection with N = {patterns} patterns, any may fire: {subject}",
        columns=("criterion, patterns", "detected", "of chips", "95 % interval", "false alarms", "paper"),
        rows=tuple(rows),
        note="Paper: RRAMedy, permanent faults; it gives no N, no rule for a set and no false alarms. False "
        "alarms: other draws of patterns on the healthy chip, which has no read noise at this fidelity.",
    )


def detection_figure(study: DetectionStudy, *, patterns: int) -> Figure:
    """Detection rates as bars."""
    groups: dict[str, dict[str, Estimate]] = {}
    for row in study.faulty:
        groups.setdefault(row.criterion, {})[row.patterns] = wilson(row.detected, row.chips)
    title = f"Detection with N = {patterns} patterns, {study.faulty[0].chips} faulty chips"
    return rate_bars(groups, ylabel="chips detected [%]", title=title)


def latency_table(rows: Sequence[LatencyRow], *, patterns: int, restore: bool, network: str) -> Table:
    """Latency of both tests by model and addressing mode, and how many times longer March takes."""
    inference = {row.model: row.latency_ns for row in rows if row.model in LATENCY_MODELS}
    march = [row for row in rows if row.model not in LATENCY_MODELS]
    bases = {model: inference[model] for model in ("mac-proportional", "pipelined", "balanced")}
    cells: list[tuple[str, ...]] = [
        (f"{patterns} patterns, {model}", duration(ns), "", "", "") for model, ns in inference.items()
    ]
    for row in march:
        ratios = (f"{row.latency_ns / base:.3g}" for base in bases.values())
        cells.append((f"{row.test}, {row.model}", duration(row.latency_ns), *ratios))
    published = speedup_in_paper(network)
    contents = "March restores the contents." if restore else "March does not restore the contents."
    claim = f" Table III says {published:.0f} for this network." if published else ""
    return Table(
        title=f"Latency of N = {patterns} patterns and of {march[0].test}",
        columns=("test, model", "latency", *(f"/ {model}" for model in bases)),
        rows=tuple(cells),
        note=f"{_verdict(march, bases['pipelined'])} {contents} "
        "The paper's model is mac-proportional against cell-serial-used; it gives neither N nor timings, "
        f"so only ratios between networks compare.{claim}",
    )


def latency_figure(rows: Sequence[LatencyRow], *, patterns: int) -> Figure:
    """Latencies on a logarithmic axis."""
    tests: dict[str, dict[str, float]] = {}
    for row in rows:
        tests.setdefault(row.test, {})[row.model] = row.latency_ns
    return latency_bars(tests, title=f"Latency of testing, N = {patterns} patterns")


def repair_table(repairs: Sequence[Repair]) -> Table:
    """What was sent to repair, exact and ternary, means over chips."""
    weights, whole = repairs[0].weights, repairs[0].network_bytes
    n = len(repairs)
    changed = sum(r.changed_weights for r in repairs) / n
    exact, ternary = sum(r.update_bytes for r in repairs) / n, sum(r.ternary_bytes for r in repairs) / n
    rows = (
        ("whole network", str(weights), byte_size(whole), "1"),
        ("exact update", f"{changed:.0f}", byte_size(exact), f"{whole / exact:.3g}"),
        ("ternary update", "", byte_size(ternary), f"{whole / ternary:.3g}"),
    )
    found = sum(r.diagnosed_exactly for r in repairs)
    writes = sum(r.cell_writes for r in repairs) / n
    return Table(
        title=f"Sent to repair a chip, mean over {n} chips",
        columns=("", "weights", "size", "times smaller"),
        rows=rows,
        note=f"The map that was trained with has the stuck cells exactly on {found} of {n} chips; the exact "
        f"update writes {writes:.0f} cells.",
    )


def repair_figure(repairs: Sequence[Repair]) -> Figure:
    """Sizes as bars."""
    n = len(repairs)
    sizes = {
        "whole network": float(repairs[0].network_bytes),
        "exact update": sum(r.update_bytes for r in repairs) / n,
        "ternary update": sum(r.ternary_bytes for r in repairs) / n,
    }
    return size_bars(sizes, title="Sent to repair a chip")


def _rate(estimate: Estimate) -> tuple[str, str]:
    if estimate.low != estimate.low:
        return f"{estimate.value:.2%}", "one chip"
    return f"{estimate.value:.2%}", f"{max(0.0, estimate.low):.2%} .. {min(1.0, estimate.high):.2%}"


def _verdict(march: Sequence[LatencyRow], fair: float) -> str:
    wins = [row.model for row in march if row.latency_ns < fair]
    if not wins:
        return "Patterns on a pipelined chip are faster than March in every addressing mode."
    return f"Even pipelined, adversarial testing LOSES against March: {', '.join(wins)}."
