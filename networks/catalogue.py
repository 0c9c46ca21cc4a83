"""The named networks, each with its data and its training recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from networks.cnv import Cnv
from networks.convnet_quick import ConvNetQuick
from networks.lenet import LeNet
from networks.lfc import Lfc
from networks.mlp import Mlp, digits_mlp
from networks.mobilenet import MobileNetV2
from networks.resnet import resnet20, resnet32
from xbarsim.errors import InputError
from xbarsim.hints import checked
from xbarsim.training.recipe import Recipe

# of networks that are large enough; the small ones, and those that docs/training.md has results of from one
# thread, have the recipe's own number
THREADS = 2
# FAT, section V; below it one that two processor cores finish
FAT_RECIPE = Recipe(
    epochs=1000,
    batch_size=100,
    learning_rate=0.02,
    schedule="step",
    step_epochs=40,
    step_factor=0.5,
    loss="squared-hinge",
    augment="crop-flip",
    threads=THREADS,
)
# Wang et al., section IV-A; weight decay and augmentation from He et al., section 4.2
RESNET_RECIPE = Recipe(
    epochs=160,
    batch_size=128,
    learning_rate=0.1,
    optimizer="sgd",
    weight_decay=1e-4,
    schedule="cosine",
    augment="crop-flip",
    threads=THREADS,
)
QUICK_QUANTIZED = Recipe(epochs=10, batch_size=100, learning_rate=0.03, schedule="cosine", augment="flip")


@dataclass(frozen=True, kw_only=True)
class NetworkEntry:
    """A network by name.

    Attributes
    ----------
    build : makes the untrained module
    dataset : name for `load_dataset`
    input_shape : (C, H, W) of an image
    recipe : how it is trained
    epsilon : of FGSM, in units of the images (RRAMedy, Table II; the others are ours)
    retrain_epochs : passes over the training images that repair a chip
    quantized : made of quantized layers, for FINN accelerators; the others are for crossbars
    """

    name: str
    description: str
    build: Callable[[], nn.Module]
    dataset: str
    input_shape: tuple[int, int, int]
    recipe: Recipe
    epsilon: float = 0.1
    retrain_epochs: int = 1
    quantized: bool = False


def networks() -> dict[str, NetworkEntry]:
    """All named networks."""
    entries = (
        NetworkEntry(
            name="digits-mlp",
            description="64-64-32-10 on scikit-learn's 8 x 8 digits; trains in seconds, needs no download",
            build=digits_mlp,
            dataset="digits",
            input_shape=(1, 8, 8),
            recipe=Recipe(epochs=40, batch_size=32, learning_rate=2e-3, schedule="cosine"),
            retrain_epochs=10,
        ),
        NetworkEntry(
            name="mlp",
            description="784-500-250-10 on MNIST",
            build=Mlp,
            dataset="mnist",
            input_shape=(1, 28, 28),
            recipe=Recipe(epochs=8, schedule="cosine", threads=THREADS),
            epsilon=0.022,
        ),
        NetworkEntry(
            name="lenet",
            description="Caffe's LeNet on MNIST",
            build=LeNet,
            dataset="mnist",
            input_shape=(1, 28, 28),
            recipe=Recipe(epochs=5, schedule="cosine", threads=THREADS),
            epsilon=0.095,
        ),
        NetworkEntry(
            name="convnet-quick",
            description="Caffe's cifar10_quick on CIFAR-10",
            build=ConvNetQuick,
            dataset="cifar10",
            input_shape=(3, 32, 32),
            recipe=Recipe(epochs=12, schedule="cosine", threads=THREADS),
            epsilon=2.1 / 255,
        ),
        _resnet("resnet20", resnet20),
        _resnet("resnet32", resnet32),
        NetworkEntry(
            name="mobilenetv2-cifar",
            description="MobileNetV2 on CIFAR-10, narrow: eight inverted residuals, depthwise, ReLU6",
            build=MobileNetV2,
            dataset="cifar10",
            input_shape=(3, 32, 32),
            recipe=replace(RESNET_RECIPE, weight_decay=4e-5),  # of the MobileNetV2 paper, section 6.1
            epsilon=2.1 / 255,
        ),
        *(_cnv(w, a) for w, a in ((1, 1), (1, 2), (1, 3), (1, 4), (2, 2))),
        _cnv(1, 1, width=32),
        *(_lfc(a) for a in (1, 2)),
    )
    return {entry.name: entry for entry in entries}


def _resnet(name: str, build: Callable[[], nn.Module]) -> NetworkEntry:
    return NetworkEntry(
        name=name,
        description=f"ResNet-{name[6:]} on CIFAR-10, shortcuts by 1 x 1 convolutions",
        build=build,
        dataset="cifar10",
        input_shape=(3, 32, 32),
        recipe=RESNET_RECIPE,
        epsilon=2.1 / 255,
    )


def _cnv(weight_bits: int, activation_bits: int, *, width: int = 64) -> NetworkEntry:
    small = width < 64
    name = f"cnv-w{weight_bits}a{activation_bits}" + ("-half" if small else "")
    return NetworkEntry(
        name=name,
        description=f"FINN's CNV on CIFAR-10, {weight_bits}-bit weights, {activation_bits}-bit activations"
        + (", half as wide" if small else ""),
        build=partial(Cnv, weight_bits, activation_bits, width=width),
        dataset="cifar10",
        input_shape=(3, 32, 32),
        recipe=QUICK_QUANTIZED if small else FAT_RECIPE,
        quantized=True,
    )


def _lfc(activation_bits: int) -> NetworkEntry:
    return NetworkEntry(
        name=f"lfc-w1a{activation_bits}",
        description=f"FINN's LFC on MNIST, 1-bit weights, {activation_bits}-bit activations",
        build=partial(Lfc, 1, activation_bits),
        dataset="mnist",
        input_shape=(1, 28, 28),
        recipe=replace(QUICK_QUANTIZED, augment="none"),
        quantized=True,
    )


@checked
def network(name: str) -> NetworkEntry:
    """Look a network up.

    >>> network("lenet6")
    Traceback (most recent call last):
    ...
    xbarsim.errors.InputError: network: expected one of ..., got 'lenet6'
    """
    known = networks()
    if name not in known:
        raise InputError("network", "one of " + ", ".join(sorted(known)), repr(name))
    return known[name]
