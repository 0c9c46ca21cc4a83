"""The kinds of public networks, written small: the structure of each, widths of a few channels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

WORDS = 20


def norm(channels):
    """Batch norm that has seen something."""
    found = nn.BatchNorm2d(channels)
    nn.init.uniform_(found.weight, 0.5, 1.5)
    nn.init.normal_(found.bias, std=0.3)
    nn.init.normal_(found.running_mean, std=0.3)
    nn.init.uniform_(found.running_var, 0.5, 2)
    return found


def convolution(inputs, outputs, kernel=1, act=None, **options):
    """Convolution, batch norm and perhaps an activation; same size at stride 1."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options),
        norm(outputs),
    ]
    return nn.Sequential(*layers, *([act] if act else []))


class Squeeze(nn.Module):
    """Squeeze and excite: a gate a channel."""

    def __init__(self, channels, act, gate):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)
        self.act, self.gate = act, gate

    def forward(self, x):
        return x * self.gate(self.up(self.act(self.down(F.adaptive_avg_pool2d(x, 1)))))


class Inverted(nn.Module):
    """Wide, depthwise, perhaps gated, narrow; a residual where nothing changes size."""

    def __init__(self, inputs, outputs, act, stride=1, squeeze=None):
        super().__init__()
        wide = 2 * inputs
        self.same = stride == 1 and inputs == outputs
        self.block = nn.Sequential(
            convolution(inputs, wide, 1, act),
            convolution(wide, wide, 3, act, stride=stride, groups=wide),
            squeeze(wide) if squeeze else nn.Identity(),
            convolution(wide, outputs),
        )

    def forward(self, x):
        return x + self.block(x) if self.same else self.block(x)


def mobile(act, *blocks):
    """A stem, inverted residuals and a head."""
    return nn.Sequential(
        convolution(3, 4, 3, act, stride=2), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )


def mobile_v2():
    """Two blocks, one with a residual."""
    return mobile(nn.ReLU6(), Inverted(4, 4, nn.ReLU6()), Inverted(4, 4, nn.ReLU6(), stride=2))


def mobile_v3():
    """Hard functions and a gate."""
    act = nn.Hardswish()
    return mobile(act, Inverted(4, 4, act, squeeze=lambda c: Squeeze(c, nn.ReLU(), nn.Hardsigmoid())))


def efficient():
    """Smooth functions and a gate."""
    act = nn.SiLU()
    return mobile(act, Inverted(4, 4, act, squeeze=lambda c: Squeeze(c, act, nn.Sigmoid())))


class Dense(nn.Module):
    """What is known and what is new, side by side; norms stand before the convolutions."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norms = nn.ModuleList(norm(4 + 3 * i) for i in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(4 + 3 * i, 3, 3, padding=1) for i in range(2))
        self.head = nn.Sequential(norm(10), nn.ReLU(), nn.Conv2d(10, 6, 1), nn.AvgPool2d(2))
        self.scores = nn.Linear(6, 5)

    def forward(self, x):
        x = self.stem(x)
        for before, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(before(x).relu())], 1)
        return self.scores(self.head(x).mean((2, 3)))


class UNet(nn.Module):
    """Down by pooling, up by a transposed convolution, and what was before beside it."""

    def __init__(self):
        super().__init__()
        self.down, self.inner = convolution(3, 4, 3, nn.ReLU()), convolution(4, 6, 3, nn.ReLU())
        self.up, self.head = nn.ConvTranspose2d(6, 4, 2, stride=2), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = self.down(x)
        y = self.up(self.inner(F.max_pool2d(x, 2)))
        return self.head(torch.cat([x, y], 1)).flatten(1)


class Shuffled(nn.Module):
    """Half of the channels through a branch, then all of them shuffled."""

    def __init__(self):
        super().__init__()
        self.stem = convolution(3, 8, 3, nn.ReLU(), stride=2)
        self.branch = nn.Sequential(
            convolution(4, 4, 1, nn.ReLU()),
            convolution(4, 4, 3, groups=4),
            convolution(4, 4, 1, nn.ReLU()),
        )
        self.scores = nn.Linear(8, 5)

    def forward(self, x):
        kept, changed = self.stem(x).chunk(2, 1)
        x = torch.cat([kept, self.branch(changed)], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.scores(x.mean((2, 3)))


class Attention(nn.Module):
    """Self-attention of two heads, perhaps with a mask of what is read."""

    def __init__(self, width):
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, mask=None):
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(found.transpose(1, 2).reshape(n, length, width))


class Block(nn.Module):
    """A transformer's, its norms before what they are for, or behind it."""

    def __init__(self, width, behind=False):
        super().__init__()
        self.first, self.second, self.behind = nn.LayerNorm(width), nn.LayerNorm(width), behind
        self.attention = Attention(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x, mask=None):
        if self.behind:
            x = self.first(x + self.attention(x, mask))
            return self.second(x + self.mlp(x))
        x = x + self.attention(self.first(x), mask)
        return x + self.mlp(self.second(x))


