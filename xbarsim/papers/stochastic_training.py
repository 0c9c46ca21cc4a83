"""The networks of stochastic fault-tolerant training as they are trained here, each with a file in a folder.

A network is pretrained, then trained on with other stuck cells in every batch, one-shot or progressively;
for Table II also pruned with ADMM before.

Source: Wang et al. (see "Sources" in docs/architecture.md), section IV.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from accel_models.reram.config import accelerator
from networks.catalogue import RESNET_RECIPE, network
from networks.datasets import load_dataset
from xbarsim.data import Dataset
from xbarsim.digests import content_digest
from xbarsim.documents import plain
from xbarsim.errors import check_int
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.papers.training import train_once
from xbarsim.training.loop import initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.pruning import AdmmPruning, KeepZeros
from xbarsim.training.recipe import Recipe
from xbarsim.training.stochastic import StuckCellTraining

Rates = tuple[float, ...]
ACCELERATOR = accelerator("isaac")
SPARSITY = 0.7


@dataclass(frozen=True, kw_only=True)
class StochasticBudget:
    """How much is trained and tested.

    Parameters
    ----------
    pretrain, tolerant : recipes of the pretraining and of the fault-tolerant training; one stage of a
        progressive training takes the epochs of `tolerant` divided by the stages in a short budget, all of
        them in the paper
    one_shot, progressive : target rates, and lists of rising rates
    norm_epochs : see `StuckCellTraining`; short budgets have no time to find weights that need no help
    one_shot_scores : whether Table II has the one-shot networks too; short budgets have no time for them
    rates : stuck cells of the chips that are tested; `chips` of them at `main_rate`, `few_chips` elsewhere
    """

    network: str = "resnet20"
    pretrain: Recipe
    tolerant: Recipe
    prune: Recipe
    one_shot: Rates
    progressive: tuple[Rates, ...]
    epochs_a_stage: int
    norm_epochs: int | None = None
    one_shot_scores: bool = True
    rates: Rates
    main_rate: float = 0.01
    chips: int = 100
    few_chips: int = 100
    images: int | None = None
    test_images: int | None = None


def stochastic_budget(name: str) -> StochasticBudget:
    """Return what is trained and tested in the budget of this name; see `Settings`."""
    if name == "full":
        targets = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)
        return StochasticBudget(
            pretrain=RESNET_RECIPE,
            tolerant=RESNET_RECIPE,
            prune=RESNET_RECIPE,
            one_shot=targets,
            progressive=tuple(targets[: i + 1] for i in range(len(targets))),
            epochs_a_stage=RESNET_RECIPE.epochs,
            rates=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
        )
    small = name == "smoke"
    quick = replace(RESNET_RECIPE, epochs=1 if small else 5, augment="flip")
    quick = replace(quick, batch_size=16) if small else quick
    return StochasticBudget(
        pretrain=quick,
        tolerant=replace(quick, epochs=4, learning_rate=0.05, clip_norm=0.5),
        prune=replace(quick, epochs=1, learning_rate=0.02),
        one_shot=(0.01,),
        progressive=((0.005, 0.01),),
        epochs_a_stage=2,
        norm_epochs=2,
        one_shot_scores=False,
        rates=(0.01,) if small else (0.001, 0.005, 0.01, 0.02, 0.05),
        chips=2 if small else 100,
        few_chips=2 if small else 20,
        images=48 if small else None,
        test_images=20 if small else 500,
    )


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One network of the tables: pruned or not, and the rates of its fault-tolerant training, if any."""

    stages: Rates = ()
    pruned: bool = False

    @property
    def key(self) -> tuple[str, float]:
        """The method, and the rate that it ends with."""
        how = {0: "pretrained", 1: "one-shot"}.get(len(self.stages), "progressive")
        return how, self.stages[-1] if self.stages else 0

    @property
    def name(self) -> str:
        """For a file."""
        how, rate = self.key
        return ("pruned-" if self.pruned else "") + how + (f"-{rate:g}" if rate else "")

    @property
    def words(self) -> str:
        """For a row."""
        how, rate = self.key
        shown = f"{how}, {100 * rate:g} %" if rate else how
        return f"{shown}, {100 * SPARSITY:g} % pruned" if self.pruned else shown

    def recipe(self, budget: StochasticBudget) -> Recipe:
        """How long it is trained: one-shot as long as the short budgets' whole progressive training."""
        if len(self.stages) > 1:
            return replace(budget.tolerant, epochs=budget.epochs_a_stage * len(self.stages))
        return budget.tolerant


