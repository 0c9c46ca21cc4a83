"""Many faulty copies of one chip on the same inputs: each runs from the first layer that its faults change.

What the chip without them hands from layer to layer is kept, of as many inputs as fit in KEPT_BYTES; copies
run the others from the start. A transient fault runs on the input that it strikes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.layer import IntArray
from xbarsim.chip import Run
from xbarsim.faults.pe import PeFault, PeFaults

if TYPE_CHECKING:
    from accel_models.finn.chip import FinnChip

KEPT_BYTES = 2**29


def run_each(
    chip: FinnChip,
    faults: Iterable[PeFaults],
    inputs: NDArray,
    *,
    kept_bytes: int = KEPT_BYTES,
) -> Iterator[Run]:
    """Run inputs on copies of a chip with other faults on top of its own, one by one.

    The same numbers as `inject` and `run` give.

    Parameters
    ----------
    faults : of each copy; may be a generator
    inputs : (N, *input_shape) floats
    kept_bytes : bounds what is kept of the runs without these faults; changes no result

    Raises
    ------
    InputError : inputs as `FinnChip.run` refuses them, at once; faults outside the geometry, in their turn.
    """
    return _runs(chip, faults, _batches(chip, chip.network.to_pixels(inputs), kept_bytes))


def _runs(
    chip: FinnChip, faults: Iterable[PeFaults], batches: list[_Batch]
) -> Iterator[Run]:
    for table in faults:
        table.check(chip.geometry)
        own, new = tuple(chip.faults.merge(table)), tuple(table)
        yield chip.run_of(np.concatenate([batch.scores(chip, own, new) for batch in batches]))


@dataclass(frozen=True, eq=False)
class _Batch:
    """A batch, run with the permanent faults of the chip.

    Attributes
    ----------
    start : number of its first input
    inputs : of every layer, packed; of the first one alone where no more is kept
    healthy : (n, rows) scores
    """

    start: int
    inputs: list[NDArray]
    healthy: IntArray

    def scores(self, chip: FinnChip, own: tuple[PeFault, ...], new: tuple[PeFault, ...]) -> IntArray:
        """(n, rows) scores with all faults of a copy, `own`, of which `new` are not the chip's."""
        permanent = [f for f in own if f.permanent]
        found = self._from_first(chip, permanent, [f for f in new if f.permanent], slice(None)).copy()
        stop = self.start + len(found)
        for image in {f.image for f in own if self.start <= f.image < stop}:
            here = slice(image - self.start, image - self.start + 1)
            struck = [f for f in own if f.permanent or f.image == image]
            changes = [f for f in new if f.permanent] + [f for f in own if f.image == image]
            found[here] = self._from_first(chip, struck, changes, here)
        return found

    def _from_first(
        self, chip: FinnChip, faults: list[PeFault], changes: list[PeFault], here: slice
    ) -> IntArray:
        """Scores of some inputs, from the first layer on that `changes` to the chip's faults reach."""
        first = chip.first_changed(changes)
        if first == len(chip.plans):
            return self.healthy[here]
        first = min(first, len(self.inputs) - 1)
        return chip.scores_under(faults, self.inputs[first][here], first=first)


def _batches(chip: FinnChip, pixels: NDArray[np.uint8], kept_bytes: int) -> list[_Batch]:
    permanent, size, found = [f for f in chip.faults if f.permanent], chip.batch_size, []
    last = len(chip.plans) - 1
    for start in range(0, len(pixels), size):
        inputs: list[NDArray] = [chip.encode(pixels[start : start + size])]
        for layer in range(last):
            inputs.append(chip.outputs_under(layer, permanent, inputs[layer]))
        healthy = chip.scores_under(permanent, inputs[last], first=last)
        kept_bytes -= sum(x.nbytes for x in inputs)
        found.append(_Batch(start, inputs if kept_bytes >= 0 else inputs[:1], healthy))
    return found
