"""Where rows, columns and channels are in an ONNX tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accel_models.finn.qonnx.affine import Numbers, exact
from accel_models.finn.qonnx.operator import CLEAN, Operator
from xbarsim.errors import InputError

Shape = tuple[int, int, int]
TURNS: dict[tuple[str, tuple[int, ...]], str] = {
    ("NCHW", (0, 2, 3, 1)): "NHWC",
    ("NHWC", (0, 3, 1, 2)): "NCHW",
}


@dataclass(frozen=True)
class Axes:
    """The axes of the data.

    Parameters
    ----------
    names : "NCHW", "NHWC", or "NC" for flat data
    order : "chw" or "hwc", how images became flat
    """

    names: str
    order: str = "hwc"

    def transposed(self, operator: Operator) -> Axes:
        """After a Transpose that moves the channels first or last."""
        order = operator.integers("perm")
        turned = TURNS.get((self.names, order))
        if turned is None and order != tuple(range(len(self.names))):
            raise InputError(operator.where, "channels moved first or last", str(order)[:60], "leave it out")
        return Axes(turned or self.names, self.order)

    def flattened(self, operator: Operator, shape: Shape) -> Axes:
        """After a Flatten or Reshape of data of `shape` (height, width, channels) to (N, features)."""
        if operator.kind == "Flatten":
            whole = operator.integer("axis", 1) == 1
        else:
            sizes = operator.constant(1).values.reshape(-1).tolist()
            whole = len(sizes) == 2 and sizes[1] in (-1, int(np.prod(shape))) and sizes[0] < 2
        if not whole:
            raise InputError(operator.where, "a reshape to (N, features)", "another one", CLEAN)
        return self if self.names == "NC" else Axes("NC", self.names[1:].lower())

    def per_channel(self, operator: Operator, shape: Shape) -> Numbers:
        """The constant of an elementwise operator, as one number for each of the channels of `shape`."""
        values = operator.constant(1 - operator.data).values
        height, width, channels = shape
        flat = self.names == "NC" and (height, width) != (1, 1)
        sizes = {"N": 1, "H": height, "W": width, "C": height * width * channels if flat else channels}
        own = [sizes[name] for name in self.names][len(self.names) - values.ndim :]
        fits = values.ndim <= len(self.names) and values.size > 0
        if not fits or any(a not in (1, b) for a, b in zip(values.shape, own, strict=True)):
            raise InputError(operator.where, "a constant that fits the data", str(values.shape)[:60], CLEAN)
        numbers = values.reshape(-1)
        if not np.isfinite(numbers).all():
            raise InputError(operator.where, "finite numbers", "NaN or infinity", "train or export it again")
        if (numbers == numbers[0]).all():
            return exact(operator.where, numbers[:1], channels)
        place = self.names.index("C") - len(self.names) + values.ndim
        if place < 0 or flat or values.size != values.shape[place]:
            expected = "one number, or one a channel"
            raise InputError(operator.where, expected, str(values.shape), "use the same for all positions")
        return exact(operator.where, numbers, channels)


def first_axes(rank: int, line: tuple[Operator, ...]) -> Axes:
    """Of the input: channels last if the first thing that happens to its axes is that channels go first."""
    if rank == 2:
        return Axes("NC")
    moves = (op for op in line if op.kind in ("Transpose", "Conv", "MaxPool", "Flatten", "Reshape"))
    first = next(moves, None)
    turned = first is not None and first.kind == "Transpose" and first.integers("perm") == (0, 3, 1, 2)
    return Axes("NHWC" if turned else "NCHW")