class ViT(nn.Module):
    """Patches, a token for the class, places, a block."""

    def __init__(self):
        super().__init__()
        self.patches, self.block = nn.Conv2d(3, 8, 4, stride=4), Block(8)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(1, 5, 8))
        self.head = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 5))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.block(x)[:, 0])


class Encoder(nn.Module):
    """BERT's: words and places, a mask of the words that are there, and the first one's state."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, 8), nn.Embedding(6, 8)
        self.norm, self.block = nn.LayerNorm(8), Block(8, behind=True)
        self.head = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 5))

    def forward(self, tokens):
        tokens = tokens.long()
        there = (tokens > 0)[:, None, None, :]
        x = self.norm(self.words(tokens) + self.places(torch.arange(6)))
        return self.head(self.block(x, there)[:, 0])


class Causal(nn.Module):
    """GPT's: no word reads a later one, and the scores are products with the words' own vectors."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, 8), nn.Parameter(torch.randn(6, 8))
        self.block, self.norm = Block(8), nn.LayerNorm(8)
        self.head = nn.Linear(8, WORDS, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens):
        earlier = torch.ones(6, 6, dtype=torch.bool).tril()
        x = self.block(self.words(tokens.long()) + self.places, earlier)
        return self.head(self.norm(x)).flatten(1)


