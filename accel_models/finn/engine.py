"""A network on the engine: pixels in, class scores out, layer by layer in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.layer import IntArray
from accel_models.finn.network import FinnNetwork
from accel_models.finn.plan import LayerPlan, pack, unpack

BATCH = 256
OnBatch = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Engine:
    """Runs images through a healthy network, exactly."""

    network: FinnNetwork

    @cached_property
    def plans(self) -> tuple[LayerPlan, ...]:
        """The layers, ready for the kernels."""
        layers = self.network.layers
        first = LayerPlan(layers[0], integers=layers[0].input.bits > 1)
        return (first, *(LayerPlan(layer) for layer in layers[1:]))

    def encode(self, images: NDArray[np.uint8]) -> NDArray:
        """(N, *image) pixels as the first layer's inputs: integers, or packed bits."""
        pixels, first = self.network.pixels, self.plans[0]
        codes = pixels.codes[images].reshape(len(images), -1)
        if first.integers:
            return codes.astype(first.dtype) + first.dtype.type(pixels.stream.low)
        height, width, channels = first.layer.shape
        padded = np.zeros((len(images), height * width * channels), np.uint8)
        padded[:, : codes.shape[1]] = codes
        return pack(padded.reshape(len(images), height * width, channels), 1)

    def scores(
        self, images: NDArray, *, batch_size: int = BATCH, on_batch: OnBatch | None = None
    ) -> IntArray:
        """(N, rows) accumulators of the last layer, or its codes if it has thresholds."""
        found = []
        for x in self.batches(images, batch_size):
            for plan in self.plans:
                x, sums = plan.run(x)
            found.append(self.scores_of(x, sums))
            if on_batch is not None:
                on_batch(sum(map(len, found)), len(images))
        return np.concatenate(found)

    def batches(self, images: NDArray, batch_size: int = BATCH) -> Iterator[NDArray]:
        """The first layer's inputs, a batch at a time."""
        pixels = self.network.check_pixels(images)
        for start in range(0, len(pixels), batch_size):
            yield self.encode(pixels[start : start + batch_size])

    def classify(
        self, images: NDArray, *, batch_size: int = BATCH, on_batch: OnBatch | None = None
    ) -> IntArray:
        """(N,) classes of (N, *image) pixels."""
        return self.network.head.classify(self.scores(images, batch_size=batch_size, on_batch=on_batch))

    def scores_of(self, words: IntArray, sums: NDArray) -> IntArray:
        """What the host reads of the last layer's output."""
        last = self.plans[-1]
        if last.layer.output is None:
            return last.accumulators(sums)[:, 0, 0]
        return unpack(words, last.planes, last.layer.rows)[:, 0].astype(np.int64)
