"""Tables I and II and Figs. 3 and 7 of the adversarial-features paper, on networks that are trained here.

All networks meet the same masks of weights, filters and nodes stuck at 0. Fig. 5, the losses of the games,
comes with the table or figure whose networks played them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from networks.adversarial_features import feature_network
from xbarsim.campaigns.task import Outcome, Task, TrialFunction
from xbarsim.documents import plain
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.papers import adversarial_paper
from xbarsim.papers.adversarial_tables import (
    FaultCurve,
    TrainedFeatures,
    fault_figure,
    fault_table,
    losses_figure,
    table_1,
    table_2,
)
from xbarsim.papers.adversarial_training import (
    BUDGETS,
    METHODS,
    STRENGTHS,
    FeatureBudget,
    FeatureTraining,
    ImageSets,
    trained,
)
from xbarsim.papers.study import Settings, Shown, Study
from xbarsim.registry import fault_models
from xbarsim.report.results import Results
from xbarsim.report.tables import Table
from xbarsim.rng import stream
from xbarsim.torch_bridge.stuck_at_zero import draw_masks, stuck
from xbarsim.torch_bridge.threads import torch_threads
from xbarsim.training.loop import accuracy

if TYPE_CHECKING:
    import pandas as pd

REVISION = 1  # one more whenever an unchanged description gives other counts
MASKS_SEED = 1
SHARES: dict[str, tuple[float, ...]] = {
    "weight": (0.2, 0.4, 0.5, 0.6, 0.7, 0.8),
    "filter": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "node": (0.2, 0.4, 0.6, 0.68, 0.8),
}
CURVE_NETWORKS = {"weight": "fashion-mlp", "filter": "fashion-cnn", "node": "fashion-mlp"}


@dataclass(frozen=True, kw_only=True)
class FeatureAccuracy:
    """A trained network on its test images, in one trial; its right answers to training images are counts.

    Parameters
    ----------
    folder, device : where it is kept and trained; no part of what it is
    """

    training: FeatureTraining
    folder: Path
    device: str = "cpu"

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        return {"metric": "accuracy", **self.training.describe(), "revision": REVISION}

    def prepare(self) -> TrialFunction:
        """See `Workload`."""
        module = trained(self.training, self.folder, self.device)
        return lambda seed, numbers: [self._count(module)] * len(numbers)

    def _count(self, module: nn.Module) -> Outcome:
        train, test = self.training.images.train(), self.training.images.test()
        with torch_threads(1):
            train_hits, train_shots = accuracy(module, train.images, train.labels)
            hits, shots = accuracy(module, test.images, test.labels)
        return Outcome(shots, hits, {"train_hits": train_hits, "train_shots": train_shots})


@dataclass(frozen=True, kw_only=True)
class StuckAccuracy:
    """A trained network on its test images, with a mask of units stuck at 0 in every trial.

    Parameters
    ----------
    folder, device : where it is kept and trained; no part of what it is
    """

    training: FeatureTraining
    faults: StuckAtZero
    folder: Path
    device: str = "cpu"

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        faults = fault_models.describe(self.faults)
        return {"metric": "accuracy", **self.training.describe(), "faults": faults, "revision": REVISION}

    def prepare(self) -> TrialFunction:
        """See `Workload`."""
        module, test = trained(self.training, self.folder, self.device), self.training.images.test()
        faults = self.faults
        scenario = f"{self.training.network} {faults.unit} {faults.share:g}"

        def trials(seed: int, numbers: Sequence[int]) -> Iterator[Outcome]:
            for number in numbers:
                masks = draw_masks(module, faults, stream(seed, scenario, number))
                with torch_threads(1), stuck(module, faults, masks):
                    hits, shots = accuracy(module, test.images, test.labels)
                yield Outcome(shots, hits)

        return trials


class Variant(NamedTuple):
    """A network of a study: its architecture, how it is trained, and on what if not on its own data."""

    network: str
    method: str
    strength: float
    dataset: str | None = None


def _variant(network: str, method: str, dataset: str | None = None) -> Variant:
    return Variant(network, method, STRENGTHS.get(method, 0.0), dataset)


def trainings(variants: Sequence[Variant], settings: Settings) -> list[FeatureTraining]:
    """Return the trainings of networks, as large as the budget says."""
    budget, sets, found = BUDGETS[settings.budget], dict[ImageSets, ImageSets](), []
    for network, method, strength, dataset in variants:
        own = budget.networks[network]
        images = ImageSets(
            name=dataset or feature_network(network).dataset,
            train_images=own.images,
            test_images=budget.test_images,
        )
        found.append(
            FeatureTraining(
                network=network,
                method=method,
                strength=strength,
                images=sets.setdefault(images, images),  # one of each, whose digests are made once
                game_epochs=own.game_epochs,
                epochs=own.epochs,
                seed=settings.seed,
            )
        )
    return found


def accuracy_tasks(variants: Sequence[Variant], settings: Settings) -> list[Task]:
    """Return a task of one trial for every network."""
    return [
        Task(workload=FeatureAccuracy(training=one, folder=settings.folder, device=settings.device), trials=1)
        for one in trainings(variants, settings)
    ]


def stuck_tasks(variants: Sequence[Variant], settings: Settings) -> list[Task]:
    """Return a task for every network, unit and share, with a trial for every mask."""
    return [
        Task(
            workload=StuckAccuracy(
                training=one,
                faults=StuckAtZero(unit=unit, share=share),  # type: ignore[arg-type]
                folder=settings.folder,
                device=settings.device,
            ),
            trials=BUDGETS[settings.budget].masks,
            seed=MASKS_SEED,
        )
        for one in trainings(variants, settings)
        for unit, network in CURVE_NETWORKS.items()
        if network == one.network
        for share in SHARES[unit]
    ]


class Counts:
    """What a study's trials counted, by network."""

    def __init__(self, results: Results, settings: Settings) -> None:
        self._settings = settings
        self._trials: dict[tuple[Any, ...], pd.DataFrame] = {}
        for task in results.tasks:
            what, faults = task.description, task.description.get("faults", {})
            key = (what["network"], what["method"], what["strength"], faults.get("unit"), faults.get("share"))
            self._trials[key] = results.trials_of(task)

    def trained(self, variants: Sequence[Variant]) -> list[TrainedFeatures]:
        """Return the accuracies of networks, with the losses of their games from the folder."""
        return [self._trained(one) for one in trainings(variants, self._settings)]

    def _trained(self, one: FeatureTraining) -> TrainedFeatures:
        row = self._trials[one.network, one.method, one.strength, None, None].iloc[0]
        images = int(row["counts.train_shots"])
        return TrainedFeatures(
            network=one.network,
            method=one.method,
            strength=one.strength,
            train_hits=int(row["counts.train_hits"]),
            train_shots=images,
            test_hits=int(row["hits"]),
            test_shots=int(row["shots"]),
            games=one.games(self._settings.folder, images),
        )

    def curves(self, variants: Sequence[Variant]) -> list[FaultCurve]:
        """Return a curve for every unit and network; a share of 0 is the network as it was trained."""
        found = self.trained(variants)
        return [
            FaultCurve(trained=one, unit=unit, hits={0.0: [one.test_hits], **self._hits(one, unit)})
            for unit, network in CURVE_NETWORKS.items()
            for one in found
            if one.network == network
        ]

    def _hits(self, one: TrainedFeatures, unit: str) -> dict[float, list[int]]:
        key = (one.network, one.method, one.strength, unit)
        return {share: self._trials[*key, share]["hits"].tolist() for share in SHARES[unit]}


