"""The faults of a trial's chip: the same whatever is measured or repaired."""

from __future__ import annotations

from typing import Any

from xbarsim.rng import Trial


def faults_of(model: Any, geometry: Any, trial: Trial) -> Any:
    """Draw the faults of a trial's chip.

    From the stream that the model names as its `scenario`, or 'faults'. A model that numbers its faults
    (`numbered(geometry, trial)`), as a list of single faults, gives those of the trial itself.
    """
    if hasattr(model, "numbered"):
        return model.numbered(geometry, trial)
    return model.draw(geometry, trial.stream(getattr(model, "scenario", "faults")))
