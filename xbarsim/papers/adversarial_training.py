"""The adversarial-features paper's networks as they are trained here, each with its files in a folder.

Networks are trained plainly, with Lasso, with Tikhonov, with dropout behind every activation, with faults
injected (nodes, half of them; the control that the paper does not have) and with adversarial features, as the
paper says and with the options that keep the game from being lost ('adversarial-stable').
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from torch import nn

from networks.adversarial_features import feature_network
from networks.datasets import load_dataset
from xbarsim.data import Dataset
from xbarsim.documents import plain
from xbarsim.errors import InputError, check_choice
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.papers.training import train_once
from xbarsim.rng import stream
from xbarsim.torch_bridge.injection import with_dropout2d
from xbarsim.torch_bridge.threads import torch_threads
from xbarsim.training.adversarial_features import Game, GameEpoch, GameSettings, play
from xbarsim.training.logs import csv_log
from xbarsim.training.loop import initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe
from xbarsim.training.regularisers import Penalty, StuckAtZeroTraining
from xbarsim.training.resume import read_history

GAMES = ("adversarial", "adversarial-stable")
METHODS = ("none", "lasso", "tikhonov", "dropout", "injection", *GAMES)
STRENGTHS = {"lasso": 1e-5, "tikhonov": 1e-4}
DROPOUT = 0.5
INJECTED = StuckAtZero(unit="node", share=0.5)


@dataclass(frozen=True, kw_only=True)
class NetworkBudget:
    """Of one architecture: training images (None for all), epochs without and with labels."""

    images: int | None
    game_epochs: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class FeatureBudget:
    """How much is trained and tested.

    Parameters
    ----------
    networks : by architecture
    test_images : None for all
    masks : of every unit and share
    """

    networks: Mapping[str, NetworkBudget]
    test_images: int | None
    masks: int


_TINY = NetworkBudget(images=200, game_epochs=2, epochs=2)
_QUICK = NetworkBudget(images=10_000, game_epochs=10, epochs=20)
_FASHION = NetworkBudget(images=None, game_epochs=2000, epochs=100)
_CIFAR = NetworkBudget(images=None, game_epochs=16, epochs=100)  # 10,000 iterations of 64 images
BUDGETS = {
    "smoke": FeatureBudget(
        networks=dict.fromkeys(("fashion-mlp", "fashion-cnn", "cifar-small"), _TINY), test_images=200, masks=2
    ),
    "cpu": FeatureBudget(
        networks={
            "fashion-mlp": _QUICK,
            "fashion-cnn": _QUICK,
            "cifar-small": replace(_QUICK, game_epochs=5, epochs=10),
            "cifar-deep": NetworkBudget(images=1000, game_epochs=5, epochs=8),
        },
        test_images=2000,
        masks=5,
    ),
    "full": FeatureBudget(
        networks={
            "fashion-mlp": _FASHION, "fashion-cnn": _FASHION, "cifar-small": _CIFAR, "cifar-deep": _CIFAR,
        },
        test_images=None,
        masks=10,
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ImageSets:
    """The first images of a data set's two parts; None for all."""

    name: str
    train_images: int | None
    test_images: int | None

    def train(self) -> Dataset:
        """Load the training images."""
        return load_dataset(self.name, "train", limit=self.train_images)

    def test(self) -> Dataset:
        """Load the test images."""
        return load_dataset(self.name, "test", limit=self.test_images)

    @cached_property
    def digests(self) -> dict[str, str]:
        """What tells their contents from others."""
        return {"data": self.test().digest, "training": self.train().digest}


