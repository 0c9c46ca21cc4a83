"""The adversarial-features paper's tables and figures for people, the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import sem

from xbarsim.metrics.generalisation import generalisation_error
from xbarsim.metrics.intervals import Estimate
from xbarsim.papers.adversarial_paper import EPOCHS, FIG_3, FIG_7, TABLE_1, TABLE_2
from xbarsim.papers.adversarial_training import GAMES, FeatureBudget
from xbarsim.report.plots import accuracy_curves, loss_curves
from xbarsim.report.tables import Table
from xbarsim.training.adversarial_features import GameEpoch, moves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IN_PAPER = ("none", "lasso", "tikhonov")
COLUMNS = ("training [%]", "test [%]", "generalisation error [points]", "95 % interval")


@dataclass(frozen=True, kw_only=True)
class TrainedFeatures:
    """A trained network's right answers, and the losses of its games if it played."""

    network: str
    method: str
    strength: float
    train_hits: int
    train_shots: int
    test_hits: int
    test_shots: int
    games: tuple[GameEpoch, ...] = ()

    @property
    def generalisation(self) -> Estimate:
        """Training accuracy less test accuracy (Eq. 8)."""
        return generalisation_error(self.train_hits, self.train_shots, self.test_hits, self.test_shots)


@dataclass(frozen=True, kw_only=True)
class FaultCurve:
    """A trained network and its right answers with every mask, by the share of units that is stuck at 0."""

    trained: TrainedFeatures
    unit: str
    hits: Mapping[float, Sequence[int]]

    def accuracies(self, share: float) -> list[float]:
        """Return the accuracy with every mask, in shares."""
        return (np.array(self.hits[share]) / self.trained.test_shots).tolist()


def table_1(found: Sequence[TrainedFeatures], budget: FeatureBudget) -> Table:
    """Tikhonov's strength against accuracy and generalisation error."""
    rows = [(f"{one.strength:g}", *_cells(one, TABLE_1.get(one.strength))) for one in found]
    errors = [one.generalisation.value for one in found]
    falls = all(b < a for a, b in pairwise(errors))
    best = max(found, key=lambda one: one.test_hits)
    return Table(
        title=f"Table I: Tikhonov on fashion-mlp, {_effort(found[0], budget)}",
        columns=("strength", *COLUMNS),
        rows=tuple(rows),
        note=f"In brackets the paper's. Stronger means a smaller generalisation error: {_holds(falls)}. Best "
        f"test accuracy at {best.strength:g}; the paper's at 0.0001.",
    )


def table_2(found: Sequence[TrainedFeatures], budget: FeatureBudget) -> Table:
    """Accuracy and generalisation error by architecture and method."""
    rows = [(one.network, one.method, *_cells(one, TABLE_2.get((one.network, one.method)))) for one in found]
    said = []
    for network in dict.fromkeys(one.network for one in found):
        own = {one.method: one for one in found if one.network == network}
        better = max(IN_PAPER, key=lambda m: own[m].test_hits)
        for method in GAMES:
            error = own[method].generalisation
            below = [m for m in IN_PAPER if error.value < own[m].generalisation.value]
            clear = [m for m in below if error.high < own[m].generalisation.low]
            gain = (own[method].test_hits - own[better].test_hits) / own[better].test_shots
            said.append(
                f"{network}: {method} features generalise better than {', '.join(below) or 'none of them'} "
                f"({len(clear)} of these clearly: intervals apart); test accuracy {100 * gain:+.2f} points "
                f"of {better}'s. {_game_words(own[method])}"
            )
    effort = "; ".join(
        f"{name}: {b.images or 'all'} images, {b.game_epochs} epochs of games, {b.epochs} with labels"
        for name, b in budget.networks.items()
    )
    return Table(
        title="Table II: training and test accuracy, generalisation error; layers without biases",
        columns=("network", "method", *COLUMNS),
        rows=tuple(rows),
        note=f"In brackets the paper's. {' '.join(said)} {effort}. {EPOCHS} One training each. dropout and "
        "injection (half of the nodes stuck at 0 in every batch) are controls; adversarial-stable plays with "
        "spectral norms, smoothed labels and a slower reconstruction, options that the paper does not name.",
    )


def fault_table(found: Sequence[FaultCurve], unit: str, figure: int) -> Table:
    """Accuracy by the share of units that is stuck at 0."""
    own = [curve for curve in found if curve.unit == unit]
    rows = []
    for curve in own:
        cells = []
        for share in curve.hits:
            values = curve.accuracies(share)
            error = f" +-{100 * sem(values):.2f}" if len(values) > 1 else ""
            cells.append(f"{100 * np.mean(values):.2f}{error}{_paper(curve, share, figure)}")
        rows.append((curve.trained.method, *cells))
    masks = max(len(hits) for hits in own[0].hits.values())
    return Table(
        title=f"Fig. {figure}, {unit} faults: {own[0].trained.network}, accuracy in %, mean of {masks} masks "
        f"and its standard error, {own[0].trained.test_shots} images",
        columns=("method", *(f"{100 * share:g} %" for share in own[0].hits)),
        rows=tuple(rows),
        note=f"In brackets the paper's. {_order(own, figure)} The same masks for all; layers without biases; "
        "one training each.",
    )


