"""Tables I and II and Figs. 3 and 7 of the adversarial-features paper, on networks that are trained here.

Networks are trained plainly, with Lasso, with Tikhonov, with dropout behind every activation, with faults
injected (nodes, half of them; the control that the paper does not have) and with adversarial features, as the
paper says and with the options that keep the game from being lost ('adversarial-stable'). All meet the same
masks of weights, filters and nodes stuck at 0.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Required, TypedDict

import numpy as np
import torch
from torch import nn

from networks.adversarial_features import FeatureNetwork, feature_network
from networks.datasets import load_dataset
from xbarsim.campaigns.worker import threads_each
from xbarsim.data import Dataset
from xbarsim.errors import check_choice
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.metrics.generalisation import generalisation_error
from xbarsim.metrics.intervals import Estimate
from xbarsim.rng import stream
from xbarsim.torch_bridge.injection import with_dropout2d
from xbarsim.torch_bridge.stuck_at_zero import draw_masks, stuck
from xbarsim.training.adversarial_features import Game, GameEpoch, GameSettings, play
from xbarsim.training.logs import csv_log
from xbarsim.training.loop import OnBatch, accuracy, fit, initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe
from xbarsim.training.regularisers import Penalty, StuckAtZeroTraining

Watch = Callable[[str], OnBatch | None]
GAMES = ("adversarial", "adversarial-stable")
METHODS = ("none", "lasso", "tikhonov", "dropout", "injection", *GAMES)
STRENGTHS = {"lasso": 1e-5, "tikhonov": 1e-4}
DROPOUT = 0.5
INJECTED = StuckAtZero(unit="node", share=0.5)
TABLE_1_STRENGTHS = (0.0, 1e-4, 1e-3, 0.1)
SHARES: dict[str, tuple[float, ...]] = {
    "weight": (0.2, 0.4, 0.5, 0.6, 0.7, 0.8),
    "filter": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "node": (0.2, 0.4, 0.6, 0.68, 0.8),
}
FIG_7_NETWORKS = {"weight": "fashion-mlp", "filter": "fashion-cnn", "node": "fashion-mlp"}


@dataclass(frozen=True, kw_only=True)
class NetworkBudget:
    """Of one architecture: training images, epochs without and with labels."""

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


def feature_budget(name: str) -> FeatureBudget:
    """'smoke' (a minute), 'cpu' (two cores, under 40 minutes) or 'full' (all images, long games)."""
    check_choice("--budget", name, ("smoke", "cpu", "full"))
    if name == "smoke":
        tiny = NetworkBudget(images=200, game_epochs=2, epochs=2)
        names = ("fashion-mlp", "fashion-cnn", "cifar-small")
        return FeatureBudget(networks=dict.fromkeys(names, tiny), test_images=200, masks=2)
    if name == "cpu":
        quick = NetworkBudget(images=10_000, game_epochs=10, epochs=20)
        return FeatureBudget(
            networks={
                "fashion-mlp": quick,
                "fashion-cnn": quick,
                "cifar-small": replace(quick, game_epochs=5, epochs=10),
                "cifar-deep": NetworkBudget(images=1000, game_epochs=5, epochs=8),
            },
            test_images=2000,
            masks=5,
        )
    fashion = NetworkBudget(images=None, game_epochs=2000, epochs=100)
    cifar = NetworkBudget(images=None, game_epochs=16, epochs=100)  # 10,000 iterations of 64 images
    return FeatureBudget(
        networks={"fashion-mlp": fashion, "fashion-cnn": fashion, "cifar-small": cifar, "cifar-deep": cifar},
        test_images=None,
        masks=10,
    )


class Job(TypedDict, total=False):
    """The arguments of `FeatureStudy.train`."""

    network: Required[str]
    method: Required[str]
    strength: float | None
    dataset: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedFeatures:
    """A trained network, its right predictions, and the losses of its games if it played."""

    network: str
    method: str
    strength: float
    module: nn.Module
    train_hits: int
    train_shots: int
    test_hits: int
    test_shots: int
    games: tuple[GameEpoch, ...]

    @property
    def generalisation(self) -> Estimate:
        """Training accuracy less test accuracy (Eq. 8)."""
        return generalisation_error(self.train_hits, self.train_shots, self.test_hits, self.test_shots)


class FeatureStudy:
    """Trains the networks of a budget and keeps them in a folder; tests them on the same masks."""

    def __init__(
        self,
        budget: FeatureBudget,
        folder: Path,
        *,
        seed: int = 0,
        masks_seed: int = 1,
        watch: Watch = lambda name: None,
        device: str = "cpu",
    ) -> None:
        self.budget, self.folder, self.seed, self.watch = budget, folder, seed, watch
        self.masks_seed, self.device = masks_seed, device

    def data(self, network: str, dataset: str | None = None) -> tuple[Dataset, Dataset]:
        """Training and test images of an architecture."""
        name = dataset or feature_network(network).dataset
        budget = self.budget.networks[network]
        return (
            load_dataset(name, "train", limit=budget.images),
            load_dataset(name, "test", limit=self.budget.test_images),
        )

    def train(
        self, network: str, method: str, *, strength: float | None = None, dataset: str | None = None
    ) -> TrainedFeatures:
        """A trained network; kept, and found again.

        Parameters
        ----------
        strength : of 'lasso' and 'tikhonov'; their own if not given
        dataset : another one of the same size
        """
        check_choice("method", method, METHODS)
        entry, budget = feature_network(network), self.budget.networks[network]
        train, test = self.data(network, dataset)
        strength = STRENGTHS.get(method, 0.0) if strength is None else strength
        module = initialise(entry.build, self.seed)
        name = f"{train.name}-{network}-{method}" + (f"-{strength:g}" if strength else "")
        name += f"-{len(train.labels)}-images-seed-{self.seed}"
        games = self._play(entry, module, train, name, method) if method in GAMES else []
        trained, methods = _method(method, module, strength)
        fit(
            trained,
            train.images,
            train.labels,
            Recipe(epochs=budget.epochs),
            seed=self.seed,
            methods=methods,
            resume=self.folder / f"{name}-{budget.epochs}-epochs.safetensors",
            on_batch=self.watch(f"training {network}, {method}"),
            device=self.device,
        )
        module.to("cpu").eval()
        train_hits, train_shots = accuracy(module, train.images, train.labels)
        test_hits, test_shots = accuracy(module, test.images, test.labels)
        return TrainedFeatures(
            network=network,
            method=method,
            strength=strength,
            module=module,
            train_hits=train_hits,
            train_shots=train_shots,
            test_hits=test_hits,
            test_shots=test_shots,
            games=tuple(games),
        )

    def train_all(self, jobs: Sequence[Job]) -> list[TrainedFeatures]:
        """Several networks; on processors as many at a time as there are, with a thread each.

        So a network does not depend on the number of processors: with other numbers of threads sums round
        otherwise.
        """
        workers = min(len(jobs), threads_each(1))
        if self.device == "cpu" and workers > 1:
            advance = self.watch(f"training {len(jobs)} networks, {workers} at a time")
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_one_thread) as pool:
                started = [pool.submit(_train, self.budget, self.folder, self.seed, job) for job in jobs]
                try:
                    for done, one in enumerate(as_completed(started), 1):
                        one.result()
                        if advance is not None:
                            advance(done, len(jobs), 0.0)
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    for child in multiprocessing.active_children():  # their files are of whole epochs
                        child.terminate()
                    raise
        return [self.train(**job) for job in jobs]  # what is trained is found again

    def _play(
        self, entry: FeatureNetwork, module: nn.Module, train: Dataset, name: str, method: str
    ) -> list[GameEpoch]:
        settings, stable = game_settings(method, self.budget.networks[entry.name].game_epochs)
        file = self.folder / f"{name}-{settings.epochs}-games.safetensors"
        return play(
            Game(
                extractor=module.get_submodule("extractor"),
                decoder=initialise(lambda: entry.decoder(False), self._seed_of("decoder")),
                discriminator=initialise(
                    lambda: entry.discriminator(spectral_norm=stable), self._seed_of("discriminator")
                ),
            ),
            train.images,
            settings,
            seed=self.seed,
            resume=file,
            on_batch=self.watch(f"games of {entry.name}, {method}"),
            on_epoch=csv_log(file.with_suffix(".csv")),
            device=self.device,
        )

    def _seed_of(self, part: str) -> int:
        """Another one than the extractor's, so that initial weights are not alike."""
        return int(stream(self.seed, part).integers(2**62))

    def with_faults(
        self, one: TrainedFeatures, unit: str, *, dataset: str | None = None
    ) -> dict[float, list[int]]:
        """Right predictions of the test images with every mask, by the share of units that is stuck at 0."""
        _, test = self.data(one.network, dataset)
        found: dict[float, list[int]] = {0.0: [one.test_hits]}
        advance = self.watch(f"{unit} faults, {one.network}, {one.method}")
        for done, share in enumerate(SHARES[unit], 1):
            faults, hits = StuckAtZero(unit=unit, share=share), []  # type: ignore[arg-type]
            for t in range(self.budget.masks):
                rng = stream(self.masks_seed, f"{one.network} {unit} {share:g}", t)
                with stuck(one.module, faults, draw_masks(one.module, faults, rng)):
                    hits.append(accuracy(one.module, test.images, test.labels)[0])
            found[share] = hits
            if advance is not None:
                advance(done, len(SHARES[unit]), 0.0)
        return found