class Tagger(nn.Module):
    """A recurrent network of two directions, with scores for every word."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 6)
        self.cells, self.head = nn.LSTM(6, 5, batch_first=True, bidirectional=True), nn.Linear(10, 3)

    def forward(self, tokens):
        return self.head(self.cells(self.words(tokens.long()))[0]).flatten(1)


class ConvNeXt(nn.Module):
    """A wide depthwise filter, then a norm and two layers over the channels, scaled and added."""

    def __init__(self):
        super().__init__()
        self.stem, self.wide = nn.Conv2d(3, 8, 2, stride=2), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.scale = nn.LayerNorm(8), nn.Parameter(0.5 * torch.rand(8))
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.scores = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        y = self.scale * self.mlp(self.norm(self.wide(x).permute(0, 2, 3, 1)))
        return self.scores((x + y.permute(0, 3, 1, 2)).mean((2, 3)))


class Mixer(nn.Module):
    """Layers over the places, and layers over the channels."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(3))
        self.places, self.channels = (
            nn.Sequential(nn.Linear(n, 12), nn.GELU(), nn.Linear(12, n)) for n in (4, 8)
        )
        self.scores = nn.Linear(8, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.places(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norms[1](x))
        return self.scores(self.norms[2](x).mean(1))


class Windows(nn.Module):
    """Swin's: attention within windows of 2 x 2, shifted by one, then four places made one."""

    def __init__(self):
        super().__init__()
        self.patches, self.block = nn.Conv2d(3, 8, 2, stride=2), Block(8)
        self.merge, self.scores = nn.Linear(32, 8, bias=False), nn.Linear(8, 5)

    def forward(self, x):
        x = self.patches(x).permute(0, 2, 3, 1).roll((-1, -1), (1, 2))
        x = self.block(self.parted(x).flatten(0, 2).flatten(1, 2)).reshape(-1, 2, 2, 2, 2, 8)
        x = x.transpose(2, 3).reshape(-1, 4, 4, 8).roll((1, 1), (1, 2))
        return self.scores(self.merge(self.parted(x).flatten(3)).mean((1, 2)))

    @staticmethod
    def parted(x):
        """(N, 4, 4, C) as 2 x 2 windows (N, 2, 2, 2, 2, C)."""
        return x.reshape(-1, 2, 2, 2, 2, x.shape[-1]).transpose(2, 3)


class WaveNet(nn.Module):
    """Dilated filters that see the past alone, gated, with a residual and what they skip to the end."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(1, 4, 1)
        self.gated = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=2**i) for i in range(3))
        self.mixed = nn.ModuleList(nn.Conv1d(4, 8, 1) for _ in range(3))
        self.head = nn.Conv1d(4, 3, 1)

    def forward(self, x):
        x, skipped = self.stem(x), 0
        for i, (gated, mixed) in enumerate(zip(self.gated, self.mixed, strict=True)):
            value, gate = gated(F.pad(x, (2**i, 0))).chunk(2, 1)
            more, skip = mixed(value.tanh() * gate.sigmoid()).chunk(2, 1)
            x, skipped = x + more, skipped + skip
        return self.head(skipped.relu()).flatten(1)


class Volumes(nn.Sequential):
    """Convolutions of three axes."""

    def __init__(self):
        super().__init__(
            nn.Conv3d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool3d(2),
            nn.Conv3d(4, 6, 3, padding=1, stride=2),
            nn.LeakyReLU(0.1),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(6, 5),
        )


class Points(nn.Module):
    """PointNet's: the same layers for every point, then the largest over all."""

    def __init__(self):
        super().__init__()
        self.each = nn.Sequential(nn.Conv1d(3, 6, 1), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 8, 1))
        self.scores = nn.Linear(8, 5)

    def forward(self, x):
        return self.scores(self.each(x).amax(2).relu())


@dataclass(frozen=True)
class Kind:
    """A network, the shape of an input, and the least signal to noise at 8 and at 16 bits."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    least_dB: tuple[float, float]
    words: bool = False


IMAGE = (3, 8, 8)
KINDS = {
    "MobileNetV2": Kind(mobile_v2, IMAGE, (46, 90)),
    "MobileNetV3": Kind(mobile_v3, IMAGE, (46, 86)),
    "EfficientNet": Kind(efficient, IMAGE, (46, 86)),
    "DenseNet": Kind(Dense, IMAGE, (46, 87)),
    "U-Net": Kind(UNet, IMAGE, (38, 78)),
    "ShuffleNet": Kind(Shuffled, IMAGE, (42, 87)),
    "ViT": Kind(ViT, IMAGE, (41, 84)),
    "BERT": Kind(Encoder, (6,), (36, 81), words=True),
    "GPT": Kind(Causal, (6,), (40, 80), words=True),
    "LSTM": Kind(Tagger, (2,), (37, 79), words=True),
    "ConvNeXt": Kind(ConvNeXt, IMAGE, (38, 82)),
    "MLP-Mixer": Kind(Mixer, IMAGE, (35, 78)),
    "Swin": Kind(Windows, IMAGE, (39, 82)),
    "WaveNet": Kind(WaveNet, (1, 12), (37, 81)),
    "3D": Kind(Volumes, (1, 8, 8, 8), (41, 88)),
    "PointNet": Kind(Points, (3, 10), (43, 82)),
}


def made(name):
    """The network, with random weights, in eval mode; and 40 inputs: noise, or words as numbers."""
    kind = KINDS[name]
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    shape = (40, *kind.shape)
    inputs = rng.integers(0, WORDS, shape) if kind.words else rng.normal(size=shape)
    return kind.make().eval(), inputs.astype(np.float32)
