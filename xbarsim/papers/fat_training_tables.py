"""FAT's Tables II to IV for people: our networks, the paper's figures beside them, a verdict.

Variances are of the accuracies in % over all faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from accel_models.finn.concurrent import FaultResults
from xbarsim.campaigns.task import Task
from xbarsim.experiments.single_faults import fault_results
from xbarsim.papers.fat_numbers import TABLE_II, TABLE_III, TABLE_IV
from xbarsim.papers.fat_training import CnvTraining, network_tasks
from xbarsim.papers.study import Settings, Shown, Study
from xbarsim.papers.training import training_seconds
from xbarsim.report.plots import trade_offs
from xbarsim.report.results import Results
from xbarsim.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADS = ("error-free [%]", "minimum [%]", "variance", "paper: error-free", "minimum", "variance")
TITLES = {
    2: "Table II: standard training against FAT, one channel stuck",
    3: "Table III: FAT against Dropout2D, one channel stuck",
    4: "Table IV: standard training, FAT and Dropout2D, one pixel stuck in all channels",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class StuckNetwork:
    """A trained network under all its single faults; how long it trained, if its file tells."""

    training: CnvTraining
    results: FaultResults
    train_seconds: float | None

    @property
    def error_free(self) -> float:
        """Accuracy in % without a fault."""
        return 100 * self.results.baseline_hits / self.results.shots

    @property
    def lowest(self) -> float:
        """Accuracy in % under the worst fault."""
        return 100 * float(self.results.accuracy.min())

    @property
    def variance(self) -> float:
        """Variance over the faults of the accuracy in %."""
        return float((100 * self.results.accuracy).var())


def table_tasks(table: int, settings: Settings) -> list[Task]:
    """Return the tasks of a table: first those without faults, so that workers train side by side."""
    networks = network_tasks(table, settings)
    return [network.fault_free for network in networks] + [network.stuck for network in networks]


def stuck_networks(table: int, results: Results, settings: Settings) -> list[StuckNetwork]:
    """Return what the tasks of a table found, network by network."""
    found = []
    for network in network_tasks(table, settings):
        healthy = results.of_keys({network.fault_free.key}).trials
        trials = results.of_keys({network.stuck.key}).trials
        found.append(
            StuckNetwork(
                training=network.training,
                results=fault_results(trials, int(healthy["hits"].iloc[0])),
                train_seconds=training_seconds(settings.folder / network.training.file),
            )
        )
    return found


def show_table(table: int, results: Results, settings: Settings) -> Shown:
    """Return what is shown of a table."""
    found = stuck_networks(table, results, settings)
    return Shown(
        results={"networks": [record(one) for one in found], "verdict": verdict(table, found)},
        tables=[trained_table(table, found)],
        figures={f"fat-table{table}.png": partial(trained_figure, table, found)},
    )


def trained_table(table: int, found: Sequence[StuckNetwork]) -> Table:
    """Networks down; ours, then the paper's of the same network and method."""
    rows = [
        (
            one.training.network,
            _words(one),
            f"{one.error_free:.2f}",
            f"{one.lowest:.2f}",
            f"{one.variance:.3f}",
            *_in_paper(table, one),
        )
        for one in found
    ]
    shots = found[0].results.shots
    recipe = found[0].training.recipe
    return Table(
        title=f"{TITLES[table]}; {shots} test images of CIFAR-10",
        columns=("network", "training", *HEADS),
        rows=tuple(rows),
        note=f"{verdict(table, found)} Epochs a network: {recipe.epochs}; {_minutes(found)} of training in "
        "all; the paper trains 1000 epochs, full width.",
    )


def record(one: StuckNetwork) -> dict[str, object]:
    """A network's counts for machines."""
    results = one.results
    worst = int(results.hits.argmin())
    return {
        "training": one.training,
        "train_seconds": one.train_seconds,
        "faults": len(results.faults),
        "baseline_hits": results.baseline_hits,
        "least_hits": int(results.hits[worst]),
        "worst_fault": str(results.faults[worst]),
        "variance_percent2": one.variance,
        "shots": results.shots,
    }


