"""Tables I and II of stochastic fault-tolerant training for people, the paper's figures beside ours.

Source: Wang et al. (see "Sources" in docs/architecture.md), Tables I and II.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xbarsim.metrics.intervals import Estimate, mean_over_chips
from xbarsim.metrics.stability import stability_score
from xbarsim.papers.stochastic_training import StochasticBudget, Variant
from xbarsim.report.plots import accuracy_curves
from xbarsim.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Table I, ResNet-20 on CIFAR-10, accuracy in % by rate of stuck weights
PAPER_RATES = (0, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2)
TABLE_I: dict[tuple[str, float], tuple[float, ...]] = {
    ("pretrained", 0): (
        92.53, 90.17, 87.82, 85.25, 78.06, 61.74, 25.83, 10.75, 9.94, 9.69, 10.04, 10.14, 10.06, 9.93,
    ),
    ("one-shot", 0.01): (
        92.94, 92.76, 92.51, 92.36, 91.90, 90.90, 87.43, 79.47, 68.15, 41.73, 22.05, 16.02, 11.75, 10.80,
    ),
    ("progressive", 0.01): (
        92.90, 92.86, 92.71, 92.51, 92.09, 91.04, 87.40, 79.37, 66.79, 39.29, 24.28, 15.74, 11.47, 9.99,
    ),
    ("one-shot", 0.02): (
        92.38, 92.36, 92.18, 92.08, 91.69, 91.42, 89.20, 84.71, 76.68, 55.19, 33.70, 20.25, 13.85, 11.06,
    ),
    ("progressive", 0.02): (
        93.24, 93.03, 92.95, 92.75, 92.45, 91.91, 89.38, 83.30, 74.73, 50.81, 31.48, 20.42, 13.07, 11.07,
    ),
    ("one-shot", 0.05): (
        92.41, 92.24, 92.15, 92.00, 91.77, 91.38, 90.07, 84.86, 80.49, 63.99, 46.97, 26.82, 15.49, 12.26,
    ),
    ("progressive", 0.05): (
        93.01, 92.77, 92.78, 92.62, 92.06, 91.69, 90.93, 85.04, 79.79, 62.24, 42.16, 26.93, 16.51, 12.06,
    ),
    ("one-shot", 0.1): (
        92.42, 92.20, 92.08, 92.02, 91.67, 91.58, 90.53, 88.02, 85.16, 74.86, 54.37, 35.88, 18.92, 13.96,
    ),
    ("progressive", 0.1): (
        93.29, 92.68, 92.59, 92.32, 92.06, 92.52, 91.34, 89.03, 86.11, 75.08, 57.14, 39.84, 21.37, 14.57,
    ),
}  # fmt: skip
# Table II, ResNet-32 on CIFAR-100, by (training, rate, pruned): accuracy in % without faults, at 0.01 and at
# 0.02, then the Stability Scores at 0.01 and 0.02
TABLE_II: dict[tuple[str, float, bool], tuple[float, ...]] = {
    ("pretrained", 0, False): (75.10, 2.97, 0.99, 1.04, 1.01),
    ("one-shot", 0.01, False): (75.23, 70.83, 65.09, 17.62, 7.52),
    ("one-shot", 0.05, False): (75.38, 73.03, 70.01, 36.42, 14.81),
    ("one-shot", 0.1, False): (74.96, 72.84, 69.93, 33.17, 14.50),
    ("progressive", 0.01, False): (75.48, 71.18, 65.17, 19.26, 7.60),
    ("progressive", 0.05, False): (75.75, 73.03, 70.46, 36.59, 16.33),
    ("progressive", 0.1, False): (74.63, 73.18, 70.61, 38.87, 16.62),
    ("pretrained", 0, True): (74.89, 1.00, 0.99, 1.01, 1.01),
    ("one-shot", 0.01, True): (75.01, 52.53, 24.99, 3.35, 1.50),
    ("one-shot", 0.05, True): (74.40, 61.87, 44.24, 5.71, 2.43),
    ("one-shot", 0.1, True): (74.30, 64.61, 50.92, 7.23, 3.10),
    ("progressive", 0.01, True): (74.93, 53.71, 26.03, 3.54, 1.53),
    ("progressive", 0.05, True): (74.73, 62.07, 44.49, 5.83, 2.46),
    ("progressive", 0.1, True): (74.70, 65.37, 52.00, 7.85, 3.26),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredNetwork:
    """A network on chips: right predictions of each, by rate of stuck cells."""

    variant: Variant
    float_hits: int
    healthy_hits: int
    shots: int
    hits: dict[float, list[int]]

    def accuracy(self, rate: float) -> Estimate:
        """Mean over the chips, with its interval, in shares."""
        return mean_over_chips([h / self.shots for h in self.hits[rate]])

    def score(self, pretrained: MeasuredNetwork, rate: float) -> float:
        """Stability Score (Eq. 1), from the chips without faults and those with them."""
        before, after = pretrained.healthy_hits / pretrained.shots, self.healthy_hits / self.shots
        return stability_score(before, after, self.accuracy(rate).value)


def table_1(found: Sequence[MeasuredNetwork], budget: StochasticBudget) -> Table:
    """Networks down, rates of stuck cells across; the paper's in brackets where it has the rate."""
    rows = [
        (
            one.variant.words,
            _cell(100 * one.healthy_hits / one.shots, _paper(one, 0.0)),
            *(_cell(100 * one.accuracy(rate).value, _paper(one, rate)) for rate in budget.rates),
            f"{one.score(found[0], budget.main_rate):.2f}",
        )
        for one in found
    ]
    interval = max(
        100 * (one.accuracy(budget.main_rate).high - one.accuracy(budget.main_rate).value) for one in found
    )
    return Table(
        title=f"Table I: {budget.network} on CIFAR-10, accuracy in %, mean over chips, {found[0].shots} "
        "images",
        columns=(
            "training",
            "no faults",
            *(f"{100 * rate:g} % stuck" for rate in budget.rates),
            f"score at {100 * budget.main_rate:g} %",
        ),
        rows=tuple(rows),
        note=f"{verdict(found, budget)} In brackets the paper's, of stuck weights; here cells are stuck, of "
        f"which a weight has 8. {budget.chips} chips at {100 * budget.main_rate:g} %, {budget.few_chips} "
        f"elsewhere; Stability Scores (Eq. 1) and 95 % intervals, of at most +-{interval:.1f} points, at "
        f"{100 * budget.main_rate:g} %. {_effort(found, budget)}",
    )


