"""Linear and convolution layers that run forward on a faulty chip's weights and backward straight through.

The forward pass is what the arrays compute as long as no ADC clips: weights rounded to the chip's fixed
point, encoded, stuck cells forced, decoded. In float64 it equals the simulated chip bit for bit; float32
rounds. The gradient passes the rounding and the faults unchanged (straight-through estimator).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from xbarsim.cells.encoding import WeightFormat
from xbarsim.faults.masks import CellMasks
from xbarsim.graph.grid import Grid
from xbarsim.graph.nodes import MatMul
from xbarsim.graph.thresholds import Threshold
from xbarsim.graph.window import Window

Scale = float | torch.Tensor


def to_integers(values: torch.Tensor, scale: Scale, low: int, high: int) -> torch.Tensor:
    """Round half up to steps of `scale`, saturate; int64."""
    return on_grid(values, scale, low, high).long()


def on_grid(values: torch.Tensor, scale: Scale, low: int, high: int) -> torch.Tensor:
    """The integers of `to_integers` in the type of the values; no gradient."""
    return (values.detach() / scale).add_(0.5).floor_().clamp_(low, high)


class StraightThroughWeights(torch.autograd.Function):
    """`_FaultyLayer.acting` forward, identity backward."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, layer: _FaultyLayer) -> torch.Tensor:
        """The weights that the cells act as."""
        return layer.acting(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Pass the gradient on."""
        return gradients[0], None


class OnGrid(torch.autograd.Function):
    """Round half up and saturate forward; backward zero where it saturated, identity elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scale: Scale, zero: int, low: int, high: int) -> torch.Tensor:
        """Values scale * (integer - zero) with integers in [low, high]."""
        scaled = (x / scale).add_(zero + 0.5).floor_()
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward((scaled >= low) & (scaled <= high))
        return scaled.clamp_(low, high).sub_(zero).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Pass the gradient on where nothing saturated."""
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None, None


class Steps(torch.autograd.Function):
    """A `Threshold` node: low + step * thresholds exceeded forward; backward identity.

    The gradient passes where the accumulator lies within a mean step of its channel's thresholds, and
    everywhere behind a single one.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, node: Threshold, fraction: int) -> torch.Tensor:
        """(N, channels, ...) accumulators of `fraction` binary places to activations of the same shape."""
        accumulators = (x * 2.0**fraction).round_().movedim(1, 0)
        flat = accumulators.reshape(len(accumulators), -1).contiguous()
        thresholds = torch.from_numpy(node.thresholds).to(flat)
        passed = torch.searchsorted(thresholds, flat, right=False)
        if ctx.needs_input_grad[0]:
            low, high = thresholds[:, :1], thresholds[:, -1:]
            count = thresholds.shape[1]
            reach = (high - low) / (count - 1) if count > 1 else torch.full_like(low, float("inf"))
            near = (flat >= low - reach) & (flat <= high + reach)
            ctx.save_for_backward(near.reshape(accumulators.shape).movedim(0, 1))
        activations = (node.low + node.step * passed).to(x) * 2.0**-node.fraction
        return activations.reshape(accumulators.shape).movedim(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Pass the gradient on near the thresholds."""
        (near,) = ctx.saved_tensors
        return gradients[0] * near, None, None


class _FaultyLayer(nn.Module):
    """What both layers share; `weight` is (out, in / groups, ...) as in PyTorch."""

    scale: torch.Tensor  # (outputs, 1, ...) or (): the steps of the weights
    stuck: torch.Tensor  # (axes, count): places of the weights with a stuck cell
    keep: torch.Tensor  # (count,): masks on their words
    force: torch.Tensor

    def __init__(self, layer: MatMul, form: WeightFormat, shape: tuple[int, ...], source: Grid) -> None:
        super().__init__()
        self.form, self.source = form, source
        integers = torch.from_numpy(layer.weights.transpose(0, 2, 1).reshape(shape))
        scale = torch.as_tensor(layer.weight_scale, dtype=torch.float64)
        self.register_buffer(
            "scale", scale.reshape(-1, *[1] * (len(shape) - 1)) if scale.ndim else scale, persistent=False
        )
        self.weight = nn.Parameter(integers * self.scale)
        zeros = source.zero * integers.flatten(1).sum(dim=1)
        self.bias = nn.Parameter((torch.from_numpy(layer.bias) + zeros) * self.bias_scale(source))
        self.register_buffer("stuck", torch.zeros((len(shape), 0), dtype=torch.int64), persistent=False)
        self.register_buffer("keep", torch.zeros(0, dtype=torch.int64), persistent=False)
        self.register_buffer("force", torch.zeros(0, dtype=torch.int64), persistent=False)

    def set_masks(self, group: int, masks: CellMasks) -> None:
        """Give one group's cells these stuck faults and no others: masks (K, M) on its weights' words."""
        outputs = masks.keep.shape[1]
        keep, force = (mask.T.reshape(outputs, *self.weight.shape[1:]) for mask in (masks.keep, masks.force))
        at = ((keep != -1) | (force != 0)).nonzero()
        stuck = np.stack([at[0] + group * outputs, *at[1:]])
        others = self.stuck[0] // outputs != group
        device = self.stuck.device
        for name, new in (("stuck", stuck), ("keep", keep[at]), ("force", force[at])):
            old = getattr(self, name)[..., others]
            setattr(self, name, torch.cat([old, torch.from_numpy(new).to(device)], dim=-1))

    def clear_masks(self) -> None:
        """Make all cells healthy."""
        self.stuck, self.keep, self.force = self.stuck[:, :0], self.keep[:0], self.force[:0]

    def bias_scale(self, source: Grid) -> torch.Tensor:
        """(outputs,) or (): a step of the bias, where inputs lie on a grid."""
        return (
            self.scale.flatten() * float(source.scale)
            if self.scale.ndim
            else self.scale * float(source.scale)
        )

    def effective_weight(self) -> torch.Tensor:
        """The weights that the cells act as, with a straight-through gradient."""
        return StraightThroughWeights.apply(self.weight, self)

    def acting(self, weight: torch.Tensor) -> torch.Tensor:
        """What the cells act as when a weight is written: rounded; encoded, forced, decoded where stuck."""
        integers = on_grid(weight, self.scale, self.form.low, self.form.high)
        at = tuple(self.stuck)
        integers[at] = self._forced(integers[at])
        return integers.mul_(self.scale)

    def _forced(self, integers: torch.Tensor) -> torch.Tensor:
        """(stuck,): what the stuck weights' cells make of these integers, which are in range."""
        words = (self.form.pack(integers.long()) & self.keep) | self.force
        return self.form.decode(words).to(integers.dtype)

    def quantized_bias(self, source: Grid | None = None) -> torch.Tensor:
        """The digital bias on its grid.

        Where the inputs have a zero point, the arrays add its share with the weights that cells act as, and
        the bias takes off that of the weights that were written: what faults make of it comes on top.
        """
        source = self.source if source is None else source
        bias = OnGrid.apply(self.bias, self.bias_scale(source), 0, -(2**52), 2**52)
        if not source.zero or not self.stuck.shape[1]:
            return bias
        written = on_grid(self.weight, self.scale, self.form.low, self.form.high) * self.scale
        moved = (self.acting(self.weight) - written).flatten(1).sum(dim=1)
        return bias + moved * (source.zero * float(source.scale))

    @torch.no_grad()
    def project(self) -> None:
        """Fix the stuck cells' bits in the weights (RRAMedy, Eq. 6); what is below one step stays.

        A weight stays as it is where writing what its cells act as would make them act otherwise: in a
        differential pair the value may belong into the other cell.
        """
        at = tuple(self.stuck)
        step = self.scale.expand_as(self.weight)[at]
        written = self.weight[at]
        grid = torch.floor(written / step + 0.5)
        held = self._forced(grid.clamp(self.form.low, self.form.high))
        if self.form.encoding == "differential":
            held = torch.where(self._forced(held) == held, held, grid)
        self.weight[at] = written + (held - grid) * step

    def integers(self, groups: int) -> tuple[np.ndarray, np.ndarray]:
        """The weights to write, (groups, K, M), and the bias, as integers."""
        q = to_integers(self.weight, self.scale, self.form.low, self.form.high).cpu().numpy()
        bias = to_integers(self.bias, self.bias_scale(self.source), -(2**52), 2**52).cpu().numpy()
        matrix = np.ascontiguousarray(q.reshape(groups, len(q) // groups, -1).transpose(0, 2, 1))
        return matrix, bias - self.source.zero * matrix.sum(axis=1).reshape(-1)


class FaultyLinear(_FaultyLayer):
    """A linear layer on faulty cells; (..., K) to (..., M)."""

    def __init__(self, layer: MatMul, form: WeightFormat, source: Grid) -> None:
        _, k, m = layer.weights.shape
        super().__init__(layer, form, (m, k), source)

    def forward(self, x: torch.Tensor, source: Grid | None = None) -> torch.Tensor:
        """Multiply with the effective weights, add the bias; `source` is the inputs' grid, if another."""
        return F.linear(x, self.effective_weight(), self.quantized_bias(source))


class FaultyConv(_FaultyLayer):
    """A convolution over one to three axes on faulty cells; (N, C, *sizes) to (N, M, *positions)."""

    def __init__(self, layer: MatMul, form: WeightFormat, source: Grid) -> None:
        groups, k, m = layer.weights.shape
        assert layer.window is not None
        kernel = layer.window.kernel
        super().__init__(layer, form, (groups * m, k // prod(kernel), *kernel), source)
        self.window: Window = layer.window
        self.groups = groups

    def forward(self, x: torch.Tensor, source: Grid | None = None) -> torch.Tensor:
        """Slide the effective weights over the inputs, add the bias; see `FaultyLinear.forward`."""
        w = self.window
        convolve: Any = (F.conv1d, F.conv2d, F.conv3d)[len(w.kernel) - 1]
        weight, bias = self.effective_weight(), self.quantized_bias(source)
        return convolve(pad(x, w, 0.0), weight, bias, w.stride, 0, w.dilation, self.groups)


def pad(x: torch.Tensor, window: Window, fill: float) -> torch.Tensor:
    """Add the cells that a window needs around (N, C, *sizes)."""
    sides = [end for pads in reversed(window.pads(*x.shape[2:])) for end in pads]
    return F.pad(x, sides, value=fill) if any(sides) else x
