"""How to protect a board's network: channels or PEs triplicated, rows scheduled, and what stays dangerous."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from accel_models.finn.chip import FinnChip
from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.criticality import channel_criticality
from accel_models.finn.protection import ProtectionCurve
from accel_models.finn.replication import ReplicationPlan, replication_front
from accel_models.finn.safety import SafetyTable, safety_table
from accel_models.finn.scheduling import SchedulePoint, compare_schedules, joint_front
from xbarsim.errors import InputError, check_int
from xbarsim.faults.pe import PeFaultKind
from xbarsim.report.plots import cost_fronts
from xbarsim.report.tables import Table
from xbarsim.subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True, eq=False)
class Protection:
    """Attributes
    ----------
    channels : triplicated channels on the network's folding, single channels stuck
    schedules : {policy: triplicated PEs of the network so scheduled, single PEs stuck}
    joint : the Pareto front of all schedules
    safety : effects of channel faults with `protected` channels triplicated
    """

    network: str
    shots: int
    protected: int
    channels: ProtectionCurve
    schedules: dict[str, ProtectionCurve]
    joint: list[SchedulePoint]
    safety: SafetyTable


def study_protection(
    subject: Subject, *, protected: int, on_step: Callable[[int, int], None] | None = None
) -> Protection:
    """Simulate channel and PE faults on the test images of a FINN chip, and cost what protects against them.

    Raises
    ------
    InputError : a chip that is none of FINN's, more channels than it has.
    """
    design = subject.chip
    if not isinstance(design, FinnChip):
        raise InputError("protect", "a FINN chip", type(design).__name__, "choose the accelerator finn")
    channels = sum(len(g.values) > 0 and g.rows for g in design.geometry.layers)
    check_int("protected channels", protected, 0, channels)
    pixels, labels = design.network.to_pixels(subject.test.images), subject.test.labels
    faults = design.fault_list([PeFaultKind.channel])
    results = simulate_faults(design, faults, pixels, labels, on_step=on_step)
    schedules = compare_schedules(design, results, pixels, labels)
    plan = ReplicationPlan.most_critical(channel_criticality(results), protected)
    return Protection(
        network=design.network.name,
        shots=results.shots,
        protected=protected,
        channels=replication_front(design, results, cost="folded"),
        schedules=schedules,
        joint=joint_front(schedules),
        safety=safety_table(results, detected=partial(plan.covers, design)),
    )


def schedule_table(study: Protection) -> Table:
    """Worst cases under a stuck PE for each schedule, without copies and along the joint front."""
    rows = []
    for policy, curve in study.schedules.items():
        halved = np.flatnonzero(
            curve.error_percent <= (curve.error_percent[0] + curve.error_percent[-1]) / 2
        )[0]
        ends = f"{curve.error_percent[0]:.2f}", f"{curve.error_percent[-1]:.2f}"
        rows.append((policy, *ends, str(halved), f"{curve.cost[halved]:.3f}", str(len(curve.price) - 1)))
    front = "; ".join(
        f"{p.luts:,} LUT: {p.error_percent:.2f} % ({p.policy}, {p.protected})" for p in study.joint[:6]
    )
    return Table(
        title=f"{study.network}: one PE stuck, the most critical PEs triplicated, {study.shots} images",
        columns=(
            "schedule",
            "worst error [%]",
            "all triplicated [%]",
            "PEs to halve the gap",
            "their cost",
            "PEs",
        ),
        rows=tuple(rows),
        note=f"Rows of a layer are permuted over its PEs, critical ones gathered or spread. The best of all, "
        f"as cost: worst error (schedule, triplicated PEs): {front}"
        + (" ..." if len(study.joint) > 6 else "."),
    )


def safety_summary(study: Protection) -> Table:
    """Safe, detected and dangerous shares, layer by layer."""
    rows = []
    for row in (*study.safety.rows, study.safety.total):
        name = "all" if row.layer is None else str(row.layer)
        shares = row.safe_share, row.shares["caught_changed"], row.shares["dangerous"], row.spfm
        rows.append((name, str(row.faults), *(f"{s:.2%}" for s in shares), str(row.dangerous_faults)))
    return Table(
        title=f"{study.network}: one channel stuck, the {study.protected} most critical ones triplicated, "
        f"{study.shots} images",
        columns=("layer", "faults", "safe", "caught", "dangerous", "SPFM", "costly faults"),
        rows=tuple(rows),
        note="Shares of effects, one fault during one image each, all equally likely. Safe: the class stays. "
        "Caught: it would change, but the voters see it. Dangerous: it changes unseen. Costly: unseen faults "
        "that cost over 1 point of accuracy.",
    )


def protection_figure(study: Protection) -> Figure:
    """Fronts of the schedules over LUTs."""
    fronts = {
        f"PEs, {policy}": (curve.price[curve.front], curve.error_percent[curve.front])
        for policy, curve in study.schedules.items()
    }
    return cost_fronts(fronts, xlabel="LUTs of the matrix units", title=f"{study.network}: one PE stuck")
