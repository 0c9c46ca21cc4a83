"""A summary of fault effects as in an FMEDA: how many are safe, detected, dangerous, per layer and in all.

An effect is one fault during one image. It is one of five:

| effect | class | seen by a detector |
|---|---|---|
| masked | as without the fault, with the same scores | no, or nothing to see |
| unchanged | as without the fault, with other scores | no |
| caught, unchanged | as without the fault | yes |
| caught, changed | would change | yes |
| dangerous | changes | no |

With failure rates lambda of the faults, and d the dangerous share of a fault's effects:

    SPFM = 1 - sum(lambda d) / sum(lambda)                            single-point fault metric, ISO 26262-5
    SFF  = 1 - dangerous undetected / all                             safe failure fraction: the same number
    DC   = caught changed / (caught changed + dangerous), by lambda   diagnostic coverage

Assumptions: a fault at a detected place is seen whenever the scores change (three voted copies then differ),
and where they do not change it counts as masked; a class that changes to the right one is dangerous, too;
every image is as likely as another. The faults counted are those of the list: those of the detector itself
and of added copies are left out. It is a comparison of designs by simulation and no certified analysis.

Source: Goble and Brombacher, "Using a failure modes, effects and diagnostic analysis (FMEDA) to measure
diagnostic coverage in programmable electronic systems", Reliability Engineering & System Safety 66 (1999);
ISO 26262-5:2018, annex C, for the metric's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.concurrent import FaultResults
from xbarsim.errors import InputError, check_number, check_rate
from xbarsim.faults.pe import NONE, PeFault, PeFaultKind

EFFECTS = ("masked", "unchanged", "caught_unchanged", "caught_changed", "dangerous")


@dataclass(frozen=True, kw_only=True)
class SafetyRow:
    """One layer, or all.

    Attributes
    ----------
    layer : -1 for an array that all layers share; None for all together
    faults : of the list; detected_faults : at places that a detector watches
    dangerous_faults : not detected, with a loss of accuracy above the limit
    masked, unchanged, caught_unchanged, caught_changed, dangerous : effects
    rate_FIT : of all faults; dangerous_FIT, caught_FIT : times the share of effects that change the class,
        not seen and seen
    """

    layer: int | None
    faults: int
    detected_faults: int
    dangerous_faults: int
    masked: int
    unchanged: int
    caught_unchanged: int
    caught_changed: int
    dangerous: int
    rate_FIT: float
    dangerous_FIT: float
    caught_FIT: float

    @property
    def effects(self) -> int:
        """Faults times images (one image for a transient fault)."""
        return sum(getattr(self, name) for name in EFFECTS)

    @property
    def shares(self) -> dict[str, float]:
        """Each kind of effect as a share of all, 0..1."""
        return {name: getattr(self, name) / self.effects for name in EFFECTS}

    @property
    def safe_share(self) -> float:
        """Effects that leave the class alone, seen or not."""
        return (self.masked + self.unchanged + self.caught_unchanged) / self.effects

    @property
    def detected_share(self) -> float:
        """Effects that a detector sees."""
        return (self.caught_unchanged + self.caught_changed) / self.effects

    @property
    def spfm(self) -> float:
        """Like the single-point fault metric: 1 - sum(lambda d) / sum(lambda); NaN if all rates are 0."""
        return 1 - self.dangerous_FIT / self.rate_FIT if self.rate_FIT else float("nan")

    @property
    def diagnostic_coverage(self) -> float:
        """The part of what would change the class that is seen; NaN if nothing would."""
        both = self.caught_FIT + self.dangerous_FIT
        return self.caught_FIT / both if both else float("nan")


@dataclass(frozen=True)
class SafetyTable:
    """A row for each layer that has faults, in order, and their total."""

    rows: tuple[SafetyRow, ...]
    total: SafetyRow


def nothing_detected(fault: PeFault) -> bool:
    """No detector."""
    return False


def safety_table(
    results: FaultResults,
    *,
    detected: Callable[[PeFault], bool] = nothing_detected,
    most_loss: float = 0.01,
    rates_FIT: Mapping[PeFaultKind, float] | None = None,
) -> SafetyTable:
    """Count the effects of a list of faults, by layer and in all.

    Parameters
    ----------
    results : of `simulate_faults`
    detected : whether a detector watches a fault's place; for voters, `partial(plan.covers, design)`
    most_loss : accuracy (0..1) that a fault may cost before the fault itself counts as dangerous
    rates_FIT : failures in 10**9 hours of one fault of each kind; all faults alike if not given

    Raises
    ------
    InputError : no faults, a kind without a rate, a rate that is negative or not finite.
    """
    if len(results.faults) == 0:
        raise InputError("safety table", "results of at least one fault", "none")
    columns = _columns(results, detected, check_rate("most_loss", most_loss), rates_FIT)
    layer = results.faults.column("layer")
    rows = tuple(_row(int(m), columns, layer == m) for m in np.unique(layer))
    return SafetyTable(rows, _row(None, columns, np.ones(len(layer), bool)))


def _columns(
    results: FaultResults,
    detected: Callable[[PeFault], bool],
    most_loss: float,
    rates_FIT: Mapping[PeFaultKind, float] | None,
) -> dict[str, NDArray]:
    """What `SafetyRow` adds up, for every fault."""
    seen = np.array([bool(detected(fault)) for fault in results.faults])
    transient = results.faults.column("image") != NONE
    effects = np.where(transient, 1, results.shots)
    masked = results.masked - (results.shots - effects)  # images that a transient fault did not strike
    flips, unchanged = results.flips, effects - masked - results.flips
    rate = _rates(results, rates_FIT)
    loss = (results.baseline_hits - results.hits) / effects
    return {
        "faults": np.ones(len(seen), np.int64),
        "detected_faults": seen,
        "dangerous_faults": ~seen & (loss > most_loss),
        "masked": masked,
        "unchanged": np.where(seen, 0, unchanged),
        "caught_unchanged": np.where(seen, unchanged, 0),
        "caught_changed": np.where(seen, flips, 0),
        "dangerous": np.where(seen, 0, flips),
        "rate_FIT": rate,
        "dangerous_FIT": rate * np.where(seen, 0, flips) / effects,
        "caught_FIT": rate * np.where(seen, flips, 0) / effects,
    }


def _rates(results: FaultResults, rates_FIT: Mapping[PeFaultKind, float] | None) -> NDArray[np.float64]:
    kinds = results.faults.column("kind")
    if rates_FIT is None:
        return np.ones(len(kinds))
    found = np.zeros(len(kinds))
    for kind in map(PeFaultKind, np.unique(kinds)):
        if kind not in rates_FIT:
            raise InputError("rates_FIT", f"a rate for faults of kind {kind.name}", "none")
        found[kinds == kind] = check_number(f"rates_FIT: {kind.name}", rates_FIT[kind], 0, 1e18)
    return found


def _row(layer: int | None, columns: dict[str, NDArray], chosen: NDArray[np.bool_]) -> SafetyRow:
    return SafetyRow(layer=layer, **{name: column[chosen].sum().item() for name, column in columns.items()})
