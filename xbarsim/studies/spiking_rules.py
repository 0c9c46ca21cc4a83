"""The rules of Algorithm 1 beside each other, with several trainings each.

Tables 3 and 4 compare single trainings, and two trainings of one method may differ by more than two methods
do. Here each method is trained from several seeds, against always-spiking neurons, and tested on the same
chips, so that a difference is one of methods, on these chips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbarsim.metrics.intervals import mean_over_chips, paired_difference
from xbarsim.report.tables import Table
from xbarsim.studies.spiking import SpikingStudy, SpikingVariant, TestedSpiking
from xbarsim.studies.spiking_paper import FIRS, NASF, RATIOS

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


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedOften:
    """A method's networks, one a seed."""

    method: str
    seeds: tuple[int, ...]
    networks: tuple[TestedSpiking, ...]

    def accuracies(self, ratio: float) -> list[float]:
        """Mean over the chips, of every network."""
        return [float(np.mean(one.accuracies(NASF, ratio))) for one in self.networks]


def run_rules(studies: Sequence[SpikingStudy]) -> list[TrainedOften]:
    """Every method, with a study's budget and seed each time."""
    return [
        TrainedOften(
            method=method,
            seeds=tuple(study.seed for study in studies),
            networks=tuple(
                study.measure(SpikingVariant(method=method, kind=NASF, fir=FIRS[0])) for study in studies
            ),
        )
        for method in METHODS
    ]


def rules_table(found: Sequence[TrainedOften], scope: str) -> Table:
    """Methods down, ratios of faulty neurons across."""
    rows = [
        (WORDS[one.method], *(str(mean_over_chips(one.accuracies(ratio))) for ratio in RATIOS[NASF]))
        for one in found
    ]
    first = found[0].networks[0]
    chips = len(first.hits[NASF, RATIOS[NASF][0]])
    return Table(
        title=f"Rules of Algorithm 1, NASF, FIR {FIRS[0]:g}: mean accuracy of "
        f"{len(found[0].networks)} trainings, 95 % interval",
        columns=("patterns", *(f"ratio {ratio:g}" for ratio in RATIOS[NASF])),
        rows=tuple(rows),
        note=f"Of every network the mean over the same {chips} chips, on {first.shots} images; Student's t "
        "over the trainings (two at least). ff and ft: gradients through the fault-free and the faulty "
        f"network. Faults: {scope}.",
    )


def differences_table(found: Sequence[TrainedOften]) -> Table:
    """What each method gains over random perturbations, seed by seed."""
    control = next(one for one in found if one.method == "random")
    others = [one for one in found if one is not control]
    rows = [
        (
            f"{WORDS[one.method]} - random",
            *(
                str(paired_difference(one.accuracies(ratio), control.accuracies(ratio)))
                for ratio in RATIOS[NASF]
            ),
        )
        for one in others
    ]
    return Table(
        title="Differences to random signs, by training, 95 % interval",
        columns=("difference", *(f"ratio {ratio:g}" for ratio in RATIOS[NASF])),
        rows=tuple(rows),
        note=verdict(found),
    )


def verdict(found: Sequence[TrainedOften]) -> str:
    """Which methods differ from random perturbations, and where; all intervals together hold with 95 %."""
    control = next(one for one in found if one.method == "random")
    others = [one for one in found if one is not control]
    confidence = 1 - 0.05 / (len(others) * len(RATIOS[NASF]))  # Bonferroni
    said = []
    for one in others:
        differences = [
            paired_difference(one.accuracies(ratio), control.accuracies(ratio), confidence=confidence)
            for ratio in RATIOS[NASF]
        ]
        above, below = sum(d.low > 0 for d in differences), sum(d.high < 0 for d in differences)
        said.append(f"{one.method} above at {above} of {len(differences)} ratios, below at {below}")
    return f"Clearly, at 95 % for all {len(others) * len(RATIOS[NASF])} together: {'; '.join(said)}."
