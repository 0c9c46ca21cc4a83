"""The named networks, each with its data and its training recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from networks.convnet_quick import ConvNetQuick
from networks.lenet import LeNet
from networks.mlp import Mlp, digits_mlp
from xbarsim.checks import InputError


@dataclass(frozen=True, kw_only=True)
class NetworkEntry:
    """A network by name.

    Attributes
    ----------
    build : makes the untrained module
    dataset : name for `load_dataset`
    input_shape : (C, H, W) of an image
    epsilon : of FGSM, in units of the images (RRAMedy, Table II; the digits' is ours)
    epochs, batch_size, learning_rate : the recipe: Adam, cosine schedule
    retrain_epochs : passes over the training images that repair a chip
    """

    name: str
    description: str
    build: Callable[[], nn.Module]
    dataset: str
    input_shape: tuple[int, int, int]
    epsilon: float
    epochs: int
    retrain_epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 1e-3


def networks() -> dict[str, NetworkEntry]:
    """All named networks."""
    entries = (
        NetworkEntry(
            name="digits-mlp",
            description="64-64-32-10 on scikit-learn's 8 x 8 digits; trains in seconds, needs no download",
            build=digits_mlp,
            dataset="digits",
            input_shape=(1, 8, 8),
            epsilon=0.1,
            epochs=40,
            retrain_epochs=10,
            batch_size=32,
            learning_rate=2e-3,
        ),
        NetworkEntry(
            name="mlp",
            description="784-500-250-10 on MNIST",
            build=Mlp,
            dataset="mnist",
            input_shape=(1, 28, 28),
            epsilon=0.022,
            epochs=8,
        ),
        NetworkEntry(
            name="lenet",
            description="Caffe's LeNet on MNIST",
            build=LeNet,
            dataset="mnist",
            input_shape=(1, 28, 28),
            epsilon=0.095,
            epochs=5,
        ),
        NetworkEntry(
            name="convnet-quick",
            description="Caffe's cifar10_quick on CIFAR-10",
            build=ConvNetQuick,
            dataset="cifar10",
            input_shape=(3, 32, 32),
            epsilon=2.1 / 255,
            epochs=12,
        ),
    )
    return {entry.name: entry for entry in entries}


def network(name: str) -> NetworkEntry:
    """Look a network up.

    >>> network("lenet6")
    Traceback (most recent call last):
    ...
    xbarsim.checks.InputError: network: expected one of convnet-quick, digits-mlp, lenet, mlp, got 'lenet6'
    """
    known = networks()
    if name not in known:
        raise InputError("network", "one of " + ", ".join(sorted(known)), repr(name))
    return known[name]
