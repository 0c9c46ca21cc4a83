"""The exact operators with free scales on real numbers: the integers forward, smooth backward.

Forward, numbers become the integers that they stand for, and the node itself computes: a module in
float64 gives what the chip gives. Backward, a rounding passes the gradient where nothing saturated.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch

from xbarsim.graph.digital import Concat, Move, Product, Spread, Sum, Table, WindowSum
from xbarsim.graph.grid import Grid
from xbarsim.graph.nodes import AvgPool, Node, integer_range
from xbarsim.graph.rescale import Quantizer, Rescale, Slopes, WeightedSum
from xbarsim.graph.window import Window
from xbarsim.torch_bridge.layers import pad


def free_node(node: Node, sources: list[torch.Tensor], grids: Sequence[Grid | None]) -> torch.Tensor:
    """A node's numbers, given those of its sources (N, ...) and what their integers stand for."""
    if isinstance(node, Move) and grids[0] is None:
        return node.function.on_tensors(sources)  # type: ignore[attr-defined]
    known = [g for g in grids if g is not None]
    smooth = _smooth(node, sources, known)
    exact = _exact(node, sources, grids).to(smooth)
    return smooth + (exact - smooth).detach()


def _integers(x: torch.Tensor, grid: Grid | None) -> np.ndarray:
    """The integers that numbers stand for; what has no grid gives its length only."""
    numbers = x.detach().cpu().double().numpy()
    if grid is None:
        return numbers
    return np.floor(numbers / grid.along(numbers.ndim) + (grid.zero + 0.5)).astype(np.int64)


def _exact(node: Node, sources: list[torch.Tensor], grids: Sequence[Grid | None]) -> torch.Tensor:
    found = node.forward(*(_integers(x, grid) for x, grid in zip(sources, grids, strict=True)))
    own = node.grid(grids)
    assert own is not None
    return torch.from_numpy(own.to_numbers(found))


def _smooth(node: Node, sources: list[torch.Tensor], grids: list[Grid]) -> torch.Tensor:
    """The same without rounding, for the gradient."""
    x = sources[0]
    match node:
        case Rescale():
            return _within(node, _affine(node, x, grids[0]))
        case Slopes():
            return _within(node, _two_slopes(node, x, grids[0]))
        case WeightedSum():
            factors = [m / 2.0**node.shift * node.scale for m in node.multipliers]
            weighed = zip(sources, factors, grids, strict=True)
            return _within(node, sum(x * float(f / grid.scale) for x, f, grid in weighed))  # type: ignore
        case Table():
            return _along(node, x, grids[0])
        case Product():
            return sources[0] * sources[1]
        case Sum():
            return x.sum(dim=node.axes, keepdim=node.keepdims) / node.count
        case WindowSum():
            return _window_sum(x, node.window) / prod(node.window.kernel)
        case AvgPool():
            return _window_sum(x, node.window) / torch.from_numpy(node.divisor(*x.shape[2:])).to(x)
        case Concat():
            return torch.cat(sources, dim=node.axis)
        case Spread():
            places = torch.arange(x[0, 0].numel()).reshape(1, 1, *x.shape[2:]).numpy()
            filled = Spread(name="", steps=node.steps, padding=node.padding, zero=-1).forward(places)
            at = torch.from_numpy(filled.reshape(-1)).to(x.device)
            flat = x.flatten(2)[..., at.clamp(min=0)] * (at >= 0).to(x)
            return flat.reshape(*x.shape[:2], *filled.shape[2:])
        case Move():
            grid = grids[0]
            shifted = [x / float(grid.scale) + grid.zero, *sources[1:]]
            moved = node.function.on_tensors(shifted)  # type: ignore[attr-defined]
            return (moved - grid.zero) * float(grid.scale)
    raise TypeError(f"no torch meaning of {type(node).__name__}")


def _window_sum(x: torch.Tensor, window: Window) -> torch.Tensor:
    x = pad(x, window, 0.0)
    for axis, (size, step) in enumerate(zip(window.kernel, window.stride, strict=True)):
        x = x.unfold(2 + axis, size, step)
    return x.sum(dim=tuple(range(-len(window.kernel), 0)))


def _affine(node: Rescale, x: torch.Tensor, source: Grid) -> torch.Tensor:
    steps = np.ldexp(node.scale, -node.shifts)
    return x * _gain(node, node.multipliers, node.shifts, x, source) + _on_axis(node, node.offsets * steps, x)


def _two_slopes(node: Slopes, x: torch.Tensor, source: Grid) -> torch.Tensor:
    above = x * _gain(node, node.multipliers, node.shifts, x, source)
    below = x * _gain(node, node.multipliers_below, node.shifts_below, x, source)
    return torch.where(x < 0, below, above)


def _gain(
    node: Rescale | Slopes, factors: np.ndarray, shifts: np.ndarray, x: torch.Tensor, source: Grid
) -> torch.Tensor:
    """What m / 2**n makes of numbers instead of integers."""
    steps = np.ldexp(node.scale, -shifts)
    scales = np.broadcast_to(source.scale, steps.shape) if steps.size > 1 else np.atleast_1d(source.scale)
    return _on_axis(node, factors * steps / scales, x)


def _on_axis(node: Rescale | Slopes, values: np.ndarray, x: torch.Tensor) -> torch.Tensor:
    along = Grid(scale=values, axis=node.axis).along(x.ndim) if values.size > 1 else values
    return torch.from_numpy(along).to(x)


def _within(node: Quantizer, x: torch.Tensor) -> torch.Tensor:
    low, high = ((end - node.zero) * node.scale for end in integer_range(node.bits, node.signed))
    return x.clamp(low, high)


def _along(node: Table, x: torch.Tensor, source: Grid) -> torch.Tensor:
    """A line through every value with the table's slope there."""
    values = node.table.astype(np.float64) * node.scale
    slopes = torch.from_numpy(np.gradient(values, float(source.scale)) if values.size > 1 else values * 0).to(
        x
    )
    places = torch.from_numpy(_integers(x, source) - node.low).to(x.device)
    return x * slopes[places].detach()
