"""Which chip a trial meets: its faults and its cells, the same whatever is measured or repaired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from xbarsim.chip import Chip, FaultModel, Seed, Varied
from xbarsim.faults.trials import faults_of
from xbarsim.rng import Trial


def faulty_chip(chip: Chip, model: FaultModel, trial: Trial) -> Any:
    """Return a trial's chip: another specimen where they differ, with its faults."""
    faulty = chip.inject(faults_of(model, chip.geometry, trial))
    return faulty.another(trial.stream("writes")) if isinstance(faulty, Varied) else faulty


def read_seed(chip: Chip, trial: Trial) -> Seed:
    """Return what decides the noise of a trial's runs: of its own where specimens differ."""
    return trial.stream("reads") if isinstance(chip, Varied) else trial.seed


def trials_of(seed: int, numbers: Sequence[int]) -> Iterator[Trial]:
    """Give the trials of a seed with these numbers."""
    return (Trial(seed, number) for number in numbers)