@dataclass(frozen=True, kw_only=True)
class FeatureTraining:
    """One training.

    Parameters
    ----------
    network : an architecture of `networks.adversarial_features`
    method : one of `METHODS`
    strength : of 'lasso' and 'tikhonov'; else 0
    game_epochs, epochs : without and with labels

    Raises
    ------
    InputError : an unknown architecture or method.
    """

    network: str
    method: str
    strength: float
    images: ImageSets
    game_epochs: int
    epochs: int
    seed: int = 0

    def __post_init__(self) -> None:
        feature_network(self.network)
        check_choice("method", self.method, METHODS)

    @property
    def recipe(self) -> Recipe:
        """Of the training with labels."""
        return Recipe(epochs=self.epochs)

    @property
    def game(self) -> tuple[GameSettings, bool] | None:
        """How the games are played, and whether the discriminator has spectral norms; None without games.

        The stable ones reconstruct at a tenth of the rate, since features that change faster than the
        discriminator's gradient moves them never follow the prior, and label the prior's samples 0.9.
        """
        if self.method not in GAMES:
            return None
        if self.method == "adversarial":
            return GameSettings(epochs=self.game_epochs), False
        return GameSettings(epochs=self.game_epochs, learning_rate=1e-4, prior_label=0.9), True

    def describe(self) -> dict[str, Any]:
        """Return what its weights depend on, as JSON, and a digest of the test images beside it."""
        game = None
        if self.game is not None:
            settings, stable = self.game
            game = {**plain(settings), "spectral_norm": stable}
        return {
            "network": self.network,
            "method": self.method,
            "strength": self.strength,
            "images": plain(self.images),
            "game": game,
            "recipe": plain(self.recipe),
            "training_seed": self.seed,
            **self.images.digests,
        }

    def file(self, folder: Path, images: int) -> Path:
        """Return where the network is kept that was trained on so many images."""
        return folder / f"{self._name(images)}-{self.epochs}-epochs.safetensors"

    def games_file(self, folder: Path, images: int) -> Path:
        """Return where its games are kept."""
        return folder / f"{self._name(images)}-{self.game_epochs}-games.safetensors"

    def _name(self, images: int) -> str:
        strength = f"-{self.strength:g}" if self.strength else ""
        known = f"{self.images.name}-{self.network}-{self.method}{strength}"
        return f"{known}-{images}-images-seed-{self.seed}"

    def games(self, folder: Path, images: int) -> tuple[GameEpoch, ...]:
        """Return the losses of the games that were played on so many images; none without games.

        Raises
        ------
        InputError : no file of games in the folder.
        """
        if self.game is None:
            return ()
        file = self.games_file(folder, images)
        if not file.exists():
            remedy = "use the folder in which the networks were trained"
            raise InputError(str(file), "the games that were played", "no file", remedy)
        return tuple(read_history(file, GameEpoch))


@lru_cache(maxsize=1)
def trained(training: FeatureTraining, folder: Path, device: str = "cpu") -> nn.Module:
    """Return the trained network on the processor, from its files where it is trained already.

    On one thread: with other numbers of threads sums round otherwise, and so it is the same whatever works
    beside it.
    """
    data = training.images.train()
    module = initialise(feature_network(training.network).build, training.seed)
    with torch_threads(1):
        _play(training, module, data, folder, device)
        taught, methods = _with_method(training, module)
        file = training.file(folder, len(data))
        train_once(taught, data, training.recipe, file, seed=training.seed, methods=methods, device=device)
    return module.to("cpu").eval()


def _play(training: FeatureTraining, module: nn.Module, data: Dataset, folder: Path, device: str) -> None:
    """Play the games of a network whose method has some, or take over what their file holds."""
    if training.game is None:
        return
    settings, stable = training.game
    entry, file = feature_network(training.network), training.games_file(folder, len(data))
    game = Game(
        extractor=module.get_submodule("extractor"),
        decoder=initialise(lambda: entry.decoder(False), _seed_of(training, "decoder")),
        discriminator=initialise(
            lambda: entry.discriminator(spectral_norm=stable), _seed_of(training, "discriminator")
        ),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        play(
            game, data.images, settings, seed=training.seed, resume=file,
            on_epoch=csv_log(file.with_suffix(".csv")), device=device,
        )  # fmt: skip


def _seed_of(training: FeatureTraining, part: str) -> int:
    """Another one than the extractor's, so that initial weights are not alike."""
    return int(stream(training.seed, part).integers(2**62))


def _with_method(training: FeatureTraining, module: nn.Module) -> tuple[nn.Module, list[TrainingMethod]]:
    """What is trained in the module's place, and the methods of the training."""
    if training.method == "dropout":
        return with_dropout2d(module, DROPOUT), []
    if training.method == "injection":
        return module, [StuckAtZeroTraining(INJECTED)]
    if training.method in STRENGTHS and training.strength:
        return module, [Penalty(training.method, training.strength)]  # type: ignore[arg-type]
    return module, []
