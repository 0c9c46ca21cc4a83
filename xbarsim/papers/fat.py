"""FAT's Table I with Fig. 3, and Fig. 9: single stuck channels, and what triplicating the worst buys."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accel_models.finn.concurrent import FaultResults
from accel_models.finn.config import FinnConfig
from accel_models.finn.criticality import LayerExtremes, layer_extremes
from accel_models.finn.presets import presets
from accel_models.finn.protection import ProtectionCurve
from accel_models.finn.replication import replication_front
from xbarsim.campaigns.task import Task
from xbarsim.errors import InputError
from xbarsim.experiments.experiment import grid
from xbarsim.experiments.measures import Accuracy
from xbarsim.experiments.references import SubjectReference
from xbarsim.experiments.single_faults import fault_results
from xbarsim.faults.models import SingleFaults
from xbarsim.papers.fat_numbers import ERROR_FREE, TABLE_I
from xbarsim.papers.study import Settings, Shown, Study
from xbarsim.report.answers import single_fault_figure
from xbarsim.report.plots import cost_fronts
from xbarsim.report.results import Results
from xbarsim.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOARD = "cnvW1A1"
IMAGES: dict[str, int | None] = {"smoke": 100, "cpu": None, "full": None}
SHOWN_STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True, kw_only=True, eq=False)
class StuckChannels:
    """Every channel of a network stuck at every activation."""

    network: str
    results: FaultResults
    extremes: LayerExtremes
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Replication:
    """What triplicating channels costs and buys, fully unrolled and on the network's folding."""

    network: str
    baseline_hits: int
    shots: int
    unrolled: ProtectionCurve
    folded: ProtectionCurve


def shipped_board(name: str = BOARD) -> Path:
    """Return the folder of a shipped network under XBARSIM_DATA.

    Raises
    ------
    InputError : no such folder.
    """
    root = os.environ.get("XBARSIM_DATA")
    folder = Path(root or ".") / "bnn-pynq" / presets()[name].dataset / name
    if not folder.is_dir():
        expected = f"the parameter files of {name}"
        raise InputError(f"folder {folder}", expected, "no such folder", "set XBARSIM_DATA or name a board")
    return folder


def channel_tasks(settings: Settings) -> list[Task]:
    """Return a task for every board: all its channels, stuck at every activation."""
    return [_channel_task(board, settings) for board in settings.boards or (shipped_board(),)]


def _channel_task(board: Path, settings: Settings) -> Task:
    images = IMAGES[settings.budget]
    subject = SubjectReference(network=str(board), accelerator=FinnConfig(), images=images).load()
    model = SingleFaults("channel")
    every = model.population(subject.chip.geometry)
    (task,) = grid(Accuracy(), subjects=subject, faults=model, trials=every, seed=settings.seed)
    return task


def one_board(settings: Settings) -> list[Task]:
    """Return the task of the only board.

    Raises
    ------
    InputError : several boards.
    """
    if len(settings.boards) > 1:
        raise InputError("boards", "one", f"{len(settings.boards)}", "show them one by one")
    return channel_tasks(settings)


def stuck_channels(results: Results, task: Task) -> StuckChannels:
    """Return what a task of `channel_tasks` found."""
    own = results.of_keys({task.key})
    (status,) = own.tasks
    found = fault_results(own.trials, status.facts["healthy_hits"])
    return StuckChannels(
        network=status.description["network"],
        results=found,
        extremes=layer_extremes(found),
        seconds=float(own.trials["seconds"].sum()),
    )


def _show_table_1(results: Results, settings: Settings) -> Shown:
    (task,) = one_board(settings)
    found = stuck_channels(results, task)
    (status,) = results.of_keys({task.key}).tasks
    figure = partial(single_fault_figure, results, status, f"{found.network}, one channel stuck")
    return Shown(
        results={
            "baseline_hits": found.results.baseline_hits,
            "shots": found.results.shots,
            "layers": found.extremes,
        },
        tables=[table_1(found)],
        figures={"fat-fig3.png": figure},
    )


