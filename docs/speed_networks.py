"""Networks that `docs.speed` times: the shapes that users bring, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

import xbarsim as xb


@dataclass(frozen=True)
class Timed:
    """A network, the shape of an input, and how many are run at once."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch: int

    def build(self) -> tuple[nn.Module, np.ndarray]:
        """The network in eval mode, its batch norms set by the inputs, and these."""
        torch.manual_seed(0)
        module = self.make()
        inputs = np.random.default_rng(0).random((self.batch, *self.shape), np.float32)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None
        with torch.no_grad():
            module.train()(torch.from_numpy(inputs))
        return module.eval(), inputs


def normed(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution with batch norm behind it."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


class Inverted(nn.Module):
    """MobileNetV2's block: wide, by channel, narrow."""

    def __init__(self, inputs: int, outputs: int, wider: int, stride: int) -> None:
        super().__init__()
        inner = inputs * wider
        first = [*normed(inputs, inner, 1), nn.ReLU6()] if wider > 1 else []
        depthwise = [*normed(inner, inner, 3, stride, groups=inner), nn.ReLU6()]
        self.layers = nn.Sequential(*first, *depthwise, *normed(inner, outputs, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


class Residual(nn.Module):
    """A block of ResNet: two layers of 3 x 3, or three with a bottleneck."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = width * (4 if bottleneck else 1)
        if bottleneck:
            inner = [*normed(inputs, width, 1), nn.ReLU(), *normed(width, width, 3, stride), nn.ReLU()]
            self.layers = nn.Sequential(*inner, *normed(width, outputs, 1))
        else:
            inner = [*normed(inputs, width, 3, stride), nn.ReLU()]
            self.layers = nn.Sequential(*inner, *normed(width, width, 3))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(*normed(inputs, outputs, 1, stride))
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.layers(x) + self.shortcut(x))


def mobilenet_v2() -> nn.Module:
    """Sandler et al., CVPR 2018, Table 2."""
    layers, inputs = [*normed(3, 32, 3, 2), nn.ReLU6()], 32
    table = "1 16 1 1, 6 24 2 2, 6 32 3 2, 6 64 4 2, 6 96 3 1, 6 160 3 2, 6 320 1 1"
    for row in table.split(","):
        wider, outputs, count, stride = map(int, row.split())
        for i in range(count):
            layers.append(Inverted(inputs, outputs, wider, stride if i == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, *normed(320, 1280, 1), nn.ReLU6(), *head(1280))


def resnet(counts: tuple[int, ...], bottleneck: bool) -> nn.Module:
    """He et al., CVPR 2016, Table 1."""
    layers, inputs = [*normed(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for stage, count in enumerate(counts):
        width = 64 << stage
        for i in range(count):
            layers.append(Residual(inputs, width, 2 if i == 0 and stage else 1, bottleneck))
            inputs = width * (4 if bottleneck else 1)
    return nn.Sequential(*layers, *head(inputs))


def vgg11() -> nn.Module:
    """Simonyan and Zisserman, ICLR 2015, column A of Table 1."""
    layers: list[nn.Module] = []
    inputs = 3
    for word in ["64", "M", "128", "M", "256", "256", "M", "512", "512", "M", "512", "512", "M"]:
        if word == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(inputs, int(word), 3, padding=1), nn.ReLU()]
            inputs = int(word)
    return nn.Sequential(*layers, nn.Flatten(), *dense(512 * 49, 4096, 4096, 1000))


def dense(*sizes: int) -> list[nn.Module]:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers[:-1]


def head(features: int) -> list[nn.Module]:
    """The mean over an image, and a thousand classes."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, 1000)]


def mlp() -> nn.Module:
    """Three linear layers on pixels."""
    return nn.Sequential(nn.Flatten(), *dense(784, 512, 512, 10))


def encoder() -> nn.Module:
    """Two of BERT-base's layers."""
    layer = nn.TransformerEncoderLayer(768, 12, 3072, batch_first=True, activation="gelu")
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def of_catalogue(name: str) -> Callable[[], nn.Module]:
    """A network of xbarsim's own."""
    return lambda: xb.network(name).build()


NETWORKS = {
    "LeNet": Timed(of_catalogue("lenet"), (1, 28, 28), 64),
    "ConvNet-quick": Timed(of_catalogue("convnet-quick"), (3, 32, 32), 64),
    "ResNet-20": Timed(of_catalogue("resnet20"), (3, 32, 32), 64),
    "MLP 784-512-512-10": Timed(mlp, (1, 28, 28), 64),
    "MobileNetV2, 224": Timed(mobilenet_v2, (3, 224, 224), 8),
    "ResNet-18, 224": Timed(lambda: resnet((2, 2, 2, 2), False), (3, 224, 224), 8),
    "ResNet-50, 224": Timed(lambda: resnet((3, 4, 6, 3), True), (3, 224, 224), 8),
    "VGG-11, 224": Timed(vgg11, (3, 224, 224), 8),
    "encoder, 2 layers of 768": Timed(encoder, (64, 768), 8),
}