def table_2(found: Sequence[MeasuredNetwork], budget: StochasticBudget) -> Table:
    """Accuracies and Stability Scores, dense and pruned."""
    rates = tuple(rate for rate in (0.01, 0.02) if rate in budget.rates)
    rows = []
    for one in found:
        before = next(o for o in found if not o.variant.stages and o.variant.pruned == one.variant.pruned)
        paper = TABLE_II.get((*one.variant.key, one.variant.pruned))
        cells = [f"{100 * one.healthy_hits / one.shots:.2f}"]
        cells += [f"{100 * one.accuracy(rate).value:.2f}" for rate in rates]
        cells += [
            _cell(one.score(before, r), None if paper is None else paper[3 + i]) for i, r in enumerate(rates)
        ]
        rows.append((one.variant.words, *cells))
    percents = [f"{100 * rate:g} %" for rate in rates]
    return Table(
        title=f"Table II: {budget.network} on CIFAR-10, Stability Scores, {found[0].shots} images",
        columns=(
            "training",
            "no faults [%]",
            *(f"{p} stuck [%]" for p in percents),
            *(f"score at {p}" for p in percents),
        ),
        rows=tuple(rows),
        note=f"{verdict(found, budget)} In brackets the paper's scores, of ResNet-32 on CIFAR-100. "
        f"{_effort(found, budget)}",
    )


def verdict(found: Sequence[MeasuredNetwork], budget: StochasticBudget) -> str:
    """One sentence on whether the paper's ordering holds at the main rate."""
    rate, said = budget.main_rate, []
    for pruned in (False, True):
        group = [one for one in found if one.variant.pruned == pruned]
        if not group:
            continue
        plain, *trained = (100 * one.accuracy(rate).value for one in group)
        holds = "holds" if trained and min(trained) > plain else "does not hold"
        gains = ", ".join(f"{value - plain:.1f}" for value in trained)
        said.append(
            f"{'Pruned' if pruned else 'Dense'}: the paper's order (trained with faults above pretrained at "
            f"{100 * rate:g} %) {holds}, by {gains} points."
        )
    return " ".join(said)


def curves(found: Sequence[MeasuredNetwork], budget: StochasticBudget) -> Figure:
    """Accuracy over the rate of stuck cells."""
    lines: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = {}
    for one in found:
        estimates = [one.accuracy(rate) for rate in budget.rates]
        rates, means = 100 * np.array(budget.rates), 100 * np.array([e.value for e in estimates])
        ends = 100 * np.array([(e.low, e.high) for e in estimates]).T
        lines[one.variant.words] = (rates, means, ends[0], ends[1])
    return accuracy_curves(lines, xlabel="stuck cells [%]", title=f"{budget.network} on ISAAC-like arrays")


def _cell(ours: float, paper: float | None) -> str:
    return f"{ours:.2f}" + (f" ({paper:.2f})" if paper is not None else "")


def _paper(one: MeasuredNetwork, rate: float) -> float | None:
    known = TABLE_I.get(one.variant.key)
    if known is None or rate not in PAPER_RATES or one.variant.pruned:
        return None
    return known[PAPER_RATES.index(rate)]


def _effort(found: Sequence[MeasuredNetwork], budget: StochasticBudget) -> str:
    return (
        f"Epochs: {budget.pretrain.epochs} of pretraining, {found[-1].variant.recipe(budget).epochs} with "
        "stuck cells; the paper's are 160 and 160 a stage."
    )