def _one_thread() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle


def _train(budget: FeatureBudget, folder: Path, seed: int, job: Job) -> None:
    """In a process of its own."""
    FeatureStudy(budget, folder, seed=seed).train(**job)


def game_settings(method: str, epochs: int) -> tuple[GameSettings, bool]:
    """How a method of `GAMES` plays, and whether its discriminator has spectral norms.

    The stable one reconstructs at a tenth of the rate, since features that change faster than the
    discriminator's gradient moves them never follow the prior, and labels the prior's samples 0.9.
    """
    if method == "adversarial":
        return GameSettings(epochs=epochs), False
    return GameSettings(epochs=epochs, learning_rate=1e-4, prior_label=0.9), True


def _method(method: str, module: nn.Module, strength: float) -> tuple[nn.Module, list[TrainingMethod]]:
    """What is trained in the module's place, and the methods of the training."""
    if method == "dropout":
        return with_dropout2d(module, DROPOUT), []
    if method == "injection":
        return module, [StuckAtZeroTraining(INJECTED)]
    if method in STRENGTHS and strength:
        return module, [Penalty(method, strength)]  # type: ignore[arg-type]
    return module, []


@dataclass(frozen=True, kw_only=True, eq=False)
class FaultCurve:
    """A trained network and its right predictions by share."""

    trained: TrainedFeatures
    unit: str
    hits: dict[float, list[int]]

    def accuracies(self, share: float) -> list[float]:
        """With every mask, in shares."""
        return (np.array(self.hits[share]) / self.trained.test_shots).tolist()