def table_variants(table: int, budget: StochasticBudget) -> list[Variant]:
    """The networks of Table I, or of Table II."""
    check_int("table", table, 1, 2)
    one_shot = [(rate,) for rate in budget.one_shot] if table == 1 or budget.one_shot_scores else []
    stages: list[Rates] = [(), *one_shot, *budget.progressive]
    found = [Variant(stages=s) for s in stages]
    return found + ([Variant(stages=s, pruned=True) for s in stages] if table == 2 else [])


@dataclass(frozen=True)
class ImageSets:
    """The first images of CIFAR-10's two parts; None for all."""

    train_images: int | None = None
    test_images: int | None = None

    def train(self) -> Dataset:
        """Load the training images."""
        return load_dataset("cifar10", "train", limit=self.train_images)

    def test(self) -> Dataset:
        """Load the test images."""
        return load_dataset("cifar10", "test", limit=self.test_images)

    @cached_property
    def digests(self) -> dict[str, str]:
        """What tells their contents from others."""
        return {"data": self.test().digest, "training": self.train().digest}


@dataclass(frozen=True, kw_only=True)
class StochasticTraining:
    """A network of the tables, trained on top of those that it needs.

    Parameters
    ----------
    budget : recipes, and what `StuckCellTraining` is told
    """

    variant: Variant
    budget: StochasticBudget
    images: ImageSets
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        """Return what its weights depend on, as JSON, and a digest of the test images beside it."""
        budget, variant = self.budget, self.variant
        pruning = {"sparsity": SPARSITY, "recipe": plain(budget.prune)} if variant.pruned else None
        tolerant = {
            "stages": list(variant.stages),
            "epochs_a_stage": budget.epochs_a_stage,
            "norm_epochs": budget.norm_epochs,
            "recipe": plain(variant.recipe(budget)),
        }
        return {
            "network": budget.network,
            "variant": variant.name,
            "recipe": plain(budget.pretrain),
            "pruning": pruning,
            "tolerant": tolerant if variant.stages else None,
            "training_seed": self.seed,
            "accelerator": ACCELERATOR.name,
            "hardware": content_digest(plain(ACCELERATOR)),
            **self.images.digests,
        }

    def trained(self, folder: Path, device: str = "cpu") -> nn.Module:
        """Return the network on the processor, from its file where it is trained already."""
        trainer = _Trainer(self.budget, self.images.train(), self.seed, folder, device)
        return trainer.network(self.variant).to("cpu")


@dataclass(frozen=True, eq=False)
class _Trainer:
    budget: StochasticBudget
    data: Dataset
    seed: int
    folder: Path
    device: str

    def network(self, variant: Variant) -> nn.Module:
        """Return the trained network, in evaluation."""
        if variant.stages:
            module = self.network(replace(variant, stages=()))
            tolerant = StuckCellTraining(
                [StuckCells(rate=rate) for rate in variant.stages],
                ACCELERATOR.array,
                epochs_each=self.budget.epochs_a_stage,
                norm_epochs=self.budget.norm_epochs,
            )
            methods = [tolerant, *_zeros(variant)]
            return self._fit(module, variant.name, variant.recipe(self.budget), methods)
        if variant.pruned:
            module = self.network(Variant())
            pruning = AdmmPruning(SPARSITY)
            pruning.prune(self._fit(module, "admm", self.budget.prune, [pruning]))
            return self._fit(module, variant.name, self.budget.prune, _zeros(variant))
        module = initialise(network(self.budget.network).build, self.seed)
        return self._fit(module, variant.name, self.budget.pretrain, [])

    def _fit(
        self, module: nn.Module, name: str, recipe: Recipe, methods: Sequence[TrainingMethod]
    ) -> nn.Module:
        file = f"{self.budget.network}-{name}-{recipe.epochs}-epochs-seed-{self.seed}.safetensors"
        train_once(
            module, self.data, recipe, self.folder / file, seed=self.seed, methods=methods, device=self.device
        )
        return module.eval()


def _zeros(variant: Variant) -> list[TrainingMethod]:
    return [KeepZeros()] if variant.pruned else []
