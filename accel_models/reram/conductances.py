"""One matrix as conductances: what was drawn when it was written, and what columns see of it later.

Of a matrix of several groups the cells off the diagonal are cells at level 0, written with the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xbarsim.cells.device import Device
from xbarsim.cells.effects import Floats
from xbarsim.crossbar.analog import HEADROOM, AnalogMatrix, analog_matrix
from xbarsim.crossbar.matrix import ProgrammedMatrix

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """Standard normal draws of a matrix's cells since they were last written.

    Attributes
    ----------
    cells : (draws, digits, K, M) float32
    reference : (draws, K, column blocks) float32, of the reference columns
    """

    cells: Floats
    reference: Floats

    @classmethod
    def make(cls, matrix: ProgrammedMatrix, device: Device, rng: np.random.Generator) -> Draws:
        """New draws for every cell."""
        (k, m), config = matrix.shape, matrix.config
        column_blocks = -(-m // config.weights_per_row)
        return cls(
            cells=rng.standard_normal((device.draws, config.format.digits, k, m), np.float32),
            reference=rng.standard_normal((device.draws, k, column_blocks), np.float32),
        )

    def redrawn(self, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Draws:
        """These draws, with new ones for the chosen of the (digits, K, M) cells."""
        cells = self.cells.copy()
        cells[:, chosen] = rng.standard_normal((len(cells), int(chosen.sum())), np.float32)
        return replace(self, cells=cells)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conductances:
    """The cells of one matrix so long after their write.

    Attributes
    ----------
    digital : their levels and faults
    device, draws, seconds : what moves them
    column : whether a column of G_off cells in every array is the reference
    """

    digital: ProgrammedMatrix
    device: Device
    draws: Draws
    seconds: float
    column: bool

    @property
    def blocks(self) -> int:
        """Number of row blocks."""
        return len(self.digital.inversion)

    def levels_differ(self, other: ProgrammedMatrix) -> NDArray[np.bool_]:
        """(digits, K, M): which cells are written to another level than those of another matrix."""
        form = self.digital.config.format
        before, after = self.digital.stored, other.stored
        return np.stack([form.level(before, d) != form.level(after, d) for d in range(form.digits)])

    def used_uS(self) -> Floats:
        """(digits, K, M): every cell."""
        return np.concatenate([self.block_uS(b) for b in range(self.blocks)], axis=1)

    def errors_uS(self) -> Floats:
        """(digits, K, M): distance of every cell from what was meant to be written."""
        return np.abs(self.used_uS() - self._target_uS(self.digital.stored))

    def block_uS(self, block: int) -> Floats:
        """(digits, rows, M): the cells of a row block; stuck ones sit at their level."""
        rows = slice(block * self.digital.config.rows, (block + 1) * self.digital.config.rows)
        target, z = self._target_uS(self.digital.held[rows]), self.draws.cells[:, :, rows]
        g = np.stack([self.device.conductance_uS(t, z[:, d], self.seconds) for d, t in enumerate(target)])
        if self.digital.masks is None:
            return g
        form, kept = self.digital.config.format, self.digital.masks.keep[rows]
        stuck = np.stack([form.level(kept, d) == 0 for d in range(form.digits)])
        return np.where(stuck, target, g)

    def bare(self) -> Iterator[tuple[Floats, Floats]]:
        """For every row block the cells, twice: without wires, columns see them as they are."""
        for block in range(self.blocks):
            g = self.block_uS(block)
            yield g, g

    def behind_wires(self, solved: Iterator[Floats]) -> Iterator[tuple[Floats, Floats]]:
        """For every row block the cells, and what columns see of them, from the solutions of `arrays`."""
        digits, width = self.digital.config.format.digits, self.digital.config.weights_per_row
        for block in range(self.blocks):
            own = self.block_uS(block)
            effective = np.empty_like(own)
            for start in range(0, own.shape[2], width):
                part = effective[:, :, start : start + width]
                used = next(solved)[: own.shape[1], : part.shape[2] * digits]
                part[...] = used.reshape(own.shape[1], -1, digits).transpose(2, 0, 1)
            yield own, effective

    def arrays(self, idle_levels: Callable[[int], IntArray]) -> Iterator[Floats]:
        """(rows, columns) conductances of every array, row block by row block.

        `idle_levels(n)` are the levels of the n-th array's cells if it holds no weights.
        """
        config = self.digital.config
        width, array = config.weights_per_row, 0
        for block in range(self.blocks):
            own = self.block_uS(block)
            for start in range(0, own.shape[2], width):
                cells = own[:, :, start : start + width].transpose(1, 2, 0).reshape(own.shape[1], -1)
                found = self.device.target_uS(idle_levels(array), config.format.levels)
                found[: cells.shape[0], : cells.shape[1]] = cells
                array += 1
                yield found

    def matrix(self, blocks: Iterable[tuple[Floats, Floats]]) -> AnalogMatrix:
        """The product's cells, from `bare` or `behind_wires`."""
        device, digital = self.device, self.digital
        bound, uniform = 0.0, device.read is None or device.read.uniform
        if not uniform:
            highest = device.g_off_uS + HEADROOM * (device.g_on_uS - device.g_off_uS)
            bound = float(self._variance(np.array([highest], np.float32))[0]) * (1 + self.column)

        def in_levels() -> Iterator[tuple[Floats, Floats | float]]:
            step = np.float32(device.step_uS(digital.config.format.levels))
            for block, (own, effective) in enumerate(blocks):
                reference, variance = np.full((1, 1), device.g_off_uS, np.float32), self._variance(own)
                if self.column:
                    reference = self._reference_uS(block)
                    variance = variance + self._variance(reference)
                yield (effective - reference) / step, float(variance.flat[0]) if uniform else variance

        return analog_matrix(
            digital.config,
            digital.inversion,
            digital.shape,
            in_levels(),
            largest_variance=bound,
            groups=digital.groups,
        )

    def _variance(self, g_uS: Floats) -> Floats:
        """Of one read, in levels squared."""
        step = self.device.step_uS(self.digital.config.format.levels)
        return np.square(self.device.read_sigma_uS(g_uS, self.seconds) / np.float32(step))

    def _reference_uS(self, block: int) -> Floats:
        """(rows, M): the reference cell in each weight's row and array."""
        config, m = self.digital.config, self.digital.shape[1]
        z = self.draws.reference[:, block * config.rows : (block + 1) * config.rows]
        target = np.full(z.shape[1:], self.device.g_off_uS, np.float32)
        found = self.device.conductance_uS(target, z, self.seconds)
        return np.repeat(found, config.weights_per_row, axis=1)[:, :m]

    def _target_uS(self, words: IntArray) -> Floats:
        form = self.digital.config.format
        levels = (form.level(words, d) for d in range(form.digits))
        return np.stack([self.device.target_uS(level, form.levels) for level in levels])