def table_1(found: StuckChannels) -> Table:
    """Layers down; lowest and highest accuracy at each stuck value, the paper's behind ours."""
    extremes, shots = found.extremes, found.results.shots
    values = sorted(set(extremes.value.tolist()))
    rows = []
    for layer in sorted(set(extremes.layer.tolist())):
        cells = [str(layer), str(extremes.places[extremes.layer == layer][0])]
        for place, value in enumerate(values):
            at = np.flatnonzero((extremes.layer == layer) & (extremes.value == value))[0]
            paper = TABLE_I[layer][1 + 2 * place :][:2] if _in_paper(found) else (None, None)
            for ours, theirs in zip((extremes.lowest[at], extremes.highest[at]), paper, strict=True):
                cells.append(f"{100 * ours:.2f}" + (f" ({theirs:.2f})" if theirs is not None else ""))
        rows.append(tuple(cells))
    heads = [f"{_signed(value)} {end}" for value in values for end in ("min", "max")]
    free = f"error-free {found.results.baseline_hits / shots:.2%}"
    paper_words = f" (FAT's network {ERROR_FREE} %)" if _in_paper(found) else ""
    return Table(
        title=f"{found.network}, one channel stuck, accuracy in % on {shots} images; {free}{paper_words}",
        columns=("layer", "channels", *heads),
        rows=tuple(rows),
        note=_verdict(found),
    )


def _in_paper(found: StuckChannels) -> bool:
    return found.network == BOARD


def _verdict(found: StuckChannels) -> str:
    """One sentence on whether the paper's ordering holds."""
    extremes, count = found.extremes, len(found.results.faults)
    worst = int(np.argmin(extremes.least_hits))
    layer, value = int(extremes.layer[worst]), int(extremes.value[worst])
    told = f"{count:,} faults x {found.results.shots:,} images in {found.seconds:.0f} s."
    if not _in_paper(found):
        return f"Worst: layer {layer} stuck at {_signed(value)}. {told}"
    holds = "as in" if (layer, value) == (1, 1) else "unlike"
    return (
        f"In brackets FAT's Table I, whose network has other weights. The worst place is layer {layer} "
        f"stuck at {_signed(value)}, {holds} the paper (layer 1 stuck at +1). {told}"
    )


def _signed(value: int) -> str:
    return f"{value:+d}" if value else "0"


def replication(results: Results, task: Task) -> Replication:
    """Return what triplicating the channels of a task's network costs and buys."""
    found = stuck_channels(results, task)
    workload: Any = task.workload
    chip = workload.subject.chip
    return Replication(
        network=found.network,
        baseline_hits=found.results.baseline_hits,
        shots=found.results.shots,
        unrolled=replication_front(chip, found.results),
        folded=replication_front(chip, found.results, cost="folded"),
    )


def _show_figure_9(results: Results, settings: Settings) -> Shown:
    found = [replication(results, task) for task in channel_tasks(settings)]
    return Shown(
        results={"networks": found, "fronts": [fronts(one) for one in found]},
        tables=[replication_table(one) for one in found],
        figures={"fat-fig9.png": lambda: figure_9(found)},
    )


def replication_table(found: Replication) -> Table:
    """Worst-case error and cost at some numbers of triplicated channels."""
    places = len(found.unrolled.price) - 1
    rows = [
        (
            str(k),
            f"{100 - found.unrolled.error_percent[k]:.2f}",
            f"{found.unrolled.error_percent[k]:.2f}",
            f"{found.unrolled.cost[k]:.4f}",
            f"{found.folded.cost[k]:.4f}",
        )
        for k in (*(k for k in SHOWN_STEPS if k < places), places)
    ]
    points = f"{len(found.unrolled.front)} and {len(found.folded.front)} points"
    return Table(
        title=f"{found.network}: the k most critical channels triplicated, one channel stuck, "
        f"{found.shots} images; error-free {found.baseline_hits / found.shots:.2%}",
        columns=("k", "worst accuracy [%]", "worst error [%]", "cost unrolled", "cost folded"),
        rows=tuple(rows),
        note="Cost 1 is the accelerator without copies: MACs where each has hardware of its own "
        f"(FAT, Fig. 9), LUTs of the network's folding. The Pareto fronts have {points}.",
    )


def fronts(found: Replication) -> dict[str, list[dict[str, int]]]:
    """Both Pareto fronts for machines: channels triplicated, price, and images right in the worst case."""
    return {
        name: [
            {"protected": int(k), "price": int(curve.price[k]), "worst_hits": int(curve.hits[k])}
            for k in curve.front
        ]
        for name, curve in (("unrolled", found.unrolled), ("folded", found.folded))
    }


def figure_9(found: Sequence[Replication]) -> Figure:
    """Fig. 9: worst-case error over cost, fully unrolled."""
    lines = {
        one.network: (one.unrolled.cost[one.unrolled.front], one.unrolled.error_percent[one.unrolled.front])
        for one in found
    }
    xlabel = "hardware cost, fully unrolled; 1 = without copies"
    return cost_fronts(lines, xlabel=xlabel, title="Selective channel replication")


TABLE_1 = Study(tasks=one_board, show=_show_table_1)
FIGURE_9 = Study(tasks=channel_tasks, show=_show_figure_9)
