"""Small random networks that use every operator: what the quantizer, chips and bridges are held to."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SIZE = 8
FUNCTIONS = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "leaky relu": F.leaky_relu,
    "elu": F.elu,
    "softplus": F.softplus,
    "mish": F.mish,
    "negative": torch.neg,
    "square": torch.square,
    "scaled": lambda x: 0.3 * x - 0.7,
}


class Gate(nn.Module):
    """Squeeze and excite: a product of two tensors."""

    def __init__(self, channels):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.up(F.silu(self.down(x.mean((2, 3), keepdim=True)))))


class Residual(nn.Module):
    """A sum, or a difference, of two branches."""

    def __init__(self, channels, sign):
        super().__init__()
        self.conv, self.sign = nn.Conv2d(channels, channels, 3, padding=1), sign

    def forward(self, x):
        return x + self.conv(x) if self.sign > 0 else x - self.conv(x)


class Dense(nn.Module):
    """A concatenation."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 3, 1)

    def forward(self, x):
        return torch.cat([x, self.conv(x), x[:, :1]], 1)


class Shuffle(nn.Module):
    """Moves: reshape, transpose, slice, flip, pad."""

    def forward(self, x):
        n, c, h, w = x.shape
        x = x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return F.pad(x.flip(3)[:, :, :, 1:], (1, 0, 0, 1))


class Tokens(nn.Module):
    """A linear layer over the last axis, of more than two."""

    def __init__(self, channels):
        super().__init__()
        self.mix = nn.Linear(channels, channels)

    def forward(self, x):
        return self.mix(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


class Attention(nn.Module):
    """Layer norm and self-attention: operators that stay in floats."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x):
        y = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(y)).chunk(3, -1)
        found = torch.softmax(q @ k.transpose(1, 2) / 2, -1) @ v
        return (y + self.out(found)).transpose(1, 2).reshape(x.shape)


def _norm(channels, rng):
    norm = nn.BatchNorm2d(channels)
    for values in (norm.weight, norm.running_var):
        values.data.copy_(torch.from_numpy(rng.uniform(0.3, 2, channels)))
    for values in (norm.bias, norm.running_mean):
        values.data.copy_(torch.from_numpy(rng.normal(size=channels)))
    return norm


def _convolution(channels, rng):
    kind = int(rng.integers(6))
    if kind == 0:
        return nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
    if kind == 1:
        return nn.Conv2d(channels, channels, 3, padding=1, groups=2, bias=False)
    if kind == 2:
        return nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
    if kind == 3:
        return nn.ConvTranspose2d(channels, channels, 3, padding=1, groups=int(rng.choice([1, 2])))
    if kind == 4:
        pair = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, output_padding=1)
        return nn.Sequential(nn.AvgPool2d(2), pair, nn.Upsample(size=(SIZE, SIZE)))
    return nn.Conv2d(channels, channels, (2, 3), padding="same")


def _pool(rng):
    pools = (
        nn.MaxPool2d(3, 1, padding=1),
        nn.AvgPool2d(3, 1, padding=1),
        nn.AvgPool2d(3, 1, padding=1, count_include_pad=False),
        nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), nn.Upsample(scale_factor=2)),
    )
    return pools[int(rng.integers(len(pools)))]


class Function(nn.Module):
    """One of `FUNCTIONS`."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return FUNCTIONS[self.name](x)


def random_network(seed, *, blocks=4, floats=False):
    """A network of random blocks on (N, 4, 8, 8), its weights random, in eval mode; and inputs for it."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    channels = 4
    found = [nn.Conv2d(4, channels, 3, padding=1)]
    for _ in range(blocks):
        kinds = [
            lambda: nn.Sequential(_convolution(channels, rng), _norm(channels, rng)),
            lambda: _convolution(channels, rng),
            lambda: _norm(channels, rng),
            lambda: Function(str(rng.choice(list(FUNCTIONS)))),
            lambda: _pool(rng),
            lambda: Gate(channels),
            lambda: Residual(channels, int(rng.choice([-1, 1]))),
            lambda: nn.Sequential(Dense(channels), nn.Conv2d(channels + 4, channels, 1)),
            lambda: Shuffle(),
            lambda: Tokens(channels),
            lambda: Attention(channels),
        ]
        found.append(kinds[int(rng.integers(len(kinds) - (not floats)))]())
    found += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 5)]
    inputs = rng.normal(size=(12, 4, SIZE, SIZE)).astype(np.float32)
    return nn.Sequential(*found).eval(), inputs
