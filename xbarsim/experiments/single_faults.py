"""Single faults of a FINN chip, many at a time: what no fault has changed is computed once.

Trial t of a seed is the t-th of all faults of the model in a drawn order, so that the first n trials are a
sample without repetition, and as many trials as there are faults are all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accel_models.finn.chip import FinnChip
from accel_models.finn.concurrent import simulate_faults
from xbarsim.campaigns.task import Outcome
from xbarsim.data import Dataset
from xbarsim.faults.models import SingleFaults
from xbarsim.rng import Trial


def can_share(chip: Any, model: Any) -> bool:
    """Whether a chip has the fast path for the faults of a model."""
    return isinstance(chip, FinnChip) and isinstance(model, SingleFaults) and not len(chip.faults)


def single_outcomes(
    chip: FinnChip, model: SingleFaults, test: Dataset, trials: Sequence[Trial]
) -> list[Outcome]:
    """Count hits and changed answers under the fault of every trial."""
    chosen = model.of_trials(chip.geometry, trials)
    found = simulate_faults(chip, chosen, chip.network.to_pixels(test.images), test.labels)
    return [
        Outcome(
            found.shots,
            int(found.hits[place]),
            {
                "kind": int(fault.kind),
                "layer": int(fault.layer),
                "unit": int(fault.unit),
                "value": int(fault.value),
                "flips": int(found.flips[place]),
            },
        )
        for place, fault in enumerate(chosen)
    ]
