"""The networks of adversarial feature training: extractor, classifier, decoder and discriminator.

| name | data | extractor | classifier |
|---|---|---|---|
| `fashion-mlp` | Fashion-MNIST | 784-512-1024-512, ReLU | 10 |
| `fashion-cnn` | Fashion-MNIST | 20 and 50 filters of 5 x 5, each with 2 x 2 max pooling | 512-10 |
| `cifar-deep` | CIFAR-10 | 3 x 3 filters 64 128 256 512 256 128 128, LeakyReLU 0.1 | 1024-10 |
| `cifar-small` | CIFAR-10 | 3 x 3 filters 64 128 128, stride 2, LeakyReLU 0.1 | 1024-10 |

The extractor's last activation stands at the head of the classifier: features that are never negative could
not follow N(0, I). What else the paper leaves open: convolutions on CIFAR-10 are padded by 1, and in
`cifar-deep` every second one has stride 2; the decoder for CIFAR-10 has four convolutions, the first three
followed by bilinear upsampling. No layer has a bias, since biases stay where masks make signals smaller and
would decide the scale; `bias=True` gives them.

Source: the adversarial-features paper (see "Sources" in docs/architecture.md), section VI-B.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from xbarsim.errors import InputError

DISCRIMINATOR = 512
DROPOUT = 0.5
DEEP = (64, 128, 256, 512, 256, 128, 128)


@dataclass(frozen=True, kw_only=True)
class FeatureNetwork:
    """An architecture.

    Attributes
    ----------
    dataset, input_shape : what it is for
    features : numbers that the extractor gives
    extractor, classifier, decoder : make the parts, with or without biases
    """

    name: str
    dataset: str
    input_shape: tuple[int, int, int]
    features: int
    extractor: Callable[[bool], nn.Module]
    classifier: Callable[[bool], nn.Module]
    decoder: Callable[[bool], nn.Module]

    def build(self, *, bias: bool = False) -> nn.Sequential:
        """Extractor and classifier, as `extractor` and `classifier` of a Sequential."""
        whole = nn.Sequential()
        whole.add_module("extractor", self.extractor(bias))
        whole.add_module("classifier", self.classifier(bias))
        return whole

    def discriminator(self, *, spectral_norm: bool = False) -> nn.Sequential:
        """Features to one score: two hidden layers of 512 with dropout; its biases stay in any case."""
        sizes = (self.features, DISCRIMINATOR, DISCRIMINATOR, 1)
        layers: list[nn.Module] = []
        for k, m in pairwise(sizes):
            layer = nn.Linear(k, m)
            layers.append(nn.utils.parametrizations.spectral_norm(layer) if spectral_norm else layer)
            layers += [nn.LeakyReLU(0.1), nn.Dropout(DROPOUT)]
        return nn.Sequential(*layers[:-2])


def feature_networks() -> dict[str, FeatureNetwork]:
    """The four architectures of the paper."""
    fashion, cifar = (1, 28, 28), (3, 32, 32)
    entries = (
        FeatureNetwork(
            name="fashion-mlp", dataset="fashion-mnist", input_shape=fashion, features=512,
            extractor=_fashion_mlp,
            classifier=lambda bias: nn.Sequential(nn.ReLU(), nn.Linear(512, 10, bias=bias)),
            decoder=lambda bias: _fashion_decoder(512, bias),
        ),
        FeatureNetwork(
            name="fashion-cnn", dataset="fashion-mnist", input_shape=fashion, features=800,
            extractor=_fashion_cnn,
            classifier=lambda bias: nn.Sequential(nn.ReLU(), *_dense((800, 512, 10), bias)),
            decoder=lambda bias: _fashion_decoder(800, bias),
        ),
        FeatureNetwork(
            name="cifar-deep", dataset="cifar10", input_shape=cifar, features=2048,
            extractor=lambda bias: _convolutions(DEEP, (1, 2, 1, 2, 1, 2, 1), bias),
            classifier=_cifar_classifier,
            decoder=_cifar_decoder,
        ),
        FeatureNetwork(
            name="cifar-small", dataset="cifar10", input_shape=cifar, features=2048,
            extractor=lambda bias: _convolutions((64, 128, 128), (2, 2, 2), bias),
            classifier=_cifar_classifier,
            decoder=_cifar_decoder,
        ),
    )  # fmt: skip
    return {entry.name: entry for entry in entries}


def feature_network(name: str) -> FeatureNetwork:
    """Look an architecture up."""
    known = feature_networks()
    if name not in known:
        raise InputError("feature network", "one of " + ", ".join(known), repr(name))
    return known[name]


def _dense(sizes: tuple[int, ...], bias: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for k, m in pairwise(sizes):
        layers += [nn.Linear(k, m, bias=bias), nn.ReLU()]
    return layers[:-1]


def _fashion_mlp(bias: bool) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), *_dense((784, 512, 1024, 512), bias))


def _fashion_cnn(bias: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, bias=bias), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5, bias=bias), nn.MaxPool2d(2), nn.Flatten(),
    )  # fmt: skip


def _convolutions(filters: tuple[int, ...], strides: tuple[int, ...], bias: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (k, m), stride in zip(pairwise((3, *filters)), strides, strict=True):
        layers += [nn.Conv2d(k, m, 3, stride, padding=1, bias=bias), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers[:-1], nn.Flatten())


def _cifar_classifier(bias: bool) -> nn.Sequential:
    return nn.Sequential(nn.LeakyReLU(0.1), *_dense((2048, 1024, 10), bias))


def _fashion_decoder(features: int, bias: bool) -> nn.Sequential:
    return nn.Sequential(*_dense((features, 512, 512, 784), bias), nn.Unflatten(1, (1, 28, 28)))


def _cifar_decoder(bias: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Unflatten(1, (128, 4, 4))]
    for k, m in ((128, 128), (128, 128), (128, 64)):
        layers += [nn.Conv2d(k, m, 3, padding=1, bias=bias), nn.LeakyReLU(0.1)]
        layers += [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)]
    return nn.Sequential(*layers, nn.Conv2d(64, 3, 3, padding=1, bias=bias))
