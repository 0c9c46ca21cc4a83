"""A FINN accelerator with a network in it: images in, classes out, exactly, with any faults.

Its own inputs are the bytes of pixels (`scores`, `classify`); `run` takes the floats that the network was
trained on, and turns them into those.

Source: FINN (FPGA 2017); FINN-R and FAT, section II, for faults of both architectures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import nan
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.cycles import design_cycles
from accel_models.finn.effects import LayerEffect, layer_effect
from accel_models.finn.geometry import SharedArray, finn_geometry
from accel_models.finn.layer import IntArray
from accel_models.finn.many import run_each
from accel_models.finn.network import FinnNetwork
from accel_models.finn.plan import LayerPlan, pack, unpack
from accel_models.finn.resources import design_resources
from xbarsim.chip import Cost, Run
from xbarsim.errors import InputError, check_int
from xbarsim.faults.pe import (
    NONE,
    SHARED_LAYER,
    FinnGeometry,
    PeFault,
    PeFaultKind,
    PeFaults,
)
from xbarsim.faults.table import several
from xbarsim.hints import checked
from xbarsim.kernels.mvtu import look_up

if TYPE_CHECKING:
    from accel_models.finn.config import FinnConfig

BATCH_BYTES = 2**23  # of the widest stream: few launches, and it stays near the processor
OnBatch = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class FinnChip:
    """An accelerator with a network and faults; `FinnConfig.program` makes one, `inject` gives a new one.

    Parameters
    ----------
    accelerator : its clock and architecture
    faults : all present together; of two that contradict each other the later one counts
    """

    network: FinnNetwork
    accelerator: FinnConfig
    faults: PeFaults

    def __post_init__(self) -> None:
        self.faults.check(self.geometry)

    @property
    def shared(self) -> SharedArray | None:
        """The array of a loopback accelerator; None for dataflow."""
        return self.accelerator.shared

    @property
    def plans(self) -> tuple[LayerPlan, ...]:
        """The layers, ready for the kernels."""
        return self.network.plans

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input of floats, without the batch."""
        return self.network.input_shape

    @cached_property
    def geometry(self) -> FinnGeometry:
        """The places that its faults refer to."""
        return finn_geometry(self.network, self.shared)

    @property
    def resources(self) -> Mapping[str, float]:
        """PEs and their lanes, and the LUTs and BRAM that FINN-R's formulas give; NaN for loopback, of which
        they say nothing."""
        if self.shared is not None:
            pe, simd = self.shared
            return {"pes": pe, "lanes": pe * simd, "luts": nan, "bram18": nan}
        layers, estimate = self.network.layers, design_resources(self.network)
        return {
            "pes": sum(layer.pe for layer in layers),
            "lanes": sum(layer.pe * layer.simd for layer in layers),
            "luts": estimate.luts,
            "bram18": estimate.bram18,
        }

    @checked
    def cost(self, inputs: int) -> Cost:
        """Return the latency of so many inferences; energy is not known, nor is a loopback's latency.

        The first image takes the accelerator's latency, each other one the interval between two images.
        """
        check_int("inputs", inputs, 1, 10**12)
        if self.shared is not None:
            return Cost(latency_ns=nan, energy_pJ=nan)
        interval = self.network.first_layer_interval
        cycles = design_cycles(self.network, first_layer_interval=interval)
        total = cycles.latency_cycles + (inputs - 1) * cycles.interval_cycles
        return Cost(latency_ns=1e3 * total / self.accelerator.clock_MHz, energy_pJ=nan)

    def folding(self, layer: int) -> tuple[int, int]:
        """PE and SIMD of a layer: its own, or the shared array's."""
        if self.shared is not None:
            return self.shared
        return self.network.layers[layer].pe, self.network.layers[layer].simd

    def fault_list(self, kinds: Iterable[PeFaultKind], layers: Iterable[int] | None = None) -> PeFaults:
        """Every single permanent fault of some kinds, in some layers or in all.

        In a loopback accelerator the faults of PEs, lanes and accumulators are those of the shared array.
        """
        return self.geometry.fault_list(kinds, layers)

    def count_faults(self, kind: PeFaultKind) -> int:
        """How many single faults of a kind there are, without listing them."""
        return self.geometry.count_faults(kind)

    def inject(self, faults: PeFaults | Iterable[PeFault]) -> FinnChip:
        """Return the chip with these faults on top of the ones it has.

        Raises
        ------
        InputError : faults of other hardware, or outside the geometry.
        """
        return replace(self, faults=self.faults.merge(as_table(faults)))

    @checked
    def run(
        self,
        inputs: NDArray,
        *,
        seed: int = 0,
        batch_size: int | None = None,
        on_batch: OnBatch | None = None,
    ) -> Run:
        """Run (N, *input_shape) floats, as the network was trained on them; nothing is random here.

        Parameters
        ----------
        batch_size : inputs at once; changes no result
        on_batch : called with inputs done and in all

        Raises
        ------
        InputError : inputs of another shape, none at all, or that are not finite real numbers in range.
        """
        pixels = self.network.to_pixels(inputs)
        return self.run_of(self.scores(pixels, batch_size=batch_size, on_batch=on_batch))

    def run_each(
        self, faults: Iterable[PeFaults | Iterable[PeFault]], inputs: NDArray, *, seed: int = 0
    ) -> Iterator[Run]:
        """Run the same inputs on many faulty copies; see `accel_models.finn.many`."""
        return run_each(self, map(as_table, several(faults)), inputs)

    def run_of(self, scores: IntArray) -> Run:
        """Return what a run says that gave (N, rows) scores."""
        head = self.network.head
        return Run(scores[:, : head.classes], head.classify(scores), self.cost(len(scores)))

    def effect(self, layer: int, faults: Iterable[PeFault]) -> LayerEffect | None:
        """What these faults do to one layer; None if they leave it alone."""
        hits = [f for f in faults if self._hits(f, layer)]
        return layer_effect(self.plans[layer], hits, *self.folding(layer)) if hits else None

    def first_changed(self, faults: Sequence[PeFault]) -> int:
        """Return the first layer that faults reach, or the number of layers if they reach none."""
        layers = range(len(self.plans))
        return next((m for m in layers if any(self._hits(f, m) for f in faults)), len(layers))

    def _hits(self, fault: PeFault, layer: int) -> bool:
        """Tell if a fault is the layer's own, or the shared array's where the layer works on its PE."""
        if fault.layer != SHARED_LAYER:
            return fault.layer == layer
        own = self.geometry.layers[layer]
        return fault.unit < own.rows and (fault.kind != PeFaultKind.pe or bool(own.values))

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
        faults = tuple(self.faults)
        permanent, found = [f for f in faults if f.permanent], []
        for start in range(0, len(pixels), batch_size):
            found.append(self.scores_under(permanent, self.encode(pixels[start : start + batch_size])))
            if on_batch is not None:
                on_batch(min(start + batch_size, len(pixels)), len(pixels))
        scores = np.concatenate(found)
        for image in {f.image for f in faults if not f.permanent and f.image < len(pixels)}:
            struck = [f for f in faults if f.image in (image, NONE)]
            scores[image] = self.scores_under(struck, self.encode(pixels[image : image + 1]))[0]
        return scores

    def scores_under(self, faults: Sequence[PeFault], x: NDArray, *, first: int = 0) -> IntArray:
        """(N, rows) scores of a batch under faults that are all present, from layer `first` on.

        Parameters
        ----------
        x : (N, input_words) what enters layer `first`
        """
        last = len(self.plans) - 1
        for layer in range(first, last):
            x = self.outputs_under(layer, faults, x)
        if self.plans[last].layer.output is not None:
            return self.scores_of(self.outputs_under(last, faults, x), np.empty(0))
        out, sums = self.plans[last].run(x)
        scores, effect = self.scores_of(out, sums), self.effect(last, faults)
        if effect is not None:
            scores[:, effect.rows] = effect.scores(x, sums)[:, 0]
        return scores

    def outputs_under(self, layer: int, faults: Sequence[PeFault], x: NDArray) -> IntArray:
        """Return the packed outputs (N, output_words) of a layer with thresholds under faults.

        Parameters
        ----------
        x : (N, input_words) what enters the layer
        """
        effect = self.effect(layer, faults)
        out, sums = self.plans[layer].run(x, sums=effect is not None and not effect.only_stuck)
        return out if effect is None else effect.patch(x, sums, out)

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


def as_table(faults: PeFaults | Iterable[PeFault]) -> PeFaults:
    """Return single faults as a list of faults; refuse what is none."""
    if isinstance(faults, PeFaults):
        return faults
    found = list(faults) if isinstance(faults, Iterable) else [faults]
    if wrong := [fault for fault in found if not isinstance(fault, PeFault)]:
        got = type(wrong[0]).__name__
        raise InputError("faults", "faults of processing elements", got, "draw them for this chip's geometry")
    return PeFaults.of(found)
