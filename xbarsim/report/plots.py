"""Figures: rates with their intervals, accuracies of single chips, latencies on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from xbarsim.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xbarsim.metrics.intervals import Estimate

# a line's x and its means with the ends of their intervals, all (points,)
Curve = tuple[NDArray, NDArray, NDArray, NDArray]
MOST_BESIDE = 24  # letters of a name beside the axes
WIDTH_OF_GROUP = 1.35  # inches of a column of dots
MOST_SHOWN = 101.0  # per cent, where dots at 100 are still whole
PALETTE = ("#3b6fb6", "#d9822b", "#4f9a63", "#c8452f", "#7a4fa3", "#6b6b6b")


def with_plain_words(figure: Figure) -> Figure:
    """The figure, with titles and legends as they are: a name with dollar signs is no formula."""
    legends = [legend for axes in figure.axes if (legend := axes.get_legend()) is not None] + figure.legends
    above: Any = figure
    titles = [axes.title for axes in figure.axes] + ([above._suptitle] if above._suptitle else [])
    for text in (*titles, *(text for legend in legends for text in legend.get_texts())):
        text.set_parse_math(False)
    return figure


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure; an earlier file survives a failure."""
    with_plain_words(figure)
    return write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=150))


def chip_accuracies(groups: Mapping[str, Sequence[float]], *, healthy: float, title: str) -> Figure:
    """One dot a chip and one column a group (say as it is, retrained), a line for the fault-free chip."""
    figure, axes = _figure(title)
    figure.set_figwidth(max(figure.get_figwidth(), WIDTH_OF_GROUP * len(groups)))
    for place, (_, values) in enumerate(groups.items()):
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
        colour = PALETTE[place % len(PALETTE)]
        axes.scatter(place + spread, 100 * np.asarray(values), s=26, alpha=0.75, color=colour, linewidths=0)
        axes.hlines(100 * np.mean(values), place - 0.26, place + 0.26, color=colour, lw=2)
    axes.axhline(100 * healthy, color="#555555", lw=1, ls="--", zorder=0)
    beside = {"xy": (1.01, 100 * healthy), "xycoords": ("axes fraction", "data"), "va": "center"}
    axes.annotate(f"fault-free\n{healthy:.2%}", fontsize=8, **beside)
    axes.set_xticks(range(len(groups)), groups, fontsize=9)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.set_ylabel("accuracy of a chip [%]; bar: mean")
    axes.margins(y=0.12)
    axes.set_ylim(top=min(axes.get_ylim()[1], MOST_SHOWN))
    axes.grid(axis="y", lw=0.3)
    return figure


def rate_bars(groups: Mapping[str, Mapping[str, Estimate]], *, ylabel: str, title: str) -> Figure:
    """Grouped bars with confidence intervals: {group: {series: rate}}; one series alone needs no legend."""
    figure, axes = _figure(title)
    series = list(next(iter(groups.values())))
    width = 0.8 / len(series)
    for place, name in enumerate(series):
        rates = [100 * group[name].value for group in groups.values()]
        low = [100 * (group[name].value - group[name].low) for group in groups.values()]
        high = [100 * (group[name].high - group[name].value) for group in groups.values()]
        x = np.arange(len(groups)) + (place - (len(series) - 1) / 2) * width
        axes.bar(x, rates, width * 0.92, label=name, color=PALETTE[place % len(PALETTE)])
        axes.errorbar(x, rates, [low, high], fmt="none", ecolor="#333333", lw=1, capsize=3)
    axes.set_xticks(range(len(groups)), groups, fontsize=9)
    axes.set_ylim(0, 105)
    axes.set_ylabel(ylabel)
    if len(series) > 1:
        _legend(figure, axes)
    return figure


def latency_bars(latencies_ns: Mapping[str, Mapping[str, float]], *, title: str) -> Figure:
    """Horizontal bars on a logarithmic axis: {test: {model: ns}}, one colour a test."""
    figure, axes = _figure(title)
    labels: list[str] = []
    for place, (test, models) in enumerate(latencies_ns.items()):
        at = len(labels) + np.arange(len(models))
        axes.barh(at, [ns / 1e3 for ns in models.values()], color=PALETTE[place % len(PALETTE)], label=test)
        labels += list(models)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("latency [us]")
    axes.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    return figure


