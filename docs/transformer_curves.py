"""The table and the figure of transformers.md: what stuck cells do to the networks of four examples.

    pip install 'xbarsim[transformers]'
    python -m docs.transformer_curves         # all of them, and the figure; minutes
    python -m docs.transformer_curves sentences # the rows of one

Every chip is measured as it is, and with the closest values that its stuck cells can act as; the same chips
for both. Intervals are Student's t over chips, at 95 %.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import xbarsim as xb

ROOT = Path(__file__).parents[1]
FIGURE = ROOT / "docs" / "figures" / "transformers.png"
RATES = (0.00001, 0.0001, 0.001, 0.01)
STUDIED = {  # chips a rate, and rates
    "vision_transformer": (10, RATES),
    "language_model": (6, RATES),
    "sentences": (3, RATES[:3]),
    "efficientnet": (3, RATES[:3]),
}
TITLES = {
    "vision_transformer": "ViT, digits",
    "language_model": "GPT-2, letters",
    "sentences": "MiniLM, 40 sentences",
    "efficientnet": "EfficientNet-Lite0, 12 images",
}
REPAIRS = {"as it is": xb.AsItIs(), "closest values": xb.ClosestValues()}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A measure on the chips of a rate of stuck cells."""

    example: str
    measure: str
    rate: float
    repair: str
    low: float
    value: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class _Healthy:
    """What a repair without data wants of a subject: its fault-free chip."""

    chip: xb.Chip


def rows_of(example: str) -> Iterator[Row]:
    """Measure the network of an example: without faults first, then rate by rate."""
    chip, inputs, measures = runpy.run_path(str(ROOT / "examples" / f"{example}.py"))["prepared"]()
    healthy = chip.run(inputs).scores
    for name, measure in measures.items():
        value = float(measure(healthy))
        ends = {"low": value, "value": value, "high": value}
        yield Row(example=example, measure=name, rate=0, repair="as it is", **ends)
    chips, rates = STUDIED[example]
    for rate in rates:
        found: dict[tuple[str, str], list[float]] = {}
        for number in range(chips):
            trial = xb.Trial(1, number)
            drawn = xb.StuckCells(rate=rate).draw(chip.geometry, trial.stream("faults"))
            faulty = chip.inject(drawn)
            for title, repair in REPAIRS.items():
                repaired: Any = repair.repair(faulty, _Healthy(chip), trial).chip  # type: ignore[arg-type]
                scores = repaired.run(inputs).scores
                for name, measure in measures.items():
                    found.setdefault((title, name), []).append(float(measure(scores)))
        for (title, name), values in found.items():
            mean = xb.mean_over_chips(values)
            yield Row(
                example=example, measure=name, rate=rate, repair=title,
                low=mean.low, value=mean.value, high=mean.high,
            )  # fmt: skip


def table(rows: list[Row]) -> str:
    """A row a measure and repair, a column a rate."""
    rates = " | ".join(f"{100 * rate:g} %" for rate in RATES)
    lines = [f"| network, chips a rate | measure | written | no faults | {rates} |"]
    lines.append("|---" * (4 + len(RATES)) + "|")
    by = {(row.example, row.measure, row.repair, row.rate): row for row in rows}
    for example, measure, repair in dict.fromkeys((r.example, r.measure, r.repair) for r in rows):
        cells = [str(by.get((example, measure, repair, rate), "-")) for rate in RATES]
        first = f"{by[example, measure, 'as it is', 0].value:.3g}"
        network = f"{TITLES[example]}, {STUDIED[example][0]}"
        lines.append(f"| {network} | {measure} | {repair} | {first} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(rows: list[Row]) -> Figure:
    """A panel a network: its first measure over the rate, with intervals."""
    found = Figure(figsize=(8, 6), layout="constrained")
    panels = found.subplots(2, 2)
    for axes, example in zip(panels.flat, TITLES, strict=True):
        own = [row for row in rows if row.example == example]
        measure = own[0].measure
        chosen = [row for row in own if row.measure == measure]
        axes.axhline(chosen[0].value, color="0.6", linestyle=":", label="no faults")
        for (title, _), marker in zip(REPAIRS.items(), "os", strict=True):
            line = [row for row in chosen if row.repair == title and row.rate]
            x = np.array([100 * row.rate for row in line])
            (drawn,) = axes.plot(x, [row.value for row in line], f"{marker}-", label=title)
            limits = [row.low for row in line], [row.high for row in line]
            axes.fill_between(x, *limits, alpha=0.2, color=drawn.get_color(), linewidth=0)
        axes.set(xscale="log", title=TITLES[example], ylabel=measure, xlabel="stuck cells [%]")
        axes.set_xlim(80 * RATES[0], 125 * RATES[-1])
        axes.set_xticks([100 * rate for rate in RATES], [f"{100 * rate:g}" for rate in RATES])
        axes.minorticks_off()
        if measure != "perplexity":
            axes.set_ylim(-0.05, 1.05)
    panels[0, 0].legend()
    return found


def main(examples: list[str]) -> None:
    """Print the page's table; draw its figure where all networks are asked for."""
    rows = [row for example in examples or TITLES for row in rows_of(example)]
    print(table(rows))
    if not examples:
        figure(rows).savefig(FIGURE, dpi=120)


if __name__ == "__main__":
    main(sys.argv[1:])
