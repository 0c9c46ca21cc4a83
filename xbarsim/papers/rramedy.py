"""RRAMedy's Fig. 11: what fault-masking retraining retrieves, on SLC and MLC arrays, for three networks.

Each chip is retrained around its stuck cells, all of which March C- finds, and measured with its true faults;
beside it stands the repair without training, writing the closest values. Networks are those of the zoo.

Source: RRAMedy (Li et al.), section IV-C. The figure's values are not printed; the text says that accuracy
falls by less than 2 % after retraining, and that ConvNet gets a tenth of the others' faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from accel_models.reram.config import accelerator
from xbarsim.campaigns.task import Task
from xbarsim.chip import Repair
from xbarsim.experiments.experiment import grid
from xbarsim.experiments.measures import Accuracy
from xbarsim.experiments.references import SubjectReference
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.metrics.intervals import mean_over_chips
from xbarsim.papers.study import Settings, Shown, Study
from xbarsim.repair.closest import ClosestValues
from xbarsim.repair.nothing import AsItIs
from xbarsim.repair.retrain import Retrain
from xbarsim.report.plots import accuracy_curves
from xbarsim.report.results import Results
from xbarsim.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_IN_PAPER = "-"
MODES = {"SLC": "isaac-slc", "MLC": "isaac"}
PAPER = ("mlp", "lenet", "convnet-quick")
RATES = {
    "digits-mlp": (0.01, 0.03),
    "mlp": (0.005, 0.01, 0.015),
    "lenet": (0.005, 0.01, 0.015),
    "convnet-quick": (0.001, 0.002, 0.003),
}
# by the names that a repair has in descriptions of tasks
REPAIRS = {"as-it-is": "faulty", "closest-values": "closest values", "retrain": "retrained"}
SENT = ("stuck_cells", "changed_weights", "weights", "update_bytes", "network_bytes", "cell_writes")


@dataclass(frozen=True, kw_only=True)
class MaskingBudget:
    """How much is repaired: chips a point, epochs, training and test images (None for all)."""

    networks: tuple[str, ...]
    chips: int
    epochs: int
    train_images: int | None
    test_images: int | None


BUDGETS = {
    "smoke": MaskingBudget(networks=("digits-mlp",), chips=1, epochs=1, train_images=500, test_images=100),
    "cpu": MaskingBudget(networks=PAPER, chips=2, epochs=1, train_images=15000, test_images=2000),
    "full": MaskingBudget(networks=PAPER, chips=10, epochs=3, train_images=None, test_images=None),
}


@dataclass(frozen=True, kw_only=True)
class MaskingPoint:
    """The chips of one network, mode and rate.

    Attributes
    ----------
    healthy_hits : right predictions of `shots` on the chip without faults
    hits : of every chip, by what was done to it, see `REPAIRS`
    retrained : of every chip, what its retraining counted
    """

    network: str
    mode: str
    rate: float
    healthy_hits: int
    shots: int
    hits: dict[str, list[int]]
    retrained: list[dict[str, Any]]

    def mean(self, repair: str) -> float:
        """Return the accuracy after a repair, mean over the chips, in shares."""
        return mean_over_chips([hits / self.shots for hits in self.hits[repair]]).value

    @property
    def loss(self) -> float:
        """What retraining does not retrieve, in shares."""
        return self.healthy_hits / self.shots - self.mean("retrained")


def _tasks(settings: Settings) -> list[Task]:
    budget = BUDGETS[settings.budget]
    repairs: list[Repair] = [
        AsItIs(),
        ClosestValues(),
        Retrain(epochs=budget.epochs, images=budget.train_images),
    ]
    return [
        task
        for network in budget.networks
        for arrays in MODES.values()
        for task in grid(
            Accuracy(),
            subjects=SubjectReference(
                network=network, accelerator=accelerator(arrays), images=budget.test_images
            ).load(),
            faults=[StuckCells(rate=rate, mix="even") for rate in RATES[network]],
            repairs=repairs,
            trials=budget.chips,
            seed=settings.seed,
        )
    ]


def masking_points(results: Results, budget: MaskingBudget) -> list[MaskingPoint]:
    """Return what the trials counted, by network, mode and rate."""
    tasks = {
        (d["network"], d["accelerator"], d["faults"]["rate"], d["repair"]["name"]): task
        for task in results.tasks
        for d in (task.description,)
    }

    def point(network: str, mode: str, rate: float) -> MaskingPoint:
        alike = {shown: tasks[network, MODES[mode], rate, name] for name, shown in REPAIRS.items()}
        facts = alike["faulty"].facts
        counts = results.trials_of(alike["retrained"])[[f"counts.{name}" for name in SENT]]
        return MaskingPoint(
            network=network,
            mode=mode,
            rate=rate,
            healthy_hits=facts["healthy_hits"],
            shots=facts["shots"],
            hits={shown: results.trials_of(task)["hits"].tolist() for shown, task in alike.items()},
            retrained=[dict(zip(SENT, row, strict=True)) for row in counts.to_numpy().tolist()],
        )

    return [
        point(network, mode, rate) for network in budget.networks for mode in MODES for rate in RATES[network]
    ]


def masking_table(points: Sequence[MaskingPoint], budget: MaskingBudget) -> Table:
    """Points down; accuracy before, without training and after."""
    rows = [
        (
            point.network,
            point.mode,
            f"{100 * point.rate:g}",
            f"{100 * point.healthy_hits / point.shots:.2f}",
            *(f"{100 * point.mean(repair):.2f}" for repair in REPAIRS.values()),
            f"{100 * point.loss:.2f} (< 2)",
        )
        for point in points
    ]
    worst = max(point.loss for point in points)
    holds = "holds" if worst < 0.02 else "does not hold everywhere"
    data = "all" if budget.train_images is None else str(budget.train_images)
    return Table(
        title=f"Fig. 11: fault-masking retraining, accuracy in %, {points[0].shots} test images",
        columns=("network", "cells", "% stuck", "healthy", *REPAIRS.values(), "loss left"),
        rows=tuple(rows),
        note=f"The paper's claim (less than 2 points lost after retraining) {holds}: at most "
        f"{100 * worst:.2f}. In brackets the paper's bound. Mean of {budget.chips} chips, "
        f"{budget.epochs} epochs on {data} training images.",
    )


def masking_figure(points: Sequence[MaskingPoint]) -> Figure:
    """Accuracy over the rate, faulty and retrained, MLC cells."""
    curves = {}
    for network in dict.fromkeys(point.network for point in points):
        of_network = [p for p in points if p.network == network and p.mode == "MLC"]
        for repair in ("faulty", "retrained"):
            means = 100 * np.array([p.mean(repair) for p in of_network])
            rates = 100 * np.array([p.rate for p in of_network])
            curves[f"{network}, {repair}"] = (rates, means, means, means)
    return accuracy_curves(curves, xlabel="stuck cells [%]", title="Fault-masking retraining, MLC")


def _show(results: Results, settings: Settings) -> Shown:
    budget = BUDGETS[settings.budget]
    points = masking_points(results, budget)
    return Shown(
        results={"points": points},
        tables=[masking_table(points, budget)],
        figures={"rramedy-fig11.png": partial(masking_figure, points)},
    )


FIGURE_11 = Study(tasks=_tasks, show=_show, seed=1)


def detection_in_paper(network: str, cell_bits: int) -> dict[str, str]:
    """Return the detection accuracy for permanent faults by SDC-3%, by pattern set.

    Source: RRAMedy, sections IV-B a and b, Figs. 7 and 8. Its wording is vague: so is ours here.

    >>> detection_in_paper("mlp", 1)
    {'adversarial': '> 98%', 'original': '64%'}
    """
    if network not in PAPER or cell_bits not in (1, 2):
        return {"adversarial": NOT_IN_PAPER, "original": NOT_IN_PAPER}
    if cell_bits == 2:
        return {"adversarial": "> 97%", "original": "hardly any"}
    if network == "mlp":
        return {"adversarial": "> 98%", "original": "64%"}
    return {"adversarial": "> 22 points above original", "original": NOT_IN_PAPER}


def speedup_in_paper(network: str) -> float | None:
    """Return March C-'s latency over that of adversarial testing (Table III); None for other networks."""
    return {"mlp": 1062.0, "lenet": 202.0, "convnet-quick": 13.0}.get(network)
