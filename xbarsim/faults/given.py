"""Faults that are known, as those of files, one chip each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xbarsim.digests import content_digest
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.neurons import NeuronFaults
from xbarsim.faults.pe import PeFaults
from xbarsim.files import read_text
from xbarsim.hints import check_fields
from xbarsim.rng import Trial


@dataclass(frozen=True, eq=False)
class GivenFaults:
    """The same faults every time: trial t has the t-th table.

    Parameters
    ----------
    tables : of faults, one a chip

    Raises
    ------
    InputError : no table.
    """

    tables: tuple[Any, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.tables:
            raise InputError("faults", "at least one table", "none")

    @classmethod
    def load(cls, paths: Sequence[str | Path]) -> GivenFaults:
        """Read files that the tables' `save` wrote: of cells, or CSV lists of units or of neurons."""
        return cls(tuple(load_faults(path) for path in paths))

    @property
    def words(self) -> str:
        """What people read."""
        return f"the faults of {len(self.tables)} given chips"

    def describe(self) -> dict[str, Any]:
        """Return what tells it from others: the digest of its contents."""
        parts = [table.to_frame().to_dict("list") for table in self.tables]
        return {"name": "given", "digest": content_digest(parts)}

    def population(self, geometry: Any) -> int:
        """Return how many chips there are."""
        return len(self.tables)

    def numbered(self, geometry: Any, trial: Trial) -> Any:
        """Return the faults of a trial's chip.

        Raises
        ------
        InputError : a trial beyond the last table.
        """
        if trial.number >= len(self.tables):
            raise InputError("trial", f"one of {len(self.tables)} given chips", trial.number)
        return self.tables[trial.number]

    def draw(self, geometry: Any, rng: np.random.Generator) -> Any:
        """Return one of the tables, each as likely."""
        return self.tables[int(rng.integers(len(self.tables)))]


def load_faults(file: str | Path) -> Any:
    """Read the faults of a chip: of cells (safetensors), or a CSV list of units or of neurons.

    Raises
    ------
    InputError : no such file, or one that is none of them.
    """
    path = Path(file)
    if path.suffix.lower() != ".csv":
        return FaultMap.load(path)
    head, _, _ = read_text(path, f"fault list {path}", expected="a CSV file that can be read").partition("\n")
    return NeuronFaults.load(path) if "neuron" in head else PeFaults.load(path)
