"""RRAMedy's Fig. 11: what fault-masking retraining retrieves, on SLC and MLC arrays, for three networks.

Each chip is diagnosed with March C-, retrained around its stuck cells and measured with its true faults;
beside it stands the repair without training, writing the closest values. Networks are those of the zoo.

Source: RRAMedy (Li et al.), section IV-C. The figure's values are not printed; the text says that accuracy
falls by less than 2 % after retraining, and that ConvNet gets a tenth of the others' faults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accel_models.reram.config import accelerator
from networks.zoo import zoo_path
from xbarsim.detection.march.algorithms import march_test
from xbarsim.errors import check_choice
from xbarsim.faults.sampling import mix_presets
from xbarsim.metrics.intervals import mean_over_chips
from xbarsim.report.plots import accuracy_curves
from xbarsim.report.tables import Table
from xbarsim.studies.repair import Repair, RetrainSettings, repair_chip
from xbarsim.studies.workbench import build_workbench
from xbarsim.training.loop import OnBatch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Watch = Callable[[str], OnBatch | None]
MODES = {"SLC": "isaac-slc", "MLC": "isaac"}
PAPER = ("mlp", "lenet", "convnet-quick")
RATES = {
    "digits-mlp": (0.01, 0.03),
    "mlp": (0.005, 0.01, 0.015),
    "lenet": (0.005, 0.01, 0.015),
    "convnet-quick": (0.001, 0.002, 0.003),
}


@dataclass(frozen=True, kw_only=True)
class MaskingBudget:
    """How much is repaired: chips a point, training and test images."""

    networks: tuple[str, ...]
    chips: int
    epochs: int
    train_images: int | None
    test_images: int | None


def masking_budget(name: str) -> MaskingBudget:
    """'smoke' (a minute), 'cpu' (two cores, under 40 minutes) or 'full'."""
    check_choice("--budget", name, ("smoke", "cpu", "full"))
    if name == "smoke":
        return MaskingBudget(networks=("digits-mlp",), chips=1, epochs=1, train_images=500, test_images=100)
    if name == "cpu":
        return MaskingBudget(networks=PAPER, chips=2, epochs=1, train_images=15000, test_images=2000)
    return MaskingBudget(networks=PAPER, chips=10, epochs=3, train_images=None, test_images=None)


@dataclass(frozen=True, kw_only=True)
class MaskingPoint:
    """The chips of one network, mode and rate; `healthy_hits` is the chip's without faults."""

    network: str
    mode: str
    rate: float
    healthy_hits: int
    shots: int
    repairs: tuple[Repair, ...]


def run_masking(
    budget: MaskingBudget, *, seed: int = 1, watch: Watch = lambda name: None
) -> list[MaskingPoint]:
    """Repair every chip of every point."""
    settings = RetrainSettings(epochs=budget.epochs, images=budget.train_images)
    march, mix = march_test("March C-"), mix_presets()["even"]
    found = []
    for name in budget.networks:
        for mode, arrays in MODES.items():
            config = accelerator(arrays)
            bench = build_workbench(name, config, weights=zoo_path(name), images=budget.test_images)
            healthy = bench.chip.run(bench.test.images).hits(bench.test.labels)
            for rate in RATES[name]:
                repairs = []
                for trial, fault_map in enumerate(bench.fault_maps(rate, mix, chips=budget.chips, seed=seed)):
                    advance = watch(f"{name}, {mode}, {100 * rate:g} % stuck, chip {trial + 1}")
                    repair, _ = repair_chip(
                        bench,
                        fault_map,
                        seed=seed,
                        trial=trial,
                        march=march,
                        settings=settings,
                        on_batch=advance,
                    )
                    repairs.append(repair)
                found.append(
                    MaskingPoint(
                        network=name,
                        mode=mode,
                        rate=rate,
                        healthy_hits=healthy,
                        shots=len(bench.test.labels),
                        repairs=tuple(repairs),
                    )
                )
    return found


def masking_table(points: Sequence[MaskingPoint], budget: MaskingBudget) -> Table:
    """Points down; accuracy before, without training and after."""
    rows = [
        (
            point.network,
            point.mode,
            f"{100 * point.rate:g}",
            f"{100 * point.healthy_hits / point.shots:.2f}",
            *(f"{100 * _mean(point, what):.2f}" for what in ("faulty", "closest", "retrained")),
            f"{100 * (point.healthy_hits / point.shots - _mean(point, 'retrained')):.2f} (< 2)",
        )
        for point in points
    ]
    losses = [p.healthy_hits / p.shots - _mean(p, "retrained") for p in points]
    holds = "holds" if max(losses) < 0.02 else "does not hold everywhere"
    data = "all" if budget.train_images is None else str(budget.train_images)
    return Table(
        title=f"Fig. 11: fault-masking retraining, accuracy in %, {points[0].shots} test images",
        columns=(
            "network",
            "cells",
            "% stuck",
            "healthy",
            "faulty",
            "closest values",
            "retrained",
            "loss left",
        ),
        rows=tuple(rows),
        note=f"The paper's claim (less than 2 points lost after retraining) {holds}: at most "
        f"{100 * max(losses):.2f}. In brackets the paper's bound. Mean of {budget.chips} chips, "
        f"{budget.epochs} epochs on {data} training images.",
    )


def masking_figure(points: Sequence[MaskingPoint]) -> Figure:
    """Accuracy over the rate, faulty and retrained, MLC cells."""
    curves = {}
    for network in dict.fromkeys(point.network for point in points):
        own = [p for p in points if p.network == network and p.mode == "MLC"]
        for what in ("faulty", "retrained"):
            means = 100 * np.array([_mean(p, what) for p in own])
            rates = 100 * np.array([p.rate for p in own])
            curves[f"{network}, {what}"] = (rates, means, means, means)
    return accuracy_curves(curves, xlabel="stuck cells [%]", title="Fault-masking retraining, MLC")


def _mean(point: MaskingPoint, what: str) -> float:
    return mean_over_chips([getattr(r, f"hits_{what}") / r.shots for r in point.repairs]).value
