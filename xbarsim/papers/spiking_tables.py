"""The spiking paper's tables and Fig. 3 for people: ours, the paper's, and how sure a difference is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import sem

from xbarsim.papers.spiking import METHODS, Convergence, TestedSpiking, find
from xbarsim.papers.spiking_paper import RATIOS, TABLE_3, TABLE_4, TABLES_5_TO_8, TIME_TABLES
from xbarsim.report.plots import chip_lines
from xbarsim.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIVALS = ("previous", "random", "both")


def table_3(found: Sequence[TestedSpiking], scope: str) -> Table:
    """Accuracy without faults."""
    rows = [
        (
            one.variant.words,
            f"{one.healthy_hits / one.shots:.4f}",
            _known(TABLE_3.get(one.variant.key)),
            str(one.pattern_count) if one.variant.method in ("proposed", "random") else "",
            f"{one.cpu_seconds:.1f}",
        )
        for one in found
    ]
    free = [one.healthy_hits / one.shots for one in found]
    return Table(
        title=f"Table 3: accuracy without faults, {found[0].shots} images",
        columns=("training", "accuracy", "paper", "patterns", "CPU s"),
        rows=tuple(rows),
        note=f"All within {max(free) - min(free):.3f}; in the paper within 0.011. Its FIR 0.3 and 0.5 are "
        f"0.03 and 0.05. Faults: {scope}. random and both are controls that the paper does not have.",
    )


def table_4(found: Sequence[TestedSpiking], kind: str, scope: str) -> Table:
    """Accuracy on chips with faults of one kind; networks trained against that kind."""
    rows = []
    for one in found:
        if one.variant.kind not in ("", kind):
            continue
        paper = TABLE_4.get((one.variant.method, kind, one.variant.fir))
        cells = []
        for place, ratio in enumerate(RATIOS[kind]):
            value, error = mean_and_error(one.accuracies(kind, ratio))
            cells.append(f"{value:.4f} +-{error:.4f}" + (f" ({paper[place]:.4f})" if paper else ""))
        rows.append((one.variant.words, *cells))
    chips = len(found[0].hits[kind, RATIOS[kind][0]])
    return Table(
        title=f"Table 4, {kind.upper()}: accuracy, mean over {chips} chips and its standard error, "
        f"{found[0].shots} images",
        columns=("training", *(f"ratio {ratio:g}" for ratio in RATIOS[kind])),
        rows=tuple(rows),
        note=f"In brackets the paper's. {verdict(found, kind)} Faults: {scope}.",
    )


def comparison(found: Sequence[TestedSpiking], kind: str) -> Table:
    """What the proposed patterns add, on the same chips, to each rival."""
    rows = []
    for fir in sorted({one.variant.fir for one in found if one.variant.fir}):
        proposed = find(found, "proposed", kind, fir)
        for rival in RIVALS:
            other = find(found, rival, kind, fir)
            cells = [f"{value:+.4f} +-{error:.4f}" for value, error in _differences(proposed, other, kind)]
            rows.append((f"proposed - {rival}, FIR {fir:g}", *cells))
    return Table(
        title=f"{kind.upper()}: differences on the same chips, and their standard errors",
        columns=("difference", *(f"ratio {ratio:g}" for ratio in RATIOS[kind])),
        rows=tuple(rows),
        note="Chips are drawn, networks are not: each is one training, so a difference says what these two "
        "networks do, not yet what the methods do.",
    )


def verdict(found: Sequence[TestedSpiking], kind: str) -> str:
    """Whether the paper's order (proposed above previous above baseline) holds, and how sure that is."""
    said = []
    for fir in sorted({one.variant.fir for one in found if one.variant.fir}):
        order = ("proposed", "previous", "baseline")
        for better, worse in pairwise(order):
            first = find(found, better, kind, fir)
            second = find(found, worse) if worse == "baseline" else find(found, worse, kind, fir)
            differences = _differences(first, second, kind)
            above = sum(value > 0 for value, _ in differences)
            clear = sum(value > 2 * error for value, error in differences)
            said.append(
                f"FIR {fir:g}: {better} above {worse} at {above} of {len(differences)} ratios, "
                f"{clear} of them by more than two standard errors."
            )
    return " ".join(said)


def record(found: Sequence[TestedSpiking]) -> list[dict[str, object]]:
    """Counts for machines."""
    return [
        {
            "method": one.variant.method,
            "kind": one.variant.kind,
            "fir": one.variant.fir,
            "healthy_hits": one.healthy_hits,
            "shots": one.shots,
            "hits": [{"kind": k, "ratio": r, "hits": hits} for (k, r), hits in one.hits.items()],
            "patterns": one.pattern_count,
            "pattern_cpu_seconds": one.pattern_cpu_seconds,
            "cpu_seconds": one.cpu_seconds,
        }
        for one in found
    ]


def figure_3(found: Sequence[TestedSpiking], kind: str) -> Figure:
    """Every chip's accuracy with each training, by ratio."""
    fir = min(one.variant.fir for one in found if one.variant.fir)
    panels = {
        f"ratio {ratio:g}": {
            method: find(found, method, *(() if method == "baseline" else (kind, fir))).accuracies(
                kind, ratio
            )
            for method in METHODS
        }
        for ratio in RATIOS[kind]
    }
    return chip_lines(panels, title=f"{kind.upper()}, FIR {fir:g}: the same chips for all")


def time_table(found: Convergence, table: int) -> Table:
    """Tables 5 to 8: processor time and epochs to the previous method's accuracy."""
    paper, rows = TABLES_5_TO_8[TIME_TABLES[table]], []
    previous, making = (sum(e.cpu_seconds for e in h) for h in (found.previous, found.with_making))
    for place, ratio in enumerate(RATIOS[found.kind]):
        epochs = found.epochs_to(place)
        spent = sum(e.cpu_seconds for e in found.stored[: epochs or len(found.stored)])
        saved = 100 * (1 - spent / previous)
        _, _, _, paper_epochs = paper[place]
        paper_saved = 100 * (1 - paper[place][2] / paper[place][0])
        rows.append(
            (
                f"{ratio:g}",
                f"{found.target[place]:.4f}",
                f"{previous:.1f}",
                f"{making:.1f}",
                f"{spent:.1f}",
                f"{epochs or f'not in {len(found.stored)}'} ({paper_epochs})",
                f"{saved:.1f} ({paper_saved:.1f})",
            )
        )
    reached = [found.epochs_to(place) for place in range(len(rows))]
    faster = sum(e is not None and e < len(found.previous) for e in reached)
    return Table(
        title=f"Table {table}: {found.kind.upper()}, FIR {found.fir:g}, CPU seconds and epochs to the "
        "previous method's accuracy",
        columns=(
            "ratio",
            "accuracy to reach",
            "previous",
            "with making patterns",
            "with stored patterns",
            "epochs",
            "time saved [%]",
        ),
        rows=tuple(rows),
        note=f"In brackets the paper's. With {found.pattern_count} stored patterns the accuracy is reached "
        f"before the last epoch at {faster} of {len(rows)} ratios. Accuracy: mean of {found.chips} chips on "
        f"{found.images} images, the same after every epoch; one training each, and epochs differ by chance.",
    )


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean over chips and its standard error."""
    return float(np.mean(values)), float(sem(values))


def _differences(first: TestedSpiking, second: TestedSpiking, kind: str) -> list[tuple[float, float]]:
    """Mean and standard error of the differences on the same chips, by ratio."""
    return [
        mean_and_error(np.subtract(first.accuracies(kind, r), second.accuracies(kind, r)).tolist())
        for r in RATIOS[kind]
    ]


def _known(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