def _table(
    variants: Callable[[FeatureBudget], list[Variant]],
    draw: Callable[[Sequence[TrainedFeatures], FeatureBudget], Table],
) -> Study:
    """Return a study of accuracies and generalisation errors."""

    def tasks(settings: Settings) -> list[Task]:
        return accuracy_tasks(variants(BUDGETS[settings.budget]), settings)

    def show(results: Results, settings: Settings) -> Shown:
        budget = BUDGETS[settings.budget]
        found = Counts(results, settings).trained(variants(budget))
        table = draw(found, budget)
        return Shown(
            results={"networks": plain(found), "verdict": table.note},
            tables=[table],
            figures={
                f"aft-fig5-{one.network}-{one.method}.png": partial(losses_figure, one)
                for one in found
                if one.games
            },
        )

    return Study(tasks=tasks, show=show)


def _figure(number: int, methods: Sequence[str], dataset: str | None) -> Study:
    """Return a study of accuracy over the share of units that is stuck at 0."""
    networks = dict.fromkeys(CURVE_NETWORKS.values())
    variants = [_variant(network, method, dataset) for network in networks for method in methods]

    def tasks(settings: Settings) -> list[Task]:
        return [*accuracy_tasks(variants, settings), *stuck_tasks(variants, settings)]

    def show(results: Results, settings: Settings) -> Shown:
        found = Counts(results, settings).curves(variants)
        tables = {unit: fault_table(found, unit, number) for unit in CURVE_NETWORKS}
        return Shown(
            results={
                "curves": [
                    {**plain(curve.trained), "unit": curve.unit, "hits": list(curve.hits.items())}
                    for curve in found
                ],
                "verdict": [table.note for table in tables.values()],
            },
            tables=list(tables.values()),
            figures={
                f"aft-fig{number}-{unit}.png": partial(fault_figure, found, unit, number) for unit in tables
            },
        )

    return Study(tasks=tasks, show=show)


TABLE_1 = _table(
    lambda _: [Variant("fashion-mlp", "tikhonov", s) for s in adversarial_paper.TABLE_1], table_1
)
TABLE_2 = _table(lambda budget: [_variant(n, m) for n in budget.networks for m in METHODS], table_2)
FIGURE_3 = _figure(3, ("none", "tikhonov"), "mnist")
FIGURE_7 = _figure(7, METHODS, None)
