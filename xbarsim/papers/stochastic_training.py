"""Tables I and II of stochastic fault-tolerant training, on networks that are trained here.

A network is pretrained, then trained on with other stuck cells in every batch, one-shot or progressively;
for Table II also pruned with ADMM before. Each training has a file in a folder and goes on where it was
stopped. Every network is quantized, placed on ISAAC-like arrays (16-bit weights in 2-bit cells, inverted
storage), and tested on chips with drawn stuck cells: the same chips for every network.

The paper's Table II is ResNet-32 on CIFAR-100; here it is CIFAR-10, with ResNet-20 in the short budgets.

Source: Wang et al. (see "Sources" in docs/architecture.md), section IV.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from accel_models.reram.chip import ReramChip
from accel_models.reram.config import ReramConfig, accelerator
from networks.catalogue import RESNET_RECIPE, network
from networks.datasets import load_dataset
from xbarsim.data import Dataset
from xbarsim.errors import check_choice, check_int
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.metrics.intervals import Estimate, mean_over_chips
from xbarsim.metrics.stability import stability_score
from xbarsim.rng import stream
from xbarsim.studies.workbench import CALIBRATION_IMAGES, program_module
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.training.loop import OnBatch, accuracy, fit, initialise, scores_of
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.pruning import AdmmPruning, KeepZeros
from xbarsim.training.recipe import Recipe
from xbarsim.training.stochastic import StuckCellTraining

Watch = Callable[[str], OnBatch | None]
Rates = tuple[float, ...]
ACCELERATOR = "isaac"
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
    """'smoke' (a minute), 'cpu' (two cores, under 40 minutes) or 'full' (the paper's recipe)."""
    check_choice("--budget", name, ("smoke", "cpu", "full"))
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


@dataclass(frozen=True, kw_only=True, eq=False)
class TestedNetwork:
    """A network on chips: right predictions of each, by rate of stuck cells."""

    variant: Variant
    float_hits: int
    healthy_hits: int
    shots: int
    hits: dict[float, list[int]]

    def accuracy(self, rate: float) -> Estimate:
        """Mean over the chips, with its interval, in shares."""
        return mean_over_chips([h / self.shots for h in self.hits[rate]])

    def score(self, pretrained: TestedNetwork, rate: float) -> float:
        """Stability Score (Eq. 1), from the chips without faults and those with them."""
        before, after = pretrained.healthy_hits / pretrained.shots, self.healthy_hits / self.shots
        return stability_score(before, after, self.accuracy(rate).value)


def table_variants(table: int, budget: StochasticBudget) -> list[Variant]:
    """The networks of Table I, or of Table II."""
    check_int("table", table, 1, 2)
    one_shot = [(rate,) for rate in budget.one_shot] if table == 1 or budget.one_shot_scores else []
    stages: list[Rates] = [(), *one_shot, *budget.progressive]
    found = [Variant(stages=s) for s in stages]
    return found + ([Variant(stages=s, pruned=True) for s in stages] if table == 2 else [])


class Trainer:
    """Trains the networks of a budget, each on top of the one it needs, and keeps them in a folder."""

    def __init__(
        self,
        budget: StochasticBudget,
        folder: Path,
        *,
        seed: int = 0,
        watch: Watch = lambda name: None,
        device: str = "cpu",
    ) -> None:
        self.budget, self.folder, self.seed, self.watch, self.device = budget, folder, seed, watch, device
        self.train = load_dataset("cifar10", "train", limit=budget.images)
        self.test = load_dataset("cifar10", "test", limit=budget.test_images)
        self.config: ReramConfig = accelerator(ACCELERATOR)

    def network(self, variant: Variant) -> nn.Module:
        """The trained network, in evaluation."""
        if variant.stages:
            module = self.network(replace(variant, stages=()))
            stages = [StuckCells(rate=rate) for rate in variant.stages]
            tolerant = StuckCellTraining(
                stages,
                self.config.array,
                epochs_each=self.budget.epochs_a_stage,
                norm_epochs=self.budget.norm_epochs,
            )
            methods: list[TrainingMethod] = [tolerant]
            return self._fit(module, variant.name, variant.recipe(self.budget), [*methods, *_zeros(variant)])
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
        fit(
            module,
            self.train.images,
            self.train.labels,
            recipe,
            seed=self.seed,
            methods=methods,
            resume=self.folder / file,
            on_batch=self.watch(f"training {self.budget.network}, {name}"),
            device=self.device,
        )
        return module.eval()


def _zeros(variant: Variant) -> list[TrainingMethod]:
    return [KeepZeros()] if variant.pruned else []


def measure(trainer: Trainer, variant: Variant, *, chips_seed: int = 1, device: str = "cpu") -> TestedNetwork:
    """A trained network on healthy chips and on chips with stuck cells."""
    budget = trainer.budget
    module = trainer.network(variant).to("cpu")
    chip = program_module(module, trainer.train.images[:CALIBRATION_IMAGES], trainer.config)
    on_chip = FastChip(chip, trainer.test, device=device)
    float_hits, shots = accuracy(module, trainer.test.images, trainer.test.labels)
    found = {}
    for rate in budget.rates:
        count = budget.chips if rate == budget.main_rate else budget.few_chips
        advance = trainer.watch(f"chips with {100 * rate:g} % stuck cells, {variant.name}")
        hits = []
        for t in range(count):
            hits.append(on_chip.hits(StuckCells(rate=rate), chips_seed, t))
            if advance is not None:
                advance(t + 1, count, 0.0)
        found[rate] = hits
    return TestedNetwork(
        variant=variant,
        float_hits=float_hits,
        healthy_hits=on_chip.healthy_hits(),
        shots=shots,
        hits=found,
    )


class FastChip:
    """Right predictions of a chip with drawn stuck cells, by torch in float32.

    The weights are exactly those that the cells act as; sums are rounded as floats are, so that single
    activations may fall on the other side of a rounding and a prediction may differ from `ReramChip.run`'s.
    Clipping ADCs are not looked at: without faults nothing clips on these arrays, with faults a column may.
    """

    def __init__(self, chip: ReramChip, test: Dataset, *, device: str = "cpu") -> None:
        self.chip, self.labels = chip, torch.from_numpy(test.labels)
        self.module = ChipModule(chip.graph, chip.config.array.format).to(device)
        self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = torch.from_numpy(test.images)
        self.images = images.contiguous(memory_format=torch.channels_last)

    def healthy_hits(self) -> int:
        """Without faults."""
        self.module.set_masks({})
        return self._hits()

    def hits(self, model: StuckCells, seed: int, trial: int) -> int:
        """With the stuck cells of this seed and trial."""
        faults = model.draw(self.chip.geometry, stream(seed, "faults", trial))
        self.module.set_masks(self.chip.inject(faults).training_masks())
        return self._hits()

    def _hits(self) -> int:
        predictions = scores_of(self.module, self.images, batch_size=250).argmax(dim=1)
        return int(np.count_nonzero(predictions == self.labels))
