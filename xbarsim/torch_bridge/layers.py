"""Linear and convolution layers that run forward on a faulty chip's weights and backward straight through.

The forward pass is what the arrays compute as long as no ADC clips: weights rounded to the chip's fixed
point, encoded, stuck cells forced, decoded. In float64 it equals the simulated chip bit for bit; float32
rounds. The gradient passes the rounding and the faults unchanged (straight-through estimator).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from xbarsim.cells.encoding import WeightFormat
from xbarsim.faults.masks import CellMasks
from xbarsim.graph.nodes import MatMul
from xbarsim.graph.thresholds import Threshold
from xbarsim.graph.window import Window


def to_integers(values: torch.Tensor, fraction: int, low: int, high: int) -> torch.Tensor:
    """Round half up to `fraction` binary places, saturate; int64."""
    return on_grid(values, fraction, low, high).long()


def on_grid(values: torch.Tensor, fraction: int, low: int, high: int) -> torch.Tensor:
    """The integers of `to_integers` in the type of the values; no gradient."""
    return (values.detach() * 2.0**fraction).add_(0.5).floor_().clamp_(low, high)


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


class FixedPoint(torch.autograd.Function):
    """Round half up and saturate forward; backward zero where it saturated, identity elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, fraction: int, low: int, high: int) -> torch.Tensor:
        """Values on the grid of 2**-fraction within [low, high] * 2**-fraction."""
        scaled = (x * 2.0**fraction).add_(0.5).floor_()
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward((scaled >= low) & (scaled <= high))
        return scaled.clamp_(low, high).mul_(2.0**-fraction)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Pass the gradient on where nothing saturated."""
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None


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

    stuck: torch.Tensor  # (axes, count): places of the weights with a stuck cell
    keep: torch.Tensor  # (count,): masks on their words
    force: torch.Tensor

    def __init__(self, layer: MatMul, form: WeightFormat, shape: tuple[int, ...], bias_fraction: int) -> None:
        super().__init__()
        self.form, self.fraction, self.bias_fraction = form, layer.weight_fraction, bias_fraction
        weight = torch.from_numpy(layer.weights.transpose(0, 2, 1).reshape(shape) * 2.0**-self.fraction)
        bias = torch.from_numpy(layer.bias * 2.0**-bias_fraction)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
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

    def effective_weight(self) -> torch.Tensor:
        """The weights that the cells act as, with a straight-through gradient."""
        return StraightThroughWeights.apply(self.weight, self)

    def acting(self, weight: torch.Tensor) -> torch.Tensor:
        """What the cells act as when a weight is written: rounded; encoded, forced, decoded where stuck."""
        integers = on_grid(weight, self.fraction, self.form.low, self.form.high)
        at = tuple(self.stuck)
        integers[at] = self._forced(integers[at])
        return integers.mul_(2.0**-self.fraction)

    def _forced(self, integers: torch.Tensor) -> torch.Tensor:
        """(stuck,): what the stuck weights' cells make of these integers, which are in range."""
        words = (self.form.pack(integers.long()) & self.keep) | self.force
        return self.form.decode(words).to(integers.dtype)

    def quantized_bias(self) -> torch.Tensor:
        """The digital bias on its grid."""
        return FixedPoint.apply(self.bias, self.bias_fraction, -(2**52), 2**52)

    @torch.no_grad()
    def project(self) -> None:
        """Fix the stuck cells' bits in the weights (RRAMedy, Eq. 6); what is below one step stays.

        A weight stays as it is where writing what its cells act as would make them act otherwise: in a
        differential pair the value may belong into the other cell.
        """
        at, step = tuple(self.stuck), 2.0**-self.fraction
        written = self.weight[at]
        grid = torch.floor(written / step + 0.5)
        held = self._forced(grid.clamp(self.form.low, self.form.high))
        if self.form.encoding == "differential":
            held = torch.where(self._forced(held) == held, held, grid)
        self.weight[at] = written + (held - grid) * step

    def integers(self, groups: int) -> tuple[np.ndarray, np.ndarray]:
        """The weights to write, (groups, K, M), and the bias, as integers."""
        q = to_integers(self.weight, self.fraction, self.form.low, self.form.high).cpu().numpy()
        bias = to_integers(self.bias, self.bias_fraction, -(2**52), 2**52).cpu().numpy()
        matrix = q.reshape(groups, len(q) // groups, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(matrix), bias


class FaultyLinear(_FaultyLayer):
    """A linear layer on faulty cells; (N, K) to (N, M)."""

    def __init__(self, layer: MatMul, form: WeightFormat, bias_fraction: int) -> None:
        _, k, m = layer.weights.shape
        super().__init__(layer, form, (m, k), bias_fraction)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply with the effective weights, add the bias."""
        return F.linear(x, self.effective_weight(), self.quantized_bias())


class FaultyConv2d(_FaultyLayer):
    """A convolution on faulty cells; (N, C, H, W) to (N, M, positions down, positions across)."""

    def __init__(self, layer: MatMul, form: WeightFormat, bias_fraction: int) -> None:
        groups, k, m = layer.weights.shape
        assert layer.window is not None
        kernel = layer.window.kernel
        super().__init__(layer, form, (groups * m, k // (kernel[0] * kernel[1]), *kernel), bias_fraction)
        self.window: Window = layer.window
        self.groups = groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Slide the effective weights over the image, add the bias."""
        w = self.window
        return F.conv2d(
            pad(x, w, 0.0),
            self.effective_weight(),
            self.quantized_bias(),
            w.stride,
            0,
            w.dilation,
            self.groups,
        )


def pad(x: torch.Tensor, window: Window, fill: float) -> torch.Tensor:
    """Add the cells that a window needs around (N, C, H, W)."""
    (top, bottom), (left, right) = window.pads(*x.shape[2:])
    if not (top or bottom or left or right):
        return x
    return F.pad(x, (left, right, top, bottom), value=fill)
