"""FAT's Table I with Fig. 3, and Fig. 9: single stuck channels, and what triplicating the worst buys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from accel_models.finn.concurrent import FaultResults
from accel_models.finn.criticality import LayerExtremes, layer_extremes
from accel_models.finn.protection import ProtectionCurve
from accel_models.finn.replication import replication_front
from xbarsim.errors import check_choice
from xbarsim.faults.pe import PeFaultKind
from xbarsim.papers.fat_paper import ERROR_FREE, TABLE_I
from xbarsim.report.plots import cost_fronts
from xbarsim.report.tables import Table
from xbarsim.studies.board_summaries import campaign_figure
from xbarsim.studies.boards import BoardBench, board_bench, run_campaign, shipped_board

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUDGETS: dict[str, int | None] = {"smoke": 100, "cpu": None, "full": None}
SHOWN_STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)
OnStep = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelStudy:
    """Every channel of a network stuck at every activation."""

    network: str
    results: FaultResults
    extremes: LayerExtremes
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplicationStudy:
    """What triplicating channels costs and buys, fully unrolled and on the network's folding."""

    network: str
    baseline_hits: int
    shots: int
    unrolled: ProtectionCurve
    folded: ProtectionCurve


def run_table1(board: Path | None, budget: str, *, on_step: OnStep | None = None) -> ChannelStudy:
    """Table I on cnvW1A1, or on another board's network."""
    return _stick_channels(_bench(board, budget), on_step)


def run_figure9(board: Path | None, budget: str, *, on_step: OnStep | None = None) -> ReplicationStudy:
    """Fig. 9 for one network."""
    bench = _bench(board, budget)
    results = _stick_channels(bench, on_step).results
    return ReplicationStudy(
        network=bench.design.network.name,
        baseline_hits=results.baseline_hits,
        shots=results.shots,
        unrolled=replication_front(bench.design, results),
        folded=replication_front(bench.design, results, cost="folded"),
    )


def table1(study: ChannelStudy) -> Table:
    """Layers down; lowest and highest accuracy at each stuck value, the paper's behind ours."""
    extremes, shots = study.extremes, study.results.shots
    values = sorted(set(extremes.value.tolist()))
    rows = []
    for layer in sorted(set(extremes.layer.tolist())):
        cells = [str(layer), str(extremes.places[extremes.layer == layer][0])]
        for place, value in enumerate(values):
            at = np.flatnonzero((extremes.layer == layer) & (extremes.value == value))[0]
            paper = TABLE_I[layer][1 + 2 * place :][:2] if _in_paper(study) else ()
            for ours, theirs in zip(
                (extremes.lowest[at], extremes.highest[at]), (*paper, None, None), strict=False
            ):
                cells.append(f"{100 * ours:.2f}" + (f" ({theirs:.2f})" if theirs is not None else ""))
        rows.append(tuple(cells))
    heads = [f"{_signed(value)} {end}" for value in values for end in ("min", "max")]
    free = f"error-free {study.results.baseline_hits / shots:.2%}"
    paper_words = f" (FAT's network {ERROR_FREE} %)" if _in_paper(study) else ""
    return Table(
        title=f"{study.network}, one channel stuck, accuracy in % on {shots} images; {free}{paper_words}",
        columns=("layer", "channels", *heads),
        rows=tuple(rows),
        note=_verdict(study),
    )


def _in_paper(study: ChannelStudy) -> bool:
    return study.network == "cnvW1A1"


def _verdict(study: ChannelStudy) -> str:
    """One sentence on whether the paper's ordering holds."""
    extremes, count = study.extremes, len(study.results.faults)
    worst = int(np.argmin(extremes.least_hits))
    layer, value = int(extremes.layer[worst]), int(extremes.value[worst])
    told = f"{count:,} faults x {study.results.shots:,} images in {study.seconds:.0f} s."
    if not _in_paper(study):
        return f"Worst: layer {layer} stuck at {_signed(value)}. {told}"
    holds = "as in" if (layer, value) == (1, 1) else "unlike"
    return (
        f"In brackets FAT's Table I, whose network has other weights. The worst place is layer {layer} "
        f"stuck at {_signed(value)}, {holds} the paper (layer 1 stuck at +1). {told}"
    )


def _signed(value: int) -> str:
    return f"{value:+d}" if value else "0"


def figure3(study: ChannelStudy) -> Figure:
    """Fig. 3: every channel's accuracy, by layer."""
    return campaign_figure(study.results, f"{study.network}, one channel stuck")


def figure9_table(study: ReplicationStudy) -> Table:
    """Worst-case error and cost at some numbers of triplicated channels."""
    places = len(study.unrolled.price) - 1
    rows = [
        (
            str(k),
            f"{100 - study.unrolled.error_percent[k]:.2f}",
            f"{study.unrolled.error_percent[k]:.2f}",
            f"{study.unrolled.cost[k]:.4f}",
            f"{study.folded.cost[k]:.4f}",
        )
        for k in (*(k for k in SHOWN_STEPS if k < places), places)
    ]
    fronts = f"{len(study.unrolled.front)} and {len(study.folded.front)} points"
    return Table(
        title=f"{study.network}: the k most critical channels triplicated, one channel stuck, "
        f"{study.shots} images; error-free {study.baseline_hits / study.shots:.2%}",
        columns=("k", "worst accuracy [%]", "worst error [%]", "cost unrolled", "cost folded"),
        rows=tuple(rows),
        note="Cost 1 is the accelerator without copies: MACs where each has hardware of its own "
        f"(FAT, Fig. 9), LUTs of the network's folding. The Pareto fronts have {fronts}.",
    )


def figure9_fronts(study: ReplicationStudy) -> dict[str, list[dict[str, int]]]:
    """Both Pareto fronts for machines: channels triplicated, price, and images right in the worst case."""
    return {
        name: [
            {"protected": int(k), "price": int(curve.price[k]), "worst_hits": int(curve.hits[k])}
            for k in curve.front
        ]
        for name, curve in (("unrolled", study.unrolled), ("folded", study.folded))
    }


def figure9(studies: Sequence[ReplicationStudy]) -> Figure:
    """Fig. 9: worst-case error over cost, fully unrolled."""
    fronts = {
        s.network: (s.unrolled.cost[s.unrolled.front], s.unrolled.error_percent[s.unrolled.front])
        for s in studies
    }
    xlabel = "hardware cost, fully unrolled; 1 = without copies"
    return cost_fronts(fronts, xlabel=xlabel, title="Selective channel replication")


def _bench(board: Path | None, budget: str) -> BoardBench:
    check_choice("--budget", budget, BUDGETS)
    return board_bench(board or shipped_board("cnvW1A1"), images=BUDGETS[budget])


def _stick_channels(bench: BoardBench, on_step: OnStep | None) -> ChannelStudy:
    campaign = run_campaign(bench, bench.design.fault_list([PeFaultKind.channel]), on_step=on_step)
    return ChannelStudy(
        network=bench.design.network.name,
        results=campaign.results,
        extremes=layer_extremes(campaign.results),
        seconds=campaign.seconds,
    )
