"""Layers of quantized networks, trained with straight-through estimators: 1 to 8 bits.

A number of b bits is an integer in -L..L with L = 2**(b-1) - 1, so zero is one of them and two bits are
ternary; one bit is -1 or +1. Unsigned activations are 0..2**b - 1. Weights and activations are learned in
[-1, 1] and enter a layer as these integers; the batch norm behind each layer learns the scale. So every sum
is an integer, exact in float32 below 2**24, and `finn_export.finn_graph` loses nothing.

Sources: Courbariaux et al., arXiv 1602.02830 (one bit); FAT (Zahid et al.), section II (symmetric values).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from xbarsim.errors import InputError, check_int
from xbarsim.hints import checked

MOST_BITS = 8
MOST_CHANNELS = 2**20


def largest(bits: int, signed: bool = True) -> int:
    """L: the largest integer that `bits` bits stand for; 1 for one bit.

    >>> [largest(b) for b in (1, 2, 3, 8)], largest(2, signed=False)
    ([1, 1, 3, 127], 3)
    """
    return (1 << bits) - 1 if not signed else max(1, (1 << (bits - 1)) - 1)


class RoundWeights(torch.autograd.Function):
    """Weights to integers; the gradient passes, but not where it would drive one further beyond [-1, 1]."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, bits: int) -> torch.Tensor:
        """L times the weight, rounded half up; the sign for one bit, with 0 as +1."""
        ctx.save_for_backward(weight)
        ctx.top = largest(bits)
        return _to_integers(weight, bits, True)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """See the class."""
        (weight,) = ctx.saved_tensors
        passes = (weight.abs() <= 1) | (gradients[0] * weight > 0)
        return _scaled(gradients[0] * passes, ctx.top), None


class RoundActivations(torch.autograd.Function):
    """Activations to integers; the gradient passes where they were in [-1, 1], as that of a hard tanh."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, bits: int, signed: bool) -> torch.Tensor:
        """L times the activation, rounded half up; the sign for one signed bit, with 0 as +1."""
        out, inside = rounded(x, bits, signed)
        ctx.save_for_backward(inside)
        ctx.top = largest(bits, signed)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """See the class."""
        (inside,) = ctx.saved_tensors
        return _scaled(gradients[0] * inside, ctx.top), None, None


def rounded(x: torch.Tensor, bits: int, signed: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """What `RoundActivations` makes of activations, and where it lets the gradient pass."""
    inside = x.abs() <= 1
    return _to_integers(x, bits, signed), inside if signed else inside & (x >= 0)


def _scaled(gradient: torch.Tensor, factor: int) -> torch.Tensor:
    return gradient if factor == 1 else gradient.mul_(factor)


def _to_integers(x: torch.Tensor, bits: int, signed: bool) -> torch.Tensor:
    if bits == 1 and signed:
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)
    top = largest(bits, signed)
    return (x * top + 0.5).floor_().clamp_(-top if signed else 0, top)


class QuantLinear(nn.Linear):
    """A linear layer with weights of `weight_bits` bits; the batch norm behind it has the bias."""

    @checked
    def __init__(self, in_features: int, out_features: int, *, weight_bits: int) -> None:
        self.weight_bits = check_int("weight_bits", weight_bits, 1, MOST_BITS)
        check_int("in_features", in_features, 1, MOST_CHANNELS)
        check_int("out_features", out_features, 1, MOST_CHANNELS)
        super().__init__(in_features, out_features, bias=False)

    def reset_parameters(self) -> None:
        """Draw the weights evenly from [-1, 1]."""
        nn.init.uniform_(self.weight, -1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, K) to (N, M)."""
        return F.linear(x, RoundWeights.apply(self.weight, self.weight_bits))

    def extra_repr(self) -> str:
        """Sizes and bits."""
        return f"{self.in_features}, {self.out_features}, weight_bits={self.weight_bits}"


