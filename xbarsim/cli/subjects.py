"""From command line values to subjects and tasks, with progress where it takes time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import ReramConfig, cell_presets
from xbarsim import stops
from xbarsim.campaigns.task import Task
from xbarsim.chip import Accelerator, Chip, FaultModel
from xbarsim.cli import output
from xbarsim.code import load_code
from xbarsim.errors import InputError, check_choice
from xbarsim.experiments.collecting import collect
from xbarsim.experiments.drawing import faulty_chip
from xbarsim.experiments.references import SubjectReference, accelerator_from
from xbarsim.faults.given import GivenFaults
from xbarsim.faults.neurons import SpikingGeometry
from xbarsim.faults.pe import FinnGeometry
from xbarsim.registry import fault_models
from xbarsim.report.results import Results
from xbarsim.rng import Trial
from xbarsim.subject import Subject

FIDELITIES = ("digital", "bit-serial", "analog", "parasitic")


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What the options about hardware say."""

    accelerator: str = "isaac"
    cells: str | None = None
    fidelity: str = "digital"
    device: str | None = None
    age: float | None = None
    wire_ohm: float | None = None

    def config(self) -> Accelerator:
        """Return the configuration; refuses options that it has no use for."""
        found = accelerator_from(self.accelerator)
        if self.cells is not None:
            check_choice("cells", self.cells, cell_presets())
            found = replace(self._reram(found, "cells"), cell=cell_presets()[self.cells])
        check_choice("fidelity", self.fidelity, FIDELITIES)
        needs = {"device": "analog", "age": "analog", "wire_ohm": "parasitic"}
        for option, least in needs.items():
            value = getattr(self, option)
            if value is not None and FIDELITIES.index(self.fidelity) < FIDELITIES.index(least):
                remedy = f"say fidelity {least}, or leave it out"
                raise InputError(option, f"none with fidelity {self.fidelity}", repr(value), remedy)
        if self.fidelity == "digital":
            return found
        if self.fidelity == "bit-serial":  # the same chip, see `Accuracy`
            return self._reram(found, "fidelity")
        ohm = 0.0 if self.fidelity == "analog" else 1.0 if self.wire_ohm is None else self.wire_ohm
        return AnalogConfig(
            base=self._reram(found, "fidelity"),
            device=self.device or "hfo2-wan",
            wire_ohm=ohm,
            age_s=1.0 if self.age is None else self.age,
        )

    def _reram(self, found: Accelerator, option: str) -> ReramConfig:
        if not isinstance(found, ReramConfig):
            raise InputError(option, "a ReRAM accelerator beside it", found.name, "leave it out")
        return found


def run_plugins(files: Sequence[Path] | None) -> None:
    """Run the user's files of fault models, detectors and repairs."""
    for file in files or ():
        load_code(file)


def subject_of(
    network: str,
    hardware: Hardware,
    *,
    weights: Path | None = None,
    data: str | None = None,
    images: int | None = None,
) -> Subject:
    """Load a network and its data, and put it on its hardware."""
    reference = SubjectReference(
        network=network, accelerator=hardware.config(), weights=weights, data=data, images=images
    )
    with output.progress(f"loading {network}"):
        subject = reference.load()
        subject.chip  # noqa: B018 - mistakes in the network show now
    return subject


def models_of(words: Sequence[str] | None, files: Sequence[Path] | None, default: str) -> list[FaultModel]:
    """Return fault models from words, or the faults of files, one a chip."""
    if files and words:
        raise InputError("faults", "a model or files", "both", "leave one of them out")
    if files:
        return [GivenFaults.load(files)]
    return [fault_models.parse(word) for word in words or (default,)]


def default_model(subject: Subject, words: str) -> str:
    """Return the faults to take where none are named: those of the hardware's kind."""
    if isinstance(subject.chip.geometry, FinnGeometry):
        return "single:kinds=channel"
    return "faulty-neurons" if isinstance(subject.chip.geometry, SpikingGeometry) else words


def chip_of(subject: Subject, faults: str | None, seed: int) -> Chip:
    """Return a subject's chip; if faults are named, that of the first trial with them."""
    if faults is None:
        return subject.chip
    return faulty_chip(subject.chip, fault_models.parse(faults), Trial(seed, 0))


def count_of(model: FaultModel, subject: Subject, chips: int | None) -> int:
    """Return how many chips to make: all of a model that lists its faults, ten of others, if not said."""
    known = getattr(model, "population", None)
    if known is None:
        return 10 if chips is None else chips
    population = known(subject.chip.geometry)
    return population if chips is None else min(chips, population)


def make(tasks: Sequence[Task], store: Path | None, *, workers: int = 1) -> Results:
    """Make the trials of tasks, with a bar."""
    if store is not None:
        stops.remedy(output.GOES_ON)
    with output.trials() as on_progress:
        options: dict[str, Any] = {"workers": workers, "on_progress": on_progress}
        return collect(tasks, store, command=output.command_line(), **options)
