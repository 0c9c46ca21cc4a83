"""Single faults of a FINN chip, many at a time: what no fault has changed is computed once.

Trial t of a seed is the t-th of all faults of the model in a drawn order, so that the first n trials are a
sample without repetition, and as many trials as there are faults are all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from accel_models.finn.chip import FinnChip
from accel_models.finn.concurrent import FaultResults
from accel_models.finn.equivalence import simulate_classes
from xbarsim.campaigns.task import Outcome
from xbarsim.data import Dataset
from xbarsim.faults.models import SingleFaults
from xbarsim.faults.pe import NAMES, NONE, PeFault, PeFaults
from xbarsim.rng import Trial

if TYPE_CHECKING:
    import pandas as pd

FAULTS_AT_ONCE = 1024  # the fault-free run that they share takes a twentieth of their time
ALWAYS_SAID = ("kind", "layer", "unit", "value")


def can_share(chip: Any, model: Any) -> bool:
    """Whether a chip has the fast path for the faults of a model."""
    return isinstance(chip, FinnChip) and isinstance(model, SingleFaults) and not len(chip.faults)


def single_outcomes(
    chip: FinnChip, model: SingleFaults, test: Dataset, trials: Sequence[Trial]
) -> list[Outcome]:
    """Count hits, changed answers and unchanged scores under the fault of every trial.

    Counts say which fault it was, with the fields of `PeFault`; words, bits and images where it has them.
    """
    faults, pixels = model.of_trials(chip.geometry, trials), chip.network.to_pixels(test.images)
    found = simulate_classes(chip, faults, pixels, test.labels)
    counts = zip(found.faults, found.hits.tolist(), found.flips.tolist(), found.masked.tolist(), strict=True)
    return [
        Outcome(found.shots, hits, {**_fields(fault), "flips": flips, "masked": masked})
        for fault, hits, flips, masked in counts
    ]


def _fields(fault: PeFault) -> dict[str, float]:
    fields = {name: int(getattr(fault, name)) for name in NAMES}
    return {name: value for name, value in fields.items() if name in ALWAYS_SAID or value != NONE}


def fault_results(trials: pd.DataFrame, healthy_hits: int) -> FaultResults:
    """Return the trials of a task of single faults as results of a fault list, in the list's order.

    Parameters
    ----------
    trials : at least one row, as `xbarsim.report.results.Results.trials_of` gives them
    healthy_hits : right answers without a fault
    """
    table = trials.reindex(columns=[f"counts.{name}" for name in NAMES]).fillna(NONE).to_numpy(np.int64)
    order = np.lexsort(table.T[::-1])
    return FaultResults(
        faults=PeFaults(table[order]),
        hits=trials["hits"].to_numpy(np.int64)[order],
        flips=trials["counts.flips"].to_numpy(np.int64)[order],
        masked=trials["counts.masked"].to_numpy(np.int64)[order],
        baseline_hits=healthy_hits,
        shots=int(trials["shots"].iloc[0]),
    )