def fault_accuracies(
    groups: Mapping[str, tuple[NDArray, NDArray]], *, error_free: float, title: str
) -> Figure:
    """One dot a fault, layers down and accuracy across, least and largest ringed, as in FAT's Fig. 3.

    Parameters
    ----------
    groups : {name: (layers, accuracies in %)}, side by side within a layer
    error_free : accuracy in % without a fault
    """
    figure, axes = _figure(title)
    layers = np.unique(np.concatenate([layer for layer, _ in groups.values()]))
    figure.set_size_inches(6.4, 1.4 + 0.36 * len(layers))
    for place, (name, (layer, accuracy)) in enumerate(groups.items()):
        shift = (place - (len(groups) - 1) / 2) * 0.5 / len(groups)
        colour = PALETTE[place % len(PALETTE)]
        axes.scatter(accuracy, layer + shift, s=7, alpha=0.35, linewidths=0, color=colour, rasterized=True)
        for m in np.unique(layer):
            ends = [accuracy[layer == m].min(), accuracy[layer == m].max()]
            axes.scatter(ends, [m + shift] * 2, s=26, facecolors="none", edgecolors=colour)
        axes.scatter([], [], s=26, color=colour, label=name)
    axes.axvline(error_free, color="#555555", lw=1, ls="--", label=f"error-free {error_free:.2f} %")
    axes.set_yticks(layers, ["all" if m < 0 else f"{m}" for m in layers])
    axes.invert_yaxis()
    axes.set_ylabel("layer")
    axes.set_xlabel("accuracy under one fault [%]")
    axes.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4)
    return figure


MOST_dB = 80.0  # above, nothing is lost
KIND_COLOURS = {"input": "#777777", "arrays": PALETTE[0], "integer": PALETTE[1], "table": PALETTE[2]}


def noise_along(names: Sequence[str], kinds: Sequence[str], snr_dB: NDArray, *, title: str) -> Figure:
    """Signal to noise of nodes in their order, at most 80 dB, coloured by where they are computed."""
    figure, axes = _figure(title)
    figure.set_size_inches(min(24.0, 3.2 + 0.16 * len(names)), 4.2)
    places, snr_dB = np.arange(len(names)), np.minimum(snr_dB, MOST_dB)
    axes.plot(places, snr_dB, color="#cccccc", lw=1, zorder=1)
    for kind in dict.fromkeys(kinds):
        at = np.array([found == kind for found in kinds])
        colour = KIND_COLOURS.get(kind, PALETTE[3])
        axes.scatter(places[at], snr_dB[at], s=22, color=colour, label=kind, zorder=2)
    axes.set_xticks(places, names, rotation=90, fontsize=6)
    axes.set_ylabel("signal to noise [dB]")
    axes.set_ylim(bottom=min(0.0, float(np.min(snr_dB, initial=0.0))))
    _legend(figure, axes)
    return figure


def cost_fronts(fronts: Mapping[str, tuple[NDArray, NDArray]], *, xlabel: str, title: str) -> Figure:
    """Worst-case error over hardware cost, a step line a front: {name: (costs, errors in %)}."""
    figure, axes = _figure(title)
    for place, (name, (costs, errors)) in enumerate(fronts.items()):
        colour = PALETTE[place % len(PALETTE)]
        axes.step(costs, errors, where="post", color=colour, lw=1.4, label=name)
        axes.scatter(costs, errors, s=9, color=colour)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("worst-case error under one fault [%]")
    axes.legend(fontsize=8, frameon=False)
    return figure


