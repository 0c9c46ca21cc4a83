"""The rules of Algorithm 1 of the spiking paper beside each other, with several trainings each.

Tables 3 and 4 compare single trainings, and two trainings of one method may differ by more than two methods
do. Here each method is trained from several seeds, against always-spiking neurons, and tested on the same
chips, so that a difference is one of methods, on these chips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbarsim.campaigns.task import Task
from xbarsim.metrics.intervals import Estimate, mean_over_chips, paired_difference
from xbarsim.papers.spiking import TestedSpiking, chip_tasks, networks_of
from xbarsim.papers.spiking_networks import UNIVERSE, SpikingVariant, spiking_budget, trainings
from xbarsim.papers.spiking_numbers import FIRS, NASF, RATIOS
from xbarsim.papers.study import Settings, Shown, Study
from xbarsim.report.results import Results
from xbarsim.report.tables import Table

METHODS = ("previous", "both", "random", "proposed", "paper", "sum")
WORDS = {
    "previous": "previous (no patterns)",
    "both": "both losses, no patterns",
    "random": "random signs",
    "proposed": "code: sign(ff - ft)",
    "paper": "paper: ft - ff",
    "sum": "sum: sign(ff + ft)",
}
TRAININGS = {"smoke": 2, "cpu": 3, "full": 10}
VARIANTS = tuple(SpikingVariant(method=method, kind=NASF, fir=FIRS[0]) for method in METHODS)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedOften:
    """A method's networks, one a seed."""

    method: str
    networks: tuple[TestedSpiking, ...]

    def accuracies(self, ratio: float) -> list[float]:
        """Return the mean over the chips, of every network."""
        return [float(np.mean(one.accuracies(NASF, ratio))) for one in self.networks]


def trained_often(results: Results) -> list[TrainedOften]:
    """Return every method with its networks, by seed."""
    found = networks_of(results)
    return [
        TrainedOften(method=method, networks=tuple(one for one in found if one.variant.method == method))
        for method in METHODS
    ]


def rules_table(found: Sequence[TrainedOften]) -> Table:
    """Methods down, ratios of faulty neurons across."""
    rows = [
        (WORDS[one.method], *(_shown(mean_over_chips(one.accuracies(ratio))) for ratio in RATIOS[NASF]))
        for one in found
    ]
    first = found[0].networks[0]
    chips = len(first.hits[NASF, RATIOS[NASF][0]])
    return Table(
        title=f"Rules of Algorithm 1, NASF, FIR {FIRS[0]:g}: accuracy in %, mean of {len(found[0].networks)} "
        "trainings and half of its 95 % interval",
        columns=("patterns", *(f"ratio {ratio:g}" for ratio in RATIOS[NASF])),
        rows=tuple(rows),
        note=f"Of every network the mean over the same {chips} chips, on {first.shots} images; Student's t "
        "over the trainings. ff and ft: gradients through the fault-free and the faulty network. "
        f"Faults: {UNIVERSE}.",
    )


def differences_table(found: Sequence[TrainedOften]) -> Table:
    """What each method gains over random perturbations, seed by seed."""
    control, others = _split(found)
    rows = [
        (WORDS[one.method], *(_shown(_gain(one, control, ratio), "+") for ratio in RATIOS[NASF]))
        for one in others
    ]
    return Table(
        title="Gain over random signs of the same seed, in points, mean and half of its 95 % interval",
        columns=("patterns", *(f"ratio {ratio:g}" for ratio in RATIOS[NASF])),
        rows=tuple(rows),
        note=verdict(found),
    )


def verdict(found: Sequence[TrainedOften]) -> str:
    """Say which methods differ from random signs, and where; all intervals together hold with 95 %."""
    control, others = _split(found)
    count = len(others) * len(RATIOS[NASF])
    each = 1 - 0.05 / count  # Bonferroni
    said = []
    for one in others:
        gains = [_gain(one, control, ratio, confidence=each) for ratio in RATIOS[NASF]]
        above, below = sum(gain.low > 0 for gain in gains), sum(gain.high < 0 for gain in gains)
        said.append(f"{one.method} above at {above} of {len(gains)} ratios, below at {below}")
    return f"Clearly, at 95 % for all {count} differences together: {'; '.join(said)}."


def _split(found: Sequence[TrainedOften]) -> tuple[TrainedOften, list[TrainedOften]]:
    """The control and the others."""
    return next(one for one in found if one.method == "random"), [
        one for one in found if one.method != "random"
    ]


def _gain(one: TrainedOften, control: TrainedOften, ratio: float, *, confidence: float = 0.95) -> Estimate:
    return paired_difference(one.accuracies(ratio), control.accuracies(ratio), confidence=confidence)


def _shown(estimate: Estimate, sign: str = "") -> str:
    half = (estimate.high - estimate.low) / 2
    return f"{100 * estimate.value:{sign}.2f} +-{100 * half:.2f}"


def tasks(settings: Settings) -> list[Task]:
    """Return the chips of every method, from several seeds."""
    budget, seeds = spiking_budget(settings.budget), TRAININGS[settings.budget]
    return chip_tasks(trainings(VARIANTS, budget, settings, seeds=seeds), [NASF])


def show(results: Results, settings: Settings) -> Shown:
    """Show every method, and what it gains."""
    found = trained_often(results)
    return Shown(
        results={
            "seeds": [one.seed for one in found[0].networks],
            "trainings": {one.method: [network.record() for network in one.networks] for one in found},
            "universe": str(UNIVERSE),
            "verdict": verdict(found),
        },
        tables=[rules_table(found), differences_table(found)],
    )


RULES = Study(tasks=tasks, show=show)
