"""What faulty cells off the diagonal of arrays that groups share add: single weights between groups.

There are few of them, so each is taken by itself: an input that another group reads, times what the cell is
worth, is added to one output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from xbarsim.graph.nodes import IntArray, MatMul
from xbarsim.kernels import pooling

Triple = tuple[IntArray, IntArray, IntArray]


@dataclass(frozen=True, eq=False)
class Strays:
    """Weights between groups of a layer: (count,) inputs, outputs and values. Make them with `strays_of`.

    Inputs are counted over all groups, (group, channel, cell of the kernel), outputs likewise.
    """

    inputs: IntArray
    outputs: IntArray
    values: IntArray

    def add_to(self, sums: NDArray, layer: MatMul, x: NDArray) -> NDArray[np.float64]:
        """Add to (N, M, *positions) sums of integers (N, C, *sizes)."""
        window = layer.window
        assert window is not None
        out = np.ascontiguousarray(np.moveaxis(sums, 1, -1), np.float64)
        if out is sums or np.shares_memory(out, sums):
            out = out.copy()
        if len(window.kernel) > 2:
            return self._of_rows(out, layer, x)
        lacking = 2 - len(window.kernel)
        flat = np.moveaxis(x, 1, -1).reshape(len(x), *(1,) * lacking, *x.shape[2:], x.shape[1])
        channel, cell = np.divmod(self.inputs, prod(window.kernel))
        offsets = np.unravel_index(cell, (1,) * lacking + window.kernel)
        starts = ((0, 0),) * lacking + window.padding
        dilation, stride = ((1,) * lacking + steps for steps in (window.dilation, window.stride))
        places = [
            offset * step - before
            for offset, step, (before, _) in zip(offsets, dilation, starts, strict=True)
        ]
        kind = flat.dtype if flat.dtype in (np.float32, np.float64) else np.float64
        pooling.strayed(
            np.ascontiguousarray(flat, kind),
            out.reshape(len(out), *(1,) * lacking, *out.shape[1:]),
            np.stack([*places, channel, self.outputs], axis=1),
            self.values.astype(np.float64),
            stride,
            layer.input_zero,
        )
        return np.moveaxis(out, -1, 1)

    def _of_rows(self, out: NDArray[np.float64], layer: MatMul, x: NDArray) -> NDArray[np.float64]:
        rows = layer.rows(x)
        flat = out.reshape(-1, out.shape[-1])
        for k, m, value in zip(self.inputs, self.outputs, self.values, strict=True):
            flat[:, m] += rows[k // rows.shape[2], :, k % rows.shape[2]] * value
        return np.moveaxis(out, -1, 1)


def strays_of(layer: MatMul, matrices: Sequence[tuple[int, int, Triple]]) -> Strays:
    """Gather the strays of a layer's matrices: of each (first input, first output, `off_diagonal`)."""
    parts = [
        (first_input + rows, first_output + columns, values)
        for first_input, first_output, (rows, columns, values) in matrices
    ]
    inputs, outputs, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(outputs, kind="stable")
    return Strays(inputs[order], outputs[order], values[order])
