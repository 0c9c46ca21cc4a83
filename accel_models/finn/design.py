"""A FINN accelerator with a network in it: images in, classes out, exactly, with any faults.

`dataflow`: every layer has PEs of its own. `loopback`: one array of PEs computes all layers, one after the
other, so that a fault of the array hits them all.

Source: FINN (FPGA 2017); FINN-R and FAT, section II, for the two architectures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.effects import LayerEffect, layer_effect
from accel_models.finn.layer import BIPOLAR, IntArray, Mvtu, weight_range
from accel_models.finn.network import FinnNetwork
from accel_models.finn.plan import LayerPlan, pack, unpack
from xbarsim.errors import check_int
from xbarsim.faults.pe import (
    NONE,
    SHARED_LAYER,
    FinnGeometry,
    PeFault,
    PeFaultKind,
    PeFaults,
    UnitGeometry,
)
from xbarsim.kernels.mvtu import look_up

BATCH_BYTES = 2**23  # of the widest stream: few launches, and it stays near the processor
OnBatch = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SharedArray:
    """The PEs of a loopback accelerator: row n of every layer is computed by PE n mod PE."""

    pe: int
    simd: int

    def __post_init__(self) -> None:
        check_int("SharedArray.pe", self.pe, 1, 2**16)
        check_int("SharedArray.simd", self.simd, 1, 2**16)


@dataclass(frozen=True, kw_only=True, eq=False)
class FinnDesign:
    """An accelerator with a network and faults. `inject` gives a new one.

    Parameters
    ----------
    shared : the array of a loopback accelerator; None for dataflow
    faults : all present together
    """

    network: FinnNetwork
    shared: SharedArray | None = None
    faults: tuple[PeFault, ...] = ()

    def __post_init__(self) -> None:
        PeFaults.of(self.faults).check(self.geometry)

    @cached_property
    def plans(self) -> tuple[LayerPlan, ...]:
        """The layers, ready for the kernels."""
        layers = self.network.layers
        first = LayerPlan(layers[0], integers=layers[0].input.bits > 1)
        return (first, *(LayerPlan(layer) for layer in layers[1:]))

    @cached_property
    def geometries(self) -> tuple[UnitGeometry, ...]:
        """What each layer offers to faults."""
        last = len(self.network.layers) - 1
        return tuple(
            _geometry(m, *self.folding(i), last=i == last) for i, m in enumerate(self.network.layers)
        )

    def folding(self, layer: int) -> tuple[int, int]:
        """PE and SIMD of a layer: its own, or the shared array's."""
        if self.shared is not None:
            return self.shared.pe, self.shared.simd
        return self.network.layers[layer].pe, self.network.layers[layer].simd

    @cached_property
    def shared_geometry(self) -> UnitGeometry | None:
        """What the shared array offers to faults that hit all layers."""
        if self.shared is None:
            return None
        own = self.geometries
        every = set.intersection(*(set(g.values) for g in own if g.values))
        return replace(
            own[0],
            rows=max(g.rows for g in own),
            columns=max(g.columns for g in own),
            pe=self.shared.pe,
            simd=self.shared.simd,
            values=tuple(sorted(every)),
            products=tuple(sorted(set.intersection(*(set(g.products) for g in own)))),
            accumulator_bits=min(g.accumulator_bits for g in own),
            pixels=0,
        )

    @property
    def geometry(self) -> FinnGeometry:
        """The places that its faults refer to."""
        return FinnGeometry(self.geometries, self.shared_geometry)

    def fault_list(self, kinds: Iterable[PeFaultKind], layers: Iterable[int] | None = None) -> PeFaults:
        """Every single permanent fault of some kinds, in some layers or in all.

        In a loopback accelerator the faults of PEs, lanes and accumulators are those of the shared array.
        """
        return self.geometry.fault_list(kinds, layers)

    def count_faults(self, kind: PeFaultKind) -> int:
        """How many single faults of a kind there are, without listing them."""
        return self.geometry.count_faults(kind)

    def inject(self, faults: Iterable[PeFault]) -> FinnDesign:
        """The design with these faults on top of the ones it has."""
        found = replace(self, faults=(*self.faults, *faults))
        for name in ("plans", "geometries", "shared_geometry"):  # what faults do not change
            found.__dict__[name] = getattr(self, name)
        return found

    def effect(self, layer: int, faults: Iterable[PeFault]) -> LayerEffect | None:
        """What these faults do to one layer; None if they leave it alone."""
        hits = [f for f in faults if f.layer == layer or self._reaches(f, layer)]
        return layer_effect(self.plans[layer], hits, *self.folding(layer)) if hits else None

    def _reaches(self, fault: PeFault, layer: int) -> bool:
        """True for a fault of the shared array in a layer that uses its PE and has what it is stuck at."""
        own = self.geometries[layer]
        usable = fault.kind != PeFaultKind.pe or bool(own.values)
        return fault.layer == SHARED_LAYER and fault.unit < own.rows and usable

    def encode(self, images: NDArray[np.uint8]) -> NDArray:
        """(N, *image) pixels as the first layer's inputs: integers, or packed bits."""
        pixels, first = self.network.pixels, self.plans[0]
        flat, table = images.reshape(len(images), -1), pixels.codes
        if first.integers:
            table = table.astype(first.dtype) + first.dtype.type(pixels.stream.low)
        found = np.empty(flat.shape, table.dtype)
        look_up(flat, table, found)
        if first.integers:
            return found
        height, width, channels = first.layer.shape
        missing = height * width * channels - found.shape[1]
        padded = np.pad(found, ((0, 0), (0, missing))) if missing else found
        return pack(padded.reshape(len(images), height * width, channels), 1)

    @property
    def batch_size(self) -> int:
        """Images at once, if nothing else is asked for."""
        widest = max(8 * max(p.input_words, p.output_words) for p in self.plans)
        return max(1, BATCH_BYTES // widest)

    def scores(
        self, images: NDArray, *, batch_size: int | None = None, on_batch: OnBatch | None = None
    ) -> IntArray:
        """(N, rows) accumulators of the last layer, or its codes if it has thresholds."""
        pixels = self.network.check_pixels(images)
        batch_size = self.batch_size if batch_size is None else batch_size
        check_int("batch_size", batch_size, 1, 2**31)
        permanent = [f for f in self.faults if f.permanent]
        found = []
        for start in range(0, len(pixels), batch_size):
            found.append(self.scores_under(permanent, self.encode(pixels[start : start + batch_size])))
            if on_batch is not None:
                on_batch(min(start + batch_size, len(pixels)), len(pixels))
        scores = np.concatenate(found)
        for image in {f.image for f in self.faults if not f.permanent and f.image < len(pixels)}:
            struck = [f for f in self.faults if f.image in (image, NONE)]
            scores[image] = self.scores_under(struck, self.encode(pixels[image : image + 1]))[0]
        return scores

    def scores_under(self, faults: Sequence[PeFault], x: NDArray, *, first: int = 0) -> IntArray:
        """(N, rows) scores of a batch under faults that are all present, from layer `first` on.

        Parameters
        ----------
        x : (N, input_words) what enters layer `first`
        """
        for layer, plan in list(enumerate(self.plans))[first:]:
            effect = self.effect(layer, faults)
            out, sums = plan.run(x, sums=effect is not None and not effect.only_stuck)
            if effect is not None and plan.layer.output is not None:
                out = effect.patch(x, sums, out)
            before, x = x, out
        scores = self.scores_of(out, sums)
        if effect is not None and plan.layer.output is None:
            scores[:, effect.rows] = effect.scores(before, sums)[:, 0]
        return scores

    def scores_of(self, words: IntArray, sums: NDArray) -> IntArray:
        """(N, rows): what the host reads of the last layer's output."""
        last = self.plans[-1]
        if last.layer.output is None:
            return last.accumulators(sums)[:, 0, 0]
        return unpack(words, last.planes, last.layer.rows)[:, 0].astype(np.int64)

    def classify(
        self, images: NDArray, *, batch_size: int | None = None, on_batch: OnBatch | None = None
    ) -> IntArray:
        """(N,) classes of (N, *image) pixels."""
        return self.network.head.classify(self.scores(images, batch_size=batch_size, on_batch=on_batch))


def _geometry(layer: Mvtu, pe: int, simd: int, *, last: bool) -> UnitGeometry:
    height, width, _ = layer.output_shape
    weights, inputs = weight_range(layer.weight_bits), layer.input.values
    ends = sorted(int(w) * int(a) for w in weights for a in (inputs[0], inputs[-1]))
    signs = layer.weight_bits == 1 and layer.input == BIPOLAR
    return UnitGeometry(
        rows=layer.rows,
        columns=layer.columns,
        pe=pe,
        simd=simd,
        weight_bits=layer.weight_bits,
        threshold_bits=layer.threshold_bits,
        accumulator_bits=layer.accumulator_bits,
        thresholds=0 if layer.output is None else layer.output.top,
        values=() if layer.output is None else tuple(layer.output.values.tolist()),
        products=(-1, 1) if signs else tuple(sorted({ends[0], 0, ends[-1]})),
        pixels=0 if last else height * width,
    )
