"""Many single faults on many images, without running again what a fault cannot have changed.

The fault-free activations and sums of a batch are computed once. A fault is the difference it makes to the
output of its layer; `kernels.differences` carries that difference on until it dies or reaches the classes.
A transient fault runs on the image that it strikes, and leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.chain import build_chain, sums_type
from accel_models.finn.chip import FinnChip
from accel_models.finn.healthy import Healthy, run_healthy
from accel_models.finn.layer import IntArray
from xbarsim.errors import InputError, check_int
from xbarsim.faults.pe import NONE, SHARED_LAYER, PeFaultKind, PeFaults
from xbarsim.kernels.differences import propagate
from xbarsim.kernels.layout import Chain, Forced

Answer = tuple[IntArray, NDArray, NDArray[np.bool_]]
AT_ONCE = 2048  # faults
MASKED_KINDS = (PeFaultKind.channel, PeFaultKind.pe, PeFaultKind.pixel)


@dataclass(frozen=True, kw_only=True, eq=False)
class FaultResults:
    """What each fault of a list did, in counts.

    Attributes
    ----------
    hits : (faults,) images that are still classified as labelled
    flips : (faults,) images whose class changed (silent data corruption)
    masked : (faults,) images whose class scores stayed the same
    baseline_hits : without a fault
    shots : images
    """

    faults: PeFaults
    hits: IntArray
    flips: IntArray
    masked: IntArray
    baseline_hits: int
    shots: int

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(faults,): hits / shots."""
        return self.hits / self.shots

    @property
    def flip_rate(self) -> NDArray[np.float64]:
        """(faults,): flips / shots."""
        return self.flips / self.shots


def simulate_faults(
    design: FinnChip,
    faults: PeFaults,
    images: NDArray,
    labels: IntArray,
    *,
    memory_MB: int = 1024,
    on_step: Callable[[int, int], None] | None = None,
) -> FaultResults:
    """Inject every fault of a list alone, and count.

    Parameters
    ----------
    design : without faults of its own
    images : (N, *image) uint8
    labels : (N,)
    memory_MB : about how much the activations, sums and answers of a batch may take; bounds the batch
    on_step : called with faulty inferences done and in all

    Raises
    ------
    InputError : a design with faults, a fault outside the design, images of another shape, labels that do
        not match them, an image number beyond the images.
    """
    pixels = _check(design, faults, images, labels)
    chain, masks = build_chain(design), dict[bytes, tuple[IntArray, Forced]]()
    n, results = len(pixels), np.zeros((3, len(faults)), np.int64)
    batch = batch_size(design, memory_MB)
    baseline_hits, done = 0, 0
    for start in range(0, n, batch):
        here, truth = pixels[start : start + batch], labels[start : start + batch]
        healthy = run_healthy(design, here)
        baseline_hits += int((healthy.classes == truth).sum())
        runs = _Batch(design, healthy, chain, memory_MB, masks)
        for chosen, classes, same in _answers(runs, faults, start):
            results[0, chosen] += (classes == truth).sum(axis=1)
            results[1, chosen] += (classes != healthy.classes).sum(axis=1)
            results[2, chosen] += same.sum(axis=1)
            done += len(chosen) * len(here)
            if on_step is not None:
                on_step(done, len(faults) * n)
    return FaultResults(
        faults=faults,
        hits=results[0],
        flips=results[1],
        masked=results[2],
        baseline_hits=baseline_hits,
        shots=n,
    )


