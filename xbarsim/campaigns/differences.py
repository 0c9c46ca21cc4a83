"""Trials that two stores count differently: which, in what columns, and whether by rounding only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from xbarsim.errors import InputError

ROUNDING = 1e-6  # relative; floats that differ by less are taken for the same sum, rounded otherwise
Counted = tuple[int, int, str | None]  # shots, hits, counts as JSON


@dataclass(frozen=True)
class Difference:
    """A trial of a task in two stores."""

    task: str
    trial: int
    ours: Counted
    theirs: Counted

    @property
    def columns(self) -> dict[str, tuple[Any, Any]]:
        """Our value and theirs of every column in which they differ; None where there is none."""
        ours, theirs = _columns(self.ours), _columns(self.theirs)
        both = {name: (ours.get(name), theirs.get(name)) for name in {**ours, **theirs}}
        return {name: (a, b) for name, (a, b) in both.items() if a != b or type(a) is not type(b)}

    @property
    def by_rounding(self) -> bool:
        """Whether floats alone differ, and these by no more than sums that were rounded otherwise."""
        return all(
            isinstance(a, float) and isinstance(b, float) and isclose(a, b, rel_tol=ROUNDING)
            for a, b in self.columns.values()
        )


def refusal(where: str, differences: Sequence[Difference]) -> InputError:
    """Return the error for two stores that disagree in these trials, at least one."""
    gross = [one for one in differences if not one.by_rounding]
    shown = gross or differences
    first, columns = shown[0], sorted({name for one in shown for name in one.columns})
    more = f" and {len(shown) - 1} more" if len(shown) > 1 else ""
    places = f"trial {first.trial} of task {first.task[:8]}{more}, in {', '.join(columns[:5])}"
    if len(columns) > 5:
        places += f" and {len(columns) - 5} more columns"
    if gross:
        remedy = "one of the two was computed by other code or on other data"
        return InputError(where, "the same counts for the same trial", f"others: {places}", remedy)
    remedy = "one of the two comes from another kind of processor; go on with one store, or keep both apart"
    got = f"numbers that differ by rounding only: {places}"
    return InputError(where, "the same numbers for the same trial", got, remedy)


def _columns(counted: Counted) -> dict[str, Any]:
    shots, hits, counts = counted
    further = json.loads(counts) if counts else {}
    return {"shots": shots, "hits": hits, **{f"counts.{name}": value for name, value in further.items()}}
