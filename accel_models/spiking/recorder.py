"""Shows patterns to spiking chips, again and again: what `xbarsim.detection.spiking` tests with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accel_models.spiking.chip import SpikingChip, run_many
from xbarsim.arrays import INTEGERS, as_array, check_array
from xbarsim.errors import check_int
from xbarsim.hints import checked

IMAGES_A_RUN = 2000  # more would need room for their counts twice


class Recorder:
    """Chips and candidate patterns: every call goes on where the one before ended in one long run of images.

    So no two calls meet the same spikes, and all chips of a call do. Two recorders of one seed do; a
    fault-free chip that is to be independent of faulty ones needs another seed.

    Parameters
    ----------
    base, chips : see `run_many`
    candidates : (n, ...) images in [0, 1]
    seed : of the spikes
    """

    @checked
    def __init__(
        self,
        base: SpikingChip,
        chips: Sequence[SpikingChip],
        candidates: NDArray,
        *,
        seed: int = 0,
    ) -> None:
        check_int("seed", seed, 0, 2**63 - 1)
        self.base, self.chips, self.seed = base, chips, seed
        self.candidates = check_array("candidates", candidates, ("n", "..."), low=0, high=1)
        self.shown = 0

    def __call__(self, patterns: NDArray[np.int64], repetitions: int) -> NDArray[np.unsignedinteger]:
        """(chips, repetitions, patterns, classes) spike counts of some of the candidates."""
        check_int("repetitions", repetitions, 1, 10**9)
        last = len(self.candidates) - 1
        patterns = as_array("patterns", patterns)
        if patterns.shape != (0,):
            check_array("patterns", patterns, ("patterns",), kinds=INTEGERS, low=0, high=last)
        patterns = patterns.astype(np.int64)
        classes = self.base.geometry.sizes[-1]
        kind = np.min_scalar_type(self.base.geometry.steps)  # an output spikes at most once a step
        found = np.empty((len(self.chips), repetitions, len(patterns), classes), kind)
        together = max(1, IMAGES_A_RUN // max(1, len(patterns)))
        for first in range(0, repetitions, together):
            count = min(together, repetitions - first)
            images = np.concatenate([self.candidates[patterns]] * count)
            counts = run_many(self.base, self.chips, images, seed=self.seed, first_image=self.shown)
            found[:, first : first + count] = counts.reshape(len(self.chips), count, len(patterns), classes)
            self.shown += len(images)
        return found