class QuantConv2d(nn.Conv2d):
    """A convolution without padding and bias, with weights of `weight_bits` bits."""

    @checked
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, weight_bits: int, stride: int = 1
    ) -> None:
        self.weight_bits = check_int("weight_bits", weight_bits, 1, MOST_BITS)
        check_int("kernel_size", kernel_size, 1, 1024)
        check_int("stride", stride, 1, 1024)
        check_int("in_channels", in_channels, 1, MOST_CHANNELS)
        check_int("out_channels", out_channels, 1, MOST_CHANNELS)
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, bias=False)

    def reset_parameters(self) -> None:
        """Draw the weights evenly from [-1, 1]."""
        nn.init.uniform_(self.weight, -1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, M, positions down, across)."""
        return F.conv2d(x, RoundWeights.apply(self.weight, self.weight_bits), stride=self.stride)

    def extra_repr(self) -> str:
        """Sizes and bits."""
        return f"{super().extra_repr()}, weight_bits={self.weight_bits}"


class QuantActivation(nn.Module):
    """Activations of `bits` bits: [-1, 1] becomes -L..L, or [0, 1] becomes 0..L if they are unsigned.

    >>> QuantActivation(1).values, QuantActivation(2).values, QuantActivation(2, signed=False).values
    ((-1, 1), (-1, 0, 1), (0, 1, 2, 3))
    """

    @checked
    def __init__(self, bits: int, *, signed: bool = True) -> None:
        super().__init__()
        self.bits, self.signed = check_int("activation bits", bits, 1, MOST_BITS), signed

    @property
    def values(self) -> tuple[int, ...]:
        """All values that come out, ascending."""
        top = largest(self.bits, self.signed)
        if self.bits == 1 and self.signed:
            return (-1, 1)
        return tuple(range(-top if self.signed else 0, top + 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Elementwise."""
        return RoundActivations.apply(x, self.bits, self.signed)

    def extra_repr(self) -> str:
        """Bits."""
        return f"bits={self.bits}, signed={self.signed}"


class QuantInput(nn.Module):
    """Images as integers of `bits` bits with `fraction` binary places: round half up, saturate.

    CIFAR-10's images in [-0.5, 0.5] with 8 bits and 8 places, signed, are what a BNN-PYNQ board computes from
    its pixels.
    """

    @checked
    def __init__(self, bits: int = 8, *, fraction: int, signed: bool = True) -> None:
        super().__init__()
        self.bits, self.signed = check_int("input bits", bits, 1, MOST_BITS), signed
        self.fraction = check_int("input fraction", fraction, -32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Elementwise."""
        half = 1 << (self.bits - 1)
        low, high = (-half, half - 1) if self.signed else (0, 2 * half - 1)
        return (x * 2.0**self.fraction + 0.5).floor_().clamp_(low, high)

    def extra_repr(self) -> str:
        """Bits and places."""
        return f"bits={self.bits}, fraction={self.fraction}, signed={self.signed}"


class PixelSign(nn.Module):
    """Pixels in [0, 1] as +1 from one half (128 of 255) on, else -1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Elementwise."""
        return torch.where(x >= 0.5, 1.0, -1.0).to(x.dtype)


class ScoreNorm(nn.Module):
    """One mean, one deviation and one gain for all scores: their order, and so the class, stays."""

    mean: torch.Tensor
    var: torch.Tensor

    def __init__(self, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.log_gain = nn.Parameter(torch.zeros(()))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("var", torch.ones(()))

    def extra_repr(self) -> str:
        """What the buffers do not say."""
        return f"momentum={self.momentum:g}, eps={self.eps:g}"

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """(N, classes) to (N, classes); over the batch in training, over what was seen in evaluation."""
        mean, var = self.mean, self.var
        if self.training:
            var, mean = torch.var_mean(scores, correction=0)
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                self.var.lerp_(var, self.momentum)
        return (scores - mean) * torch.rsqrt(var + self.eps) * self.log_gain.exp()


@torch.no_grad()
def integer_weights(layer: QuantLinear | QuantConv2d) -> torch.Tensor:
    """The integers that a layer multiplies with, in the shape of its weight; int64, on the processor.

    Raises
    ------
    InputError : weights that are not finite.
    """
    weight = layer.weight.detach().cpu()  # in its own type: another one rounds otherwise right at a half
    if not torch.isfinite(weight).all():
        raise InputError(f"layer {layer}", "finite weights", "NaN or infinity", "train again")
    return _to_integers(weight, layer.weight_bits, True).long()
