"""A network with triplicated channels, run through its voters: what replication does, seen and not assumed.

Every copy of a triplicated channel is computed with the faults that sit in it; the three codes are voted and
go on to the next layer. Other channels have the one copy. Copies that agree give their codes, so voters
without faults before them change nothing.

Assumption: the vote is taken on a layer's output, after pooling.

Source: FAT (Zahid et al.), section V-C; the voter of the FINN boards, out = c2 if c1 == c2 else c0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.chip import FinnChip
from accel_models.finn.layer import IntArray
from accel_models.finn.plan import pack, unpack
from accel_models.finn.replication import COPIES, ReplicationPlan, vote
from xbarsim.errors import InputError, check_int
from xbarsim.faults.pe import SHARED_LAYER, PeFault, PeFaultKind, PeFaults

CopyFault = tuple[PeFault, int]
"""A fault, and the copy (0..2) that it sits in."""


def voted_scores(
    design: FinnChip, plan: ReplicationPlan, faults: Sequence[CopyFault], images: NDArray
) -> IntArray:
    """(N, rows) scores of the last layer, with the plan's channels triplicated and voted.

    Parameters
    ----------
    design : without faults of its own
    faults : (fault, copy) pairs, all present together; copies 1 and 2 exist in triplicated channels only
    images : (N, *image) uint8

    Raises
    ------
    InputError : a channel outside the network; a fault outside the design, in a copy that does not exist, of
        a stream or of a shared array (no copy holds it), or a transient one.
    """
    plan.check(design.network)
    pixels = design.network.check_pixels(images)
    _check_faults(design, plan, faults)
    size = design.batch_size
    parts = range(0, len(pixels), size)
    return np.concatenate([_scores(design, plan, faults, pixels[at : at + size]) for at in parts])


def voted_classes(
    design: FinnChip, plan: ReplicationPlan, faults: Sequence[CopyFault], images: NDArray
) -> IntArray:
    """(N,) classes; see `voted_scores`."""
    return design.network.head.classify(voted_scores(design, plan, faults, images))


def _scores(
    design: FinnChip, plan: ReplicationPlan, faults: Sequence[CopyFault], pixels: NDArray
) -> IntArray:
    x = design.encode(pixels)
    for place, layer in enumerate(design.network.layers):
        if layer.output is None:  # the last one: nothing to vote on
            return design.scores_under([fault for fault, _ in faults], x, first=place)
        x = _voted_layer(design, plan, place, faults, x)
    return design.scores_of(x, np.empty(0))


def _voted_layer(
    design: FinnChip, plan: ReplicationPlan, place: int, faults: Sequence[CopyFault], x: NDArray
) -> IntArray:
    """Packed outputs of a layer: three copies of its codes, voted where channels are triplicated."""
    layer, copies = design.plans[place], []
    out, sums = layer.run(x, sums=True)
    for copy in range(COPIES):
        effect = design.effect(place, [fault for fault, where in faults if where == copy])
        words = out if effect is None else effect.patch(x, sums, out)
        copies.append(unpack(words, layer.planes, layer.layer.rows))
    rows, codes = plan.rows(place), copies[0].copy()
    codes[:, :, rows] = vote(*(copy[:, :, rows] for copy in copies))
    return pack(codes, layer.planes)


def _check_faults(design: FinnChip, plan: ReplicationPlan, faults: Sequence[CopyFault]) -> None:
    if design.faults:
        raise InputError("design", "no faults of its own", str(design.faults[0]), "give it with its copy")
    PeFaults.of([f for f, _ in faults]).check(design.geometry)
    for fault, copy in faults:
        check_int(f"{fault}: copy", copy, 0, COPIES - 1)
        if not fault.permanent or fault.layer == SHARED_LAYER or fault.kind == PeFaultKind.pixel:
            raise InputError(f"fault: {fault}", "a permanent fault of a layer's channels", "another")
        if copy and not plan.covers(design, fault):
            raise InputError(f"fault: {fault}", "copy 0, where a channel is not triplicated", copy)