def batch_size(design: FinnChip, memory_MB: int) -> int:
    """Images at once, so that what is kept of them fits."""
    check_int("memory_MB", memory_MB, 16, 10**7)
    an_image = sum(8 * p.input_words for p in design.plans)
    an_image += sum(p.lanes * len(p.corners[0]) * sums_type(design).itemsize for p in design.plans)
    return max(1, min(256, memory_MB * 2**20 // (4 * an_image)))


def _check(design: FinnChip, faults: PeFaults, images: NDArray, labels: IntArray) -> NDArray[np.uint8]:
    if design.faults:
        raise InputError("design", "no faults of its own", str(design.faults[0]), "list it with the others")
    pixels = design.network.check_pixels(images)
    if np.shape(labels) != (len(pixels),):
        raise InputError("labels", f"({len(pixels)},)", str(np.shape(labels)))
    faults.check(design.geometry)
    if len(faults) and faults.column("image").max() >= len(pixels):
        got = int(faults.column("image").max())
        raise InputError("transient fault", f"an image in 0..{len(pixels) - 1}", got)
    return pixels


@dataclass(frozen=True, eq=False)
class _Batch:
    """A fault-free batch, and how faults run on it.

    Attributes
    ----------
    masks : of lists of faults that were run before, which all batches share
    """

    design: FinnChip
    healthy: Healthy
    chain: Chain
    memory_MB: int
    masks: dict[bytes, tuple[IntArray, Forced]]

    def answers(self, faults: PeFaults) -> Iterator[Answer]:
        """(places in the list, (places, n) classes, (places, n) scores unchanged) for permanent faults."""
        last, layer, kind = len(self.design.plans) - 1, faults.column("layer"), faults.column("kind")
        behind = (layer < last) & (layer != SHARED_LAYER)
        masked = behind & np.isin(kind, MASKED_KINDS)
        if self.design.geometry.layers[-1].values == ():
            most = max((g.rows for g in self.design.geometry.layers if g.values), default=0)
            masked |= (layer == SHARED_LAYER) & (kind == PeFaultKind.pe) & (faults.column("unit") < most)
        for places in _chunks(np.flatnonzero(masked), AT_ONCE):
            yield self._masked(faults, places)
        outputs = behind & ~masked
        for places in _chunks(np.flatnonzero(outputs), self._outputs_at_once):
            yield self._outputs(faults, places)
        for place in np.flatnonzero(~masked & ~outputs):
            yield self._scored(faults, int(place))

    @property
    def _outputs_at_once(self) -> int:
        widest = max(1, *(p.output_words for p in self.design.plans))
        return max(1, min(AT_ONCE, self.memory_MB * 2**20 // (4 * 8 * widest * len(self.healthy.words))))

    def _masked(self, faults: PeFaults, places: IntArray) -> Answer:
        """Faults that overwrite activations: the kernel applies their masks."""
        chosen = faults.take(places)
        key = chosen.table.tobytes()
        if key not in self.masks:
            self.masks[key] = self._build_masks(chosen)
        nothing = np.empty((0, len(self.healthy.words), 0), np.int64)
        return self._propagate(places, *self.masks[key], nothing)

    def _build_masks(self, faults: PeFaults) -> tuple[IntArray, Forced]:
        """The first layer that each fault changes, and how."""
        plans, places = self.design.plans, range(len(faults))
        place = np.full((len(places), len(plans)), NONE, np.int64)
        pixel, first = np.full(len(places), NONE, np.int64), np.zeros(len(places), np.int64)
        keeps, forces, size = [], [], 0
        for i, fault in enumerate(faults):
            layers = range(len(plans) - 1) if fault.layer == SHARED_LAYER else (fault.layer,)
            effects = {m: self.design.effect(m, [fault]) for m in layers}
            hit = [m for m, effect in effects.items() if effect is not None]
            first[i] = min(hit)
            pixel[i] = fault.unit if fault.kind == PeFaultKind.pixel else NONE
            for m in hit:
                effect = effects[m]
                assert effect is not None
                keep, force = effect.masks()
                place[i, m], size = size, size + len(keep)
                keeps.append(keep)
                forces.append(force)
        given = np.full(len(places), NONE, np.int64)
        return first, Forced(place, pixel, np.concatenate(keeps), np.concatenate(forces), given)

    def _outputs(self, faults: PeFaults, places: IntArray) -> Answer:
        """Faults that change sums: their layer's outputs are worked out here, the kernel goes on."""
        healthy, n = self.healthy, len(self.healthy.words)
        widest = max(self.design.plans[int(m)].output_words for m in faults.column("layer")[places])
        words = np.empty((len(places), n, widest), np.int64)
        for i, fault in enumerate(map(faults.__getitem__, places)):
            effect = self.design.effect(fault.layer, [fault])
            assert effect is not None
            out = healthy.inputs[fault.layer + 1]
            raw = healthy.raw(self.design, fault.layer)
            words[i, :, : out.shape[1]] = effect.patch(healthy.inputs[fault.layer], raw, out)
        nothing = np.zeros(0, np.int64)
        forced = Forced(
            np.full((len(places), len(self.design.plans)), NONE, np.int64),
            np.full(len(places), NONE, np.int64),
            nothing,
            nothing,
            np.arange(len(places)),
        )
        return self._propagate(places, faults.column("layer")[places], forced, words)

    def _propagate(self, places: IntArray, first: IntArray, forced: Forced, given: IntArray) -> Answer:
        healthy = self.healthy
        classes = np.repeat(healthy.classes[None].astype(np.int32), len(places), axis=0)
        same = np.ones(classes.shape, np.bool_)
        propagate(healthy.words, healthy.sums, self.chain, first, forced, given, classes, same)
        return places, classes, same

    def _scored(self, faults: PeFaults, place: int) -> Answer:
        """Faults of the last layer, and those that a shared array brings to every layer: plain runs."""
        fault, healthy, last = faults[place], self.healthy, len(self.design.plans) - 1
        if fault.layer == SHARED_LAYER:
            scores = self.design.scores_under([fault], healthy.inputs[0])
        else:
            scores = healthy.scores.copy()
            effect = self.design.effect(last, [fault])
            if effect is not None:
                x, raw = healthy.inputs[last], healthy.raw(self.design, last)
                ends = self.design.plans[last].layer.output is None
                scores[:, effect.rows] = (effect.scores if ends else effect.codes)(x, raw)[:, 0]
        head = self.design.network.head
        shown = slice(0, head.classes)
        same = (scores[:, shown] == healthy.scores[:, shown]).all(axis=1)
        return np.array([place]), head.classify(scores)[None], same[None]

    def only(self, image: int) -> _Batch:
        """The same for one image of it."""
        h, one = self.healthy, slice(image, image + 1)
        healthy = Healthy(
            inputs=[x[one] for x in h.inputs],
            words=h.words[one],
            sums=h.sums[one],
            first_sums=h.first_sums[one],
            scores=h.scores[one],
            classes=h.classes[one],
        )
        return replace(self, healthy=healthy)


def _answers(batch: _Batch, faults: PeFaults, start: int) -> Iterator[Answer]:
    """Of all faults, transient ones included; what a transient fault does not strike is fault-free."""
    image = faults.column("image")
    permanent = np.flatnonzero(image == NONE)
    for places, classes, same in batch.answers(faults.take(permanent)):
        yield permanent[places], classes, same
    n = len(batch.healthy.classes)
    for struck in np.unique(image[(image >= start) & (image < start + n)]):
        own = np.flatnonzero(image == struck)
        for places, classes, same in batch.only(int(struck) - start).answers(faults.take(own)):
            yield own[places], *_among(batch.healthy.classes, int(struck) - start, classes, same)
    elsewhere = np.flatnonzero((image != NONE) & ((image < start) | (image >= start + n)))
    for places in _chunks(elsewhere, AT_ONCE):
        classes = np.repeat(batch.healthy.classes[None], len(places), axis=0)
        yield places, classes, np.ones(classes.shape, bool)


def _among(
    classes: IntArray, image: int, struck: NDArray, same: NDArray[np.bool_]
) -> tuple[NDArray, NDArray[np.bool_]]:
    """One struck image among those that are fault-free."""
    every = np.repeat(classes[None], len(struck), axis=0)
    unchanged = np.ones(every.shape, bool)
    every[:, image], unchanged[:, image] = struck[:, 0], same[:, 0]
    return every, unchanged


def _chunks(places: IntArray, size: int) -> Iterator[IntArray]:
    return (places[start : start + size] for start in range(0, len(places), size))