def _minutes(found: Sequence[StuckNetwork]) -> str:
    known = [one.train_seconds for one in found if one.train_seconds is not None]
    return f"{sum(known) / 60:.0f} minutes" if len(known) == len(found) else "an unknown time"


def _words(one: StuckNetwork) -> str:
    training = one.training
    names = {
        "plain": "standard",
        "fat-1": "FAT, all layers",
        "fat-2": "FAT, one layer",
        "dropout2d": "Dropout2D",
    }
    rate = f", {100 * training.rate:g} %" if training.method != "plain" else ""
    return names[training.method] + rate


def _in_paper(table: int, one: StuckNetwork) -> tuple[str, str, str]:
    """The paper's figures of this network and method at the nearest rate it gives."""
    name, method = one.training.network.split("-")[0], one.training.method
    percent = 100 * one.training.rate
    found: tuple[float, ...] = ()
    if table == 2:
        rates = [p for n, p in TABLE_II if n == name and (p == 0) == (method == "plain")]
        nearest = min(rates, key=lambda p: abs(p - percent), default=None)
        found = () if nearest is None else (nearest, *TABLE_II[name, nearest])
    elif name in TABLE_III and table == 3:
        standard = (0.0, *TABLE_II[name, 0])
        found = {"plain": standard, "dropout2d": TABLE_III[name][1]}.get(method, TABLE_III[name][0])
    elif name in TABLE_IV:
        found = TABLE_IV[name][{"plain": 0, "dropout2d": 2}.get(method, 1)]
    if not found:
        return "-", "-", "-"
    rate = f" at {found[0]:g} %" if found[0] else ""
    return f"{found[1]:.2f}{rate}", f"{found[2]:.2f}", f"{found[3]:.3f}" if len(found) > 3 else "-"


def verdict(table: int, found: Sequence[StuckNetwork]) -> str:
    """One sentence on whether the paper's ordering holds."""
    groups: dict[str, dict[str, list[StuckNetwork]]] = {}
    for one in found:
        kind = one.training.method.split("-")[0]
        groups.setdefault(one.training.network, {}).setdefault(kind, []).append(one)
    if table == 3:
        gaps = [_best(g, "fat") - _best(g, "dropout2d") for g in groups.values()]
        said = "The paper finds both about equal here"
        return f"{said}; ours: FAT's minimum less Dropout2D's is {_listed(gaps)} points."
    claims = [_best(g, "fat") > _best(g, "plain") for g in groups.values()]
    gaps = [_best(g, "fat") - _best(g, "plain") for g in groups.values()]
    if table == 4:
        claims += [_best(g, "fat") > _best(g, "dropout2d") > _best(g, "plain") for g in groups.values()]
    order = "FAT above Dropout2D above standard" if table == 4 else "FAT above standard"
    holds = "holds" if all(claims) else "does not hold"
    return (
        f"The paper's order of the minima ({order}) {holds}: FAT's minimum is {_listed(gaps)} points above."
    )


def _best(group: dict[str, list[StuckNetwork]], kind: str) -> float:
    return max(one.lowest for one in group[kind])


def _listed(gaps: Sequence[float]) -> str:
    return ", ".join(f"{gap:.1f}" for gap in gaps)


def trained_figure(table: int, found: Sequence[StuckNetwork]) -> Figure:
    """FAT's Figs. 6 to 8: error-free accuracy over the minimum."""
    points = {f"{one.training.network}, {_words(one)}": (one.lowest, one.error_free) for one in found}
    return trade_offs(
        points,
        xlabel="lowest accuracy under one fault [%]",
        ylabel="error-free accuracy [%]",
        title=TITLES[table],
    )


TABLE_2, TABLE_3, TABLE_4 = (
    Study(tasks=partial(table_tasks, table), show=partial(show_table, table)) for table in (2, 3, 4)
)
