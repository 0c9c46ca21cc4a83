"""The spiking paper's Tables 5 to 8: how soon training with stored patterns reaches the previous accuracy.

Three trainings, one trial each: the previous method's; the proposed one, which makes patterns; and the
previous method again, on the data with these patterns, whose accuracy is counted after every epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from networks.snn import Snn
from xbarsim.campaigns.task import Outcome, Task, TrialFunction
from xbarsim.data import Dataset
from xbarsim.faults.models import FaultyNeurons
from xbarsim.papers.spiking_networks import (
    CHIPS_SEED,
    UNIVERSE,
    SpikingBudget,
    SpikingTraining,
    SpikingVariant,
    chip_trials,
    counts_of,
    finite,
    spiking_budget,
    trainings,
)
from xbarsim.papers.spiking_numbers import RATIOS, TABLES_5_TO_8, TIME_TABLES
from xbarsim.papers.study import Settings, Shown, Study
from xbarsim.report.results import Results
from xbarsim.report.tables import Table
from xbarsim.torch_bridge.spiking import spiking_network
from xbarsim.training.loop import fit, initialise
from xbarsim.training.resume import Epoch

REVISION = 1  # one more whenever an unchanged description gives other counts
PREVIOUS, MAKING, STORED = STAGES = ("previous", "with making patterns", "with stored patterns")


@dataclass(frozen=True, kw_only=True, eq=False)
class TimedTraining:
    """A training, timed, with the right answers of chips at every ratio of faults of its kind.

    A trial is a training: there is but one. Shots and hits: of all chips together after the last epoch.
    Counts: 'hits at RATIO after epoch E', 'loss of epoch E', 'cpu seconds of epoch E', and patterns beside
    the data.

    Parameters
    ----------
    training : kept in a folder; its chips are counted after the last epoch
    patterns_of : if given, its patterns are added to the data, and the training is made anew, once a trial;
        its chips are counted after every epoch
    """

    training: SpikingTraining
    patterns_of: SpikingTraining | None = None

    @property
    def stage(self) -> str:
        """Which of the three trainings it is."""
        if self.patterns_of is not None:
            return STORED
        return PREVIOUS if self.training.settings is None else MAKING

    @property
    def test(self) -> Dataset:
        """The images that chips are shown."""
        return self.training.data.test.first(self.training.budget.curve_images)

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        made, kind = self.patterns_of, self.training.variant.kind
        return {
            "metric": "time to accuracy",
            "network": f"{self.training.variant.name}, {self.stage}",
            "stage": self.stage,
            "training": self.training.describe(),
            "patterns_of": None if made is None else made.describe(),
            "data": self.test.digest,
            "images": len(self.test),
            "accelerator": "spiking",
            "faults": {"name": "faulty-neurons", "kind": kind, "ratios": list(RATIOS[kind])},
            "chips": self.training.budget.chips,
            "revision": REVISION,
        }

    def prepare(self) -> TrialFunction:
        """Return what trains."""

        def trials(seed: int, numbers: Sequence[int]) -> Iterator[Outcome]:
            for _ in numbers:
                yield self._kept(seed) if self.patterns_of is None else self._anew(self.patterns_of, seed)

        return trials

    def _kept(self, seed: int) -> Outcome:
        """Of the training in its folder."""
        found = self.training.trained
        hits = self._hits(found.module, seed)
        return self._outcome(found.history, {len(found.history): hits}, found.pattern_count)

    def _anew(self, made: SpikingTraining, seed: int) -> Outcome:
        """Of a training on more data."""
        train, patterns = self.training.data.train, made.trained.patterns
        images, labels = train.images, train.labels
        if patterns is not None:
            images = np.concatenate([images, patterns.images])
            labels = np.concatenate([labels, patterns.labels])
        module = initialise(Snn, self.training.seed)
        hits: dict[int, dict[float, int]] = {}
        history = fit(
            module,
            images,
            labels,
            self.training.budget.recipe,
            seed=self.training.seed,
            methods=self.training.methods(),
            on_epoch=lambda epochs: hits.update({len(epochs): self._hits(module, seed)}),
            device=self.training.device,
        )
        return self._outcome(history, hits, made.trained.pattern_count)

    def _hits(self, module: nn.Module, seed: int) -> dict[float, int]:
        """Right answers of all chips together, by ratio."""
        network, kind = spiking_network(module), self.training.variant.kind
        chips = range(self.training.budget.chips)
        return {
            ratio: sum(
                outcome.hits
                for outcome in chip_trials(network, self.test, FaultyNeurons(kind=kind, ratio=ratio))(
                    seed, chips
                )
            )
            for ratio in RATIOS[kind]
        }

    def _outcome(self, history: Sequence[Epoch], hits: dict[int, dict[float, int]], patterns: int) -> Outcome:
        last = hits[len(history)]
        counts = {
            f"hits at {ratio:g} after epoch {epoch}": count
            for epoch, found in hits.items()
            for ratio, count in found.items()
        }
        losses = {f"loss of epoch {epoch.epoch}": epoch.loss for epoch in history}
        seconds = finite({f"cpu seconds of epoch {epoch.epoch}": epoch.cpu_seconds for epoch in history})
        shots = len(self.test) * self.training.budget.chips * len(last)
        return Outcome(shots, sum(last.values()), {**counts, **losses, **seconds, "patterns": patterns})


def time_tasks(kind: str, fir: float, budget: SpikingBudget, settings: Settings) -> list[Task]:
    """Return the three trainings of a table."""
    pair = [SpikingVariant(method=method, kind=kind, fir=fir) for method in ("previous", "proposed")]
    previous, proposed = trainings(pair, budget, settings)
    workloads = (
        TimedTraining(training=previous),
        TimedTraining(training=proposed),
        TimedTraining(training=previous, patterns_of=proposed),
    )
    return [Task(workload=workload, trials=1, seed=CHIPS_SEED) for workload in workloads]


@dataclass(frozen=True, kw_only=True)
class TimedEpoch:
    """One epoch: its number from 1 on, mean loss, and processor seconds, NaN where its file does not tell."""

    epoch: int
    loss: float
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Convergence:
    """Time to an accuracy.

    Attributes
    ----------
    target : the previous method's accuracy after its last epoch, mean over chips, at every ratio
    reached : (epochs, ratios), the same with stored patterns after every epoch
    previous, with_making, stored : epochs of the three trainings
    """

    kind: str
    fir: float
    target: tuple[float, ...]
    reached: tuple[tuple[float, ...], ...]
    previous: tuple[TimedEpoch, ...]
    with_making: tuple[TimedEpoch, ...]
    stored: tuple[TimedEpoch, ...]
    pattern_count: int
    images: int
    chips: int

    def epochs_to(self, place: int) -> int | None:
        """Return the epochs until the target of a ratio is reached; None if it never is."""
        return next((i for i, row in enumerate(self.reached, 1) if row[place] >= self.target[place]), None)


def convergence(results: Results) -> Convergence:
    """Return what the tasks of `time_tasks` found."""
    tasks = {task.description["stage"]: task for task in results.tasks}
    counts = {stage: counts_of(results, task) for stage, task in tasks.items()}
    was, epochs = tasks[PREVIOUS].description, {s: _epochs(counts[s]) for s in STAGES}
    chips, images = was["chips"], was["images"]

    def accuracies(stage: str, epoch: int) -> tuple[float, ...]:
        ratios = was["faults"]["ratios"]
        return tuple(counts[stage][f"hits at {r:g} after epoch {epoch}"] / chips / images for r in ratios)

    return Convergence(
        kind=was["training"]["kind"],
        fir=was["training"]["fir"],
        target=accuracies(PREVIOUS, len(epochs[PREVIOUS])),
        reached=tuple(accuracies(STORED, epoch.epoch) for epoch in epochs[STORED]),
        previous=epochs[PREVIOUS],
        with_making=epochs[MAKING],
        stored=epochs[STORED],
        pattern_count=int(counts[STORED]["patterns"]),
        images=images,
        chips=chips,
    )


def _epochs(counts: dict[str, float]) -> tuple[TimedEpoch, ...]:
    count = sum(name.startswith("loss of epoch ") for name in counts)
    return tuple(
        TimedEpoch(
            epoch=epoch,
            loss=counts[f"loss of epoch {epoch}"],
            cpu_seconds=counts.get(f"cpu seconds of epoch {epoch}", float("nan")),
        )
        for epoch in range(1, count + 1)
    )


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


def _study(table: int) -> Study:
    def tasks(settings: Settings) -> list[Task]:
        return time_tasks(*TIME_TABLES[table], spiking_budget(settings.budget), settings)

    def show(results: Results, settings: Settings) -> Shown:
        found = convergence(results)
        return Shown(
            results={"convergence": found, "universe": str(UNIVERSE)}, tables=[time_table(found, table)]
        )

    return Study(tasks=tasks, show=show)


TABLE_5, TABLE_6, TABLE_7, TABLE_8 = (_study(table) for table in (5, 6, 7, 8))
