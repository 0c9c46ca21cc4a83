"""The values of a captured network on inputs, and the ranges that they span: calibration.

A range is the smallest and largest value (min-max), the one that all but a share of the values lie in
(percentile), or the one with the least squared error of rounding and cutting off at so many bits (error).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from xbarsim.errors import InputError
from xbarsim.torch_bridge.captured import Captured, Times

AT_ONCE = 256
BINS = 2048
PERCENTILE = 99.99
METHODS = ("min-max", "percentile", "error")
Ranges = dict[fx.Node, tuple[float, float]]


def run_captured(
    captured: Captured, inputs: list[torch.Tensor], note: Callable[[fx.Node, torch.Tensor], None]
) -> None:
    """Run a captured network on a batch and note every tensor.

    Raises
    ------
    InputError : inputs that it cannot take.
    """
    order = captured.order()
    last = {n: node for node in order for n in node.all_input_nodes}
    dropped: dict[fx.Node, list[fx.Node]] = {}
    for source, reader in last.items():
        dropped.setdefault(reader, []).append(source)
    values: dict[fx.Node, Any] = dict(zip(captured.inputs, inputs, strict=True))
    batch = len(inputs[0])

    def value(node: fx.Node) -> Any:
        if "size" in node.meta:
            size = node.meta["size"]
            return size.batches * batch + size.more if isinstance(size, Times) else size
        return captured.constants[node] if node in captured.constants else values[node]

    with torch.no_grad():
        for node in order:
            if node not in values:
                args, kwargs = fx.map_arg(node.args, value), fx.map_arg(dict(node.kwargs), value)
                try:
                    values[node] = node.target(*args, **kwargs)  # type: ignore[operator]
                except Exception as error:  # whatever the operator may raise
                    text = " ".join(str(error).split())[:200]
                    remedy = "check the shape of the inputs"
                    expected = "inputs that fit the network"
                    raise InputError(captured.where(node), expected, f"'{text}'", remedy) from error
            if isinstance(values[node], torch.Tensor):
                note(node, values[node])
            for source in dropped.get(node, ()):
                values.pop(source, None)


def parts_of(captured: Captured, inputs: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Inputs in parts that are run at once."""
    size = 1 if captured.fixed_batch is not None else AT_ONCE
    for start in range(0, len(inputs[0]), size):
        yield [part[start : start + size] for part in inputs]


@dataclass(eq=False)
class _Histograms:
    """How the values of every node lie between its smallest and largest."""

    ranges: Ranges
    counts: dict[fx.Node, NDArray[np.float64]]

    def add(self, node: fx.Node, value: torch.Tensor) -> None:
        low, high = self.ranges.get(node, (0.0, 0.0))
        if not value.is_floating_point() or high <= low or not np.isfinite(high - low):
            return
        found = torch.histc(value.double(), BINS, low, high).numpy()
        self.counts[node] = self.counts.get(node, 0) + found


def observe(
    captured: Captured,
    inputs: list[torch.Tensor],
    *,
    method: str = "min-max",
    percentile: float = PERCENTILE,
    bits: int = 8,
) -> Ranges:
    """The range of every node's values on calibration inputs, 0 within it.

    Parameters
    ----------
    inputs : (N, ...) tensors, in the network's order
    method : 'min-max', 'percentile' or 'error'
    percentile : of the values that lie within; half of the rest at either end that has any
    bits : of the integers that an error is of

    Raises
    ------
    InputError : inputs that the network cannot take, values that are not finite.
    """
    ranges: Ranges = {}

    def widen(node: fx.Node, value: torch.Tensor) -> None:
        if value.is_floating_point() and value.numel():
            low, high = ranges.get(node, (0.0, 0.0))
            least, most = torch.aminmax(value)
            ranges[node] = min(low, float(least)), max(high, float(most))

    for part in parts_of(captured, inputs):
        run_captured(captured, part, widen)
    if method == "min-max":
        return ranges
    histograms = _Histograms(ranges, {})
    for part in parts_of(captured, inputs):
        run_captured(captured, part, histograms.add)
    narrow = _percentile if method == "percentile" else _least_error
    setting = percentile if method == "percentile" else bits
    found = dict(ranges)
    for node, counts in histograms.counts.items():
        if np.isfinite(ranges[node]).all():
            found[node] = narrow(counts, *ranges[node], setting)
    return found


def _percentile(
    counts: NDArray[np.float64], low: float, high: float, percentile: float
) -> tuple[float, float]:
    """The edges of the bins that leave out the share beyond; 0 stays within."""
    edges = np.linspace(low, high, BINS + 1)
    left_out = counts.sum() * (100 - percentile) / 100
    if low < 0 < high:
        left_out /= 2
    upper = int(np.searchsorted(np.cumsum(counts[::-1]), left_out, side="right"))
    lower = int(np.searchsorted(np.cumsum(counts), left_out, side="right"))
    most = edges[BINS - upper] if high > 0 else high
    least = edges[lower] if low < 0 else low
    return min(float(least), 0.0), max(float(most), 0.0)


def _least_error(counts: NDArray[np.float64], low: float, high: float, bits: float) -> tuple[float, float]:
    """The part of the range, cut at both ends by the same factor, whose squared error is least."""
    middles = np.linspace(low, high, 2 * BINS + 1)[1::2]
    steps = (1 << int(bits)) - 1
    best, found = np.inf, (low, high)
    for factor in np.linspace(1.0, 0.2, 81):
        least, most = low * factor, high * factor
        beyond = middles - np.clip(middles, least, most)
        error = float((counts * np.where(beyond == 0, ((most - least) / steps) ** 2 / 12, beyond**2)).sum())
        if error < best:
            best, found = error, (least, most)
    return found
