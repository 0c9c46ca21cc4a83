"""Every single fault of a model, each alone on a chip, on all test images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.chip import FinnChip
from accel_models.finn.concurrent import FaultResults
from accel_models.finn.equivalence import simulate_classes
from xbarsim.chip import Chip
from xbarsim.data import Dataset, as_dataset
from xbarsim.errors import InputError
from xbarsim.faults.table import FaultTable
from xbarsim.hints import checked
from xbarsim.report.answers import worst_faults, worst_first
from xbarsim.report.tables import Table


@dataclass(frozen=True, kw_only=True, eq=False)
class SingleFaultResults:
    """What each of many single faults does, in counts.

    Attributes
    ----------
    faults : the table of faults
    hits : (faults,) images that are still answered rightly
    flips : (faults,) images whose class changed
    healthy_hits, shots : without a fault; images
    on_finn : the same as FINN's criticality and replication take it; None on other chips
    """

    faults: Any
    hits: NDArray[np.int64]
    flips: NDArray[np.int64]
    healthy_hits: int
    shots: int
    on_finn: FaultResults | None = None

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """(faults,) places from the worst fault to the mildest: fewest hits, then most flips."""
        return worst_first(self.hits, self.flips)

    def worst(self, count: int = 10) -> Table:
        """Return the faults that cost most accuracy."""
        title = (
            f"The worst of {len(self.faults):,} single faults on {self.shots:,} images; fault-free "
            f"{self.healthy_hits / self.shots:.2%}"
        )
        fault = self.faults.__getitem__
        return worst_faults(fault, self.hits, self.flips, self.shots, title=title, count=count)


@checked
def every_fault(chip: Chip, model: Any, data: Any) -> SingleFaultResults:
    """Run the test images under every fault that a model lists, each alone.

    Parameters
    ----------
    chip : without faults of its own
    model : a model with `all(geometry)`, as `SingleFaults`; or a table of faults
    data : what `xbarsim.data.as_dataset` takes

    Raises
    ------
    InputError : a model that lists nothing, faults of other places, a chip with faults.

    On FINN chips alike faults are simulated once, and nothing that a fault cannot have changed is computed
    again; on others it is `run_each`.
    """
    if len(chip.faults):
        raise InputError("every_fault", "a chip without faults", f"{len(chip.faults)} faults")
    faults = model.all(chip.geometry) if hasattr(model, "all") and hasattr(model, "draw") else model
    if not isinstance(faults, FaultTable) or not len(faults):
        raise InputError("every_fault", "a model that lists its faults, at least one", repr(model)[:60])
    test = as_dataset(data)
    if isinstance(chip, FinnChip):
        return _on_finn(chip, faults, test)
    healthy = chip.run(test.images)
    runs = chip.run_each(faults.each(), test.images)
    counts = [(run.hits(test.labels), int((run.classes != healthy.classes).sum())) for run in runs]
    hits, flips = np.array(counts, np.int64).T
    return SingleFaultResults(
        faults=faults, hits=hits, flips=flips, healthy_hits=healthy.hits(test.labels), shots=len(test)
    )


def _on_finn(chip: FinnChip, faults: Any, test: Dataset) -> SingleFaultResults:
    found = simulate_classes(chip, faults, chip.network.to_pixels(test.images), test.labels)
    return SingleFaultResults(
        faults=faults,
        hits=found.hits,
        flips=found.flips,
        healthy_hits=found.baseline_hits,
        shots=len(test),
        on_finn=found,
    )
