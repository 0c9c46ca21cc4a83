"""Tables I and II of stochastic fault-tolerant training, on networks that are trained here.

Every network is quantized, placed on ISAAC-like arrays (16-bit weights in 2-bit cells, inverted storage), and
tested on chips with drawn stuck cells: the same chips for every network.

The paper's Table II is ResNet-32 on CIFAR-100; here it is CIFAR-10, with ResNet-20 in the short budgets.

Source: Wang et al. (see "Sources" in docs/architecture.md), section IV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accel_models.reram.chip import ReramChip
from xbarsim.campaigns.task import Outcome, Task, TrialFunction
from xbarsim.data import Dataset
from xbarsim.experiments.drawing import trials_of
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.faults.trials import faults_of
from xbarsim.papers.stochastic_tables import MeasuredNetwork, curves, table_1, table_2, verdict
from xbarsim.papers.stochastic_training import (
    ACCELERATOR,
    ImageSets,
    StochasticBudget,
    StochasticTraining,
    Variant,
    stochastic_budget,
    table_variants,
)
from xbarsim.papers.study import Settings, Shown, Study
from xbarsim.programs import as_integers
from xbarsim.registry import fault_models
from xbarsim.report.results import Results
from xbarsim.report.tables import Table
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.torch_bridge.threads import torch_threads
from xbarsim.training.loop import accuracy, scores_of

REVISION = 1  # one more whenever an unchanged description gives other counts
CHIPS_SEED = 1


class FastChip:
    """Right predictions of a chip with stuck cells, by torch in float32 on one thread.

    The weights are exactly those that the cells act as; sums are rounded as floats are, so that single
    activations may fall on the other side of a rounding and a prediction may differ from `ReramChip.run`'s.
    Clipping ADCs are not looked at: without faults nothing clips on these arrays, with faults a column may.
    """

    def __init__(self, chip: ReramChip, test: Dataset, *, device: str = "cpu") -> None:
        self.chip, self.labels = chip, torch.from_numpy(test.labels)
        self.module = ChipModule(chip.graph, chip.weight_format).to(device)
        self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = torch.from_numpy(test.images)
        self.images = images.contiguous(memory_format=torch.channels_last)

    def hits(self, faults: FaultMap | None = None) -> int:
        """Return the right predictions with these stuck cells and no others."""
        self.module.set_masks({} if faults is None else self.chip.inject(faults).training_masks())
        with torch_threads(1):
            predictions = scores_of(self.module, self.images, batch_size=250).argmax(dim=1)
        return int(np.count_nonzero(predictions == self.labels))


@dataclass(frozen=True, kw_only=True, eq=False)
class Programmed:
    """A trained network on its chip, and what it gets right without faults, in float and there."""

    chip: FastChip
    float_hits: int
    healthy_hits: int
    shots: int


@lru_cache(maxsize=1)
def programmed(training: StochasticTraining, folder: Path, device: str = "cpu") -> Programmed:
    """Return a trained network on its chip; the latest is kept, for all rates of stuck cells."""
    module, test = training.trained(folder, device), training.images.test()
    with torch_threads(1):
        graph = as_integers(module, ACCELERATOR, calibrate=training.images.train().images)
        chip = FastChip(ACCELERATOR.program(graph), test, device=device)
        float_hits, shots = accuracy(module, test.images, test.labels)
    return Programmed(chip=chip, float_hits=float_hits, healthy_hits=chip.hits(), shots=shots)


@dataclass(frozen=True, kw_only=True)
class StuckChips:
    """A network of the tables on chips with stuck cells, another one in every trial.

    Counts: its right predictions in float and on the chip without faults.

    Parameters
    ----------
    folder, device : where it is kept and trained; no part of what it is
    """

    training: StochasticTraining
    faults: StuckCells
    folder: Path
    device: str = "cpu"

    @property
    def words(self) -> dict[str, str]:
        """What people read of its parts."""
        network = f"{self.training.budget.network}, {self.training.variant.words}"
        return {"network": network, "faults": fault_models.words(self.faults)}

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        faults = fault_models.describe(self.faults)
        return {"metric": "accuracy", **self.training.describe(), "faults": faults, "revision": REVISION}

    def facts(self) -> dict[str, Any]:
        """What a report shows beside the trials."""
        return {"words": self.words}

    def prepare(self) -> TrialFunction:
        """See `Workload`."""
        network = programmed(self.training, self.folder, self.device)
        geometry = network.chip.chip.geometry
        counts = {"float_hits": network.float_hits, "healthy_hits": network.healthy_hits}

        def trials(seed: int, numbers: Sequence[int]) -> Iterator[Outcome]:
            for trial in trials_of(seed, numbers):
                faults = faults_of(self.faults, geometry, trial)
                yield Outcome(network.shots, network.chip.hits(faults), counts)

        return trials


def stuck_tasks(table: int, budget: StochasticBudget, settings: Settings) -> list[Task]:
    """Return a task for every network and rate; all meet the same chips."""
    images = ImageSets(budget.images, budget.test_images)  # one, whose digests are made once
    return [
        Task(
            workload=StuckChips(
                training=StochasticTraining(
                    variant=variant, budget=budget, images=images, seed=settings.seed
                ),
                faults=StuckCells(rate=rate),
                folder=settings.folder,
                device=settings.device,
            ),
            trials=budget.chips if rate == budget.main_rate else budget.few_chips,
            seed=CHIPS_SEED,
        )
        for variant in table_variants(table, budget)
        for rate in budget.rates
    ]


def measured_networks(results: Results, table: int, budget: StochasticBudget) -> list[MeasuredNetwork]:
    """Return what the networks of a table got right."""
    tasks = {(t.description["variant"], t.description["faults"]["rate"]): t for t in results.tasks}

    def measured(variant: Variant) -> MeasuredNetwork:
        trials = {rate: results.trials_of(tasks[variant.name, rate]) for rate in budget.rates}
        first = trials[budget.main_rate].iloc[0]
        return MeasuredNetwork(
            variant=variant,
            float_hits=int(first["counts.float_hits"]),
            healthy_hits=int(first["counts.healthy_hits"]),
            shots=int(first["shots"]),
            hits={rate: chips["hits"].tolist() for rate, chips in trials.items()},
        )

    return [measured(variant) for variant in table_variants(table, budget)]


def _study(table: int, draw: Callable[[Sequence[MeasuredNetwork], StochasticBudget], Table]) -> Study:
    def tasks(settings: Settings) -> list[Task]:
        return stuck_tasks(table, stochastic_budget(settings.budget), settings)

    def show(results: Results, settings: Settings) -> Shown:
        budget = stochastic_budget(settings.budget)
        networks = measured_networks(results, table, budget)
        return Shown(
            results={"networks": networks, "verdict": verdict(networks, budget)},
            tables=[draw(networks, budget)],
            figures={f"stochastic-table{table}.png": partial(curves, networks, budget)},
        )

    return Study(tasks=tasks, show=show)


TABLE_1 = _study(1, table_1)
TABLE_2 = _study(2, table_2)