def run_table_1(study: FeatureStudy) -> list[TrainedFeatures]:
    """Tikhonov's strengths on `fashion-mlp`."""
    return study.train_all(
        [{"network": "fashion-mlp", "method": "tikhonov", "strength": s} for s in TABLE_1_STRENGTHS]
    )


def run_table_2(study: FeatureStudy) -> list[TrainedFeatures]:
    """Every architecture with every method."""
    return study.train_all(
        [{"network": network, "method": m} for network in study.budget.networks for m in METHODS]
    )


def run_figure_3(study: FeatureStudy) -> list[FaultCurve]:
    """Digits (MNIST), unregularised and with Tikhonov."""
    return _curves(study, ("none", "tikhonov"), "mnist")


def run_figure_7(study: FeatureStudy) -> list[FaultCurve]:
    """Fashion-MNIST, every method."""
    return _curves(study, METHODS, None)


def _curves(study: FeatureStudy, methods: Sequence[str], dataset: str | None) -> list[FaultCurve]:
    found = []
    networks = dict.fromkeys(FIG_7_NETWORKS.values())
    jobs: list[Job] = [{"network": n, "method": m, "dataset": dataset} for n in networks for m in methods]
    trained = {(one.network, one.method): one for one in study.train_all(jobs)}
    for unit, network in FIG_7_NETWORKS.items():
        for method in methods:
            one = trained[network, method]
            hits = study.with_faults(one, unit, dataset=dataset)
            found.append(FaultCurve(trained=one, unit=unit, hits=hits))
    return found