def trade_offs(
    points: Mapping[str, tuple[float, float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    front: Sequence[str] = (),
) -> Figure:
    """A dot a design, named in the legend: {name: (x, y)}; a line of steps through those of the front."""
    figure, axes = _figure(title)
    if len(front) > 1:
        xs, ys = zip(*sorted(points[name] for name in front), strict=True)
        axes.step(xs, ys, where="post", color="0.6", lw=1, zorder=2)
    for place, (name, (x, y)) in enumerate(points.items()):
        axes.scatter([x], [y], s=46, color=PALETTE[place % len(PALETTE)], label=name, zorder=3)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.margins(0.12)
    axes.grid(lw=0.3)
    _legend(figure, axes)
    return figure


def accuracy_curves(
    curves: Mapping[str, Curve],
    *,
    xlabel: str,
    title: str,
    scale: Literal["log", "linear"] = "log",
    ylabel: str = "accuracy, mean over chips [%]",
) -> Figure:
    """Mean accuracy over the rate of faults, with intervals: {name: (rates, means, lows, highs in %)}."""
    figure, axes = _figure(title)
    for place, (name, (rates, means, lows, highs)) in enumerate(curves.items()):
        colour, dashed = PALETTE[place % len(PALETTE)], place >= len(PALETTE)
        axes.plot(
            rates, means, color=colour, lw=1.4, ls="--" if dashed else "-", marker="o", ms=3, label=name
        )
        axes.fill_between(rates, lows, highs, color=colour, alpha=0.2, lw=0)
    ticks = sorted({float(rate) for rates, *_ in curves.values() for rate in rates})
    axes.set_xscale(scale)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="y", lw=0.3)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    _legend(figure, axes)
    return figure


def loss_curves(epochs: NDArray, losses: Mapping[str, NDArray], *, title: str) -> Figure:
    """Losses over epochs, a panel each, since their scales differ: {name: (epochs,)}."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(losses), 2.8), layout="constrained", dpi=150)
    for place, (axes, (name, values)) in enumerate(
        zip(figure.subplots(1, len(losses), squeeze=False)[0], losses.items(), strict=True)
    ):
        axes.plot(epochs, values, color=PALETTE[place], lw=1.4, marker="o", ms=3)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure


def chip_lines(panels: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> Figure:
    """Accuracy of every chip, a line a method, a panel a group: {group: {method: accuracies in shares}}."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(panels) + 1.6, 3.2), layout="constrained", dpi=150)
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (group, lines) in zip(all_axes, panels.items(), strict=True):
        for place, (name, values) in enumerate(lines.items()):
            chips = np.arange(1, len(values) + 1)
            shares = 100 * np.asarray(values)
            axes.plot(chips, shares, color=PALETTE[place], lw=1.2, marker="o", ms=3, label=name)
        axes.set_title(group, fontsize=9)
        axes.set_xlabel("chip")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    all_axes[0].set_ylabel("accuracy [%]")
    _legend(figure, all_axes[-1])
    figure.suptitle(title, fontsize=10)
    return figure


def roc_curves(curves: Mapping[str, tuple[NDArray, NDArray]], *, title: str) -> Figure:
    """Share of faulty chips detected over false alarms: {name: (false alarms, detections)} in shares."""
    figure, axes = _figure(title)
    for place, (name, (alarms, detected)) in enumerate(curves.items()):
        style = ("-", "--")[place >= len(PALETTE)]
        colour = PALETTE[place % len(PALETTE)]
        axes.plot(100 * alarms, 100 * detected, style, color=colour, lw=1.4, marker="o", ms=3, label=name)
    axes.plot([0, 100], [0, 100], color="#999999", lw=0.8, ls=":")
    axes.set_xlabel("false alarms [% of healthy chips]")
    axes.set_ylabel("detected [% of faulty chips]")
    _legend(figure, axes)
    return figure


def _legend(figure: Figure, axes: Any) -> None:
    """Names beside the axes; long ones below, in a figure that is higher for them."""
    handles, names = axes.get_legend_handles_labels()
    if not names:
        return
    if max(map(len, names)) <= MOST_BESIDE:
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.17 * len(names))
    figure.legend(handles, names, fontsize=8, frameon=False, loc="outside lower left")


def _figure(title: str):  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure, axes