def _order(own: Sequence[FaultCurve], figure: int) -> str:
    """Whether the paper's order holds, paired over the masks, at its quoted share or the middle one."""
    unit = own[0].unit
    quoted = FIG_7 if figure == 7 else FIG_3
    shares = [share for share in own[0].hits if (unit, share) in quoted] or [0.4]
    by = {curve.trained.method: curve for curve in own}
    firsts = [method for method in GAMES if method in by] if figure == 7 else ["tikhonov"]
    return " ".join(_paired(by, first, shares[0]) for first in firsts)


def _paired(by: Mapping[str, FaultCurve], first: str, share: float) -> str:
    """A method's lead over the others on the same masks, and whether it leads those of the paper."""
    said, leads = [], {}
    for rival in (method for method in by if method != first):
        difference = np.subtract(by[first].accuracies(share), by[rival].accuracies(share))
        error = f"{100 * sem(difference):.2f}" if len(difference) > 1 else "unknown"
        said.append(f"{100 * difference.mean():+.2f} +-{error} to {rival}")
        leads[rival] = difference.mean() > 0
    in_paper = [rival for rival in IN_PAPER if rival in leads]
    return (
        f"At {100 * share:g} % {first} is {', '.join(said)} points; the paper's order ({first} above "
        f"{', '.join(in_paper)}) {_holds(bool(in_paper) and all(leads[rival] for rival in in_paper))}."
    )


def fault_figure(found: Sequence[FaultCurve], unit: str, figure: int) -> Figure:
    """Accuracy over the share of units that is stuck at 0."""
    lines = {}
    for curve in (c for c in found if c.unit == unit):
        shares = [share for share in curve.hits if share]
        means = np.array([100 * np.mean(curve.accuracies(s)) for s in shares])
        errors = np.array([100 * np.nan_to_num(sem(curve.accuracies(s))) for s in shares])
        lines[curve.trained.method] = (100 * np.array(shares), means, means - errors, means + errors)
    return accuracy_curves(
        lines,
        xlabel=f"{unit}s stuck at 0 [%]",
        title=f"Fig. {figure}, {unit} faults",
        scale="linear",
        ylabel="accuracy, mean over masks [%]",
    )


def losses_figure(one: TrainedFeatures) -> Figure:
    """Fig. 5: the losses of the games over the epochs."""
    epochs = np.array([e.epoch for e in one.games])
    names = ("reconstruction", "discriminator", "extractor")
    losses = {name: np.array([getattr(e, name) for e in one.games]) for name in names}
    return loss_curves(epochs, losses, title=f"{one.network}, {one.method}: losses of the games")


def _cells(one: TrainedFeatures, paper: tuple[float, float] | None) -> tuple[str, ...]:
    error = one.generalisation
    ours = (one.train_hits / one.train_shots, one.test_hits / one.test_shots, error.value)
    theirs = (None, None, None) if paper is None else (*paper, paper[0] - paper[1])
    cells = [
        f"{100 * a:.2f}" + (f" ({b:.2f})" if b is not None else "") for a, b in zip(ours, theirs, strict=True)
    ]
    return (*cells, f"{100 * error.low:.2f} to {100 * error.high:.2f}")


def _paper(curve: FaultCurve, share: float, figure: int) -> str:
    method = curve.trained.method
    if figure == 7:
        known = FIG_7.get((curve.unit, share), {}).get(method)
        return "" if known is None else f" ({known:.2f})"
    both = FIG_3.get((curve.unit, share))
    return "" if both is None else f" ({both[method == 'tikhonov']:.2f})"


def _game_words(one: TrainedFeatures) -> str:
    if not one.games:
        return "No games were played."
    held = moves(one.games)
    yes = [name for name, holds in held.items() if holds]
    no = [name for name, holds in held.items() if not holds]
    last = one.games[-1].told_right
    return (
        f"Losses as in Fig. 5: {', '.join(yes) or 'none'}; not so: {', '.join(no) or 'none'}; the "
        f"discriminator tells {100 * last:.0f} % right at the end."
    )


def _effort(one: TrainedFeatures, budget: FeatureBudget) -> str:
    return f"{one.train_shots} images, {budget.networks[one.network].epochs} epochs, without biases"


def _holds(yes: bool) -> str:
    return "holds" if yes else "does not hold"
