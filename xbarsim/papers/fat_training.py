"""FAT's Tables II to IV and Fig. 9 on networks that are trained here: plain, with FAT, with Dropout2D.

Each training has a file of its own in a folder, written after every epoch: a study that was stopped goes on,
and studies that need the same network share it. Every network is then run as a FINN design under all its
single stuck channels (Tables II and III) or pixels (Table IV).

Sources: FAT (Zahid et al.), section V. A pixel is stuck on feature maps of more than one pixel only: alone,
it would be all there is. Variances are of the accuracies in % over all faults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from torch import nn

from accel_models.finn.chip import FinnChip
from accel_models.finn.concurrent import FaultResults
from accel_models.finn.config import FinnConfig
from accel_models.finn.from_graph import from_graph
from networks.catalogue import FAT_RECIPE, QUICK_QUANTIZED
from networks.cnv import Cnv
from networks.datasets import load_dataset, pixels_of
from xbarsim.data import Dataset
from xbarsim.errors import check_choice, check_int
from xbarsim.experiments.trainings import ON_ACTIVATIONS, with_errors
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.pe import PeFaults
from xbarsim.studies.boards import BoardBench, run_campaign
from xbarsim.torch_bridge.finn_export import finn_graph
from xbarsim.training.loop import OnBatch, fit, initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe
from xbarsim.training.resume import Epoch

Method = Literal["plain", "fat-1", "fat-2", "dropout2d"]
Unit = Literal["channel", "pixel"]
OnStep = Callable[[int, int], None]
Watch = Callable[[str], OnBatch | None]


@dataclass(frozen=True, kw_only=True)
class CnvTraining:
    """One network of the tables.

    Parameters
    ----------
    weight_bits, activation_bits, width : of the CNV
    method : 'plain', FAT with all layers ('fat-1') or one layer an epoch ('fat-2'), 'dropout2d'
    rate, unit : of the injected errors; Dropout2D knows the rate alone
    images : the first so many training images; None for all
    """

    weight_bits: int = 1
    activation_bits: int = 1
    width: int = 64
    method: Method = "plain"
    rate: float = 0.0
    unit: Unit = "channel"
    seed: int = 0
    recipe: Recipe
    images: int | None = None

    def __post_init__(self) -> None:
        check_choice("method", self.method, ("plain", *ON_ACTIVATIONS))

    @property
    def network(self) -> str:
        """The name of the network, as in the paper."""
        width = "" if self.width == 64 else f"-{self.width}"
        return f"cnvW{self.weight_bits}A{self.activation_bits}{width}"

    @property
    def name(self) -> str:
        """The name of its file."""
        how: str = self.method
        if self.method != "plain":
            how += f"-{self.rate:g}" if self.method == "dropout2d" else f"-{self.unit}-{self.rate:g}"
        return f"{self.network}-{how}-{self.recipe.epochs}-epochs-seed-{self.seed}"

    def build(self) -> nn.Module:
        """The untrained network."""
        return initialise(lambda: Cnv(self.weight_bits, self.activation_bits, width=self.width), self.seed)

    def with_method(self, module: nn.Module) -> tuple[nn.Module, list[TrainingMethod]]:
        """What is trained in the network's place, and how."""
        if self.method == "plain":
            return module, []
        return with_errors(module, self.method, self.rate, self.unit)


def train_cnv(
    training: CnvTraining,
    data: Dataset,
    folder: Path,
    *,
    on_batch: OnBatch | None = None,
    device: str = "cpu",
) -> tuple[nn.Module, list[Epoch]]:
    """Train a network, or go on with it, or read it if it is done; the network and its epochs."""
    module = training.build()
    trained, methods = training.with_method(module)
    history = fit(
        trained,
        data.images[: training.images],
        data.labels[: training.images],
        training.recipe,
        seed=training.seed,
        methods=methods,
        resume=folder / f"{training.name}.safetensors",
        on_batch=on_batch,
        device=device,
    )
    return module.eval().to("cpu"), history


@dataclass(frozen=True, kw_only=True, eq=False)
class StuckNetwork:
    """A trained network under all its single faults."""

    training: CnvTraining
    results: FaultResults
    train_seconds: float

    @property
    def error_free(self) -> float:
        """Accuracy in % without a fault."""
        return 100 * self.results.baseline_hits / self.results.shots

    @property
    def lowest(self) -> float:
        """Accuracy in % under the worst fault."""
        return 100 * float(self.results.accuracy.min())

    @property
    def variance(self) -> float:
        """Variance over the faults of the accuracy in %."""
        return float((100 * self.results.accuracy).var())


def stick_units(
    module: nn.Module, name: str, test: Dataset, unit: Unit, *, on_step: OnStep | None = None
) -> FaultResults:
    """Every channel, or every pixel of the larger feature maps, stuck at every value, on all test images."""
    graph = finn_graph(module, test.images.shape[1:])
    bench = BoardBench(
        design=FinnConfig().program(from_graph(graph, name=name)),
        dataset=test.name,
        images=pixels_of(test),
        labels=test.labels,
        source=test.source,
    )
    return run_campaign(bench, _faults(bench.design, unit), on_step=on_step).results


def _faults(design: FinnChip, unit: Unit) -> PeFaults:
    kinds = StuckActivations(rate=1.0, unit=unit).kinds
    if unit == "channel":
        return design.fault_list(kinds)
    maps = [i for i, layer in enumerate(design.network.layers) if int(np.prod(layer.output_shape[:2])) > 1]
    return design.fault_list(kinds, maps)


@dataclass(frozen=True, kw_only=True)
class FatBudget:
    """How much a study trains: networks, and the rate of each table's methods."""

    base: CnvTraining
    bits: tuple[tuple[int, int], ...]
    fat: Method
    rates: dict[tuple[str, int], tuple[float, ...]]
    test_images: int | None


def fat_budget(name: str, *, epochs: int | None = None) -> FatBudget:
    """A named budget: 'smoke' (a minute), 'cpu' (two cores, under 40 minutes), 'full' (the paper's recipe).

    Short budgets use method 1 with a small rate: with method 2 most layers would see few epochs of errors.
    """
    check_choice("--budget", name, ("smoke", "cpu", "full"))
    if epochs is not None:
        check_int("--epochs", epochs, 1, 10**6)
    if name == "full":
        rates = {
            ("fat-2", 2): (0.05, 0.10, 0.15),
            ("fat-2", 3): (0.025, 0.05),
            ("fat-2", 4): (0.025,),
            ("dropout2d", 3): (0.025,),
            ("dropout2d", 4): (0.025, 0.10),
        }
        base = CnvTraining(recipe=replace(FAT_RECIPE, epochs=epochs or FAT_RECIPE.epochs))
        bits = ((1, 1), (1, 2), (1, 3), (1, 4), (2, 2))
        return FatBudget(base=base, bits=bits, fat="fat-2", rates=rates, test_images=None)
    recipe = replace(QUICK_QUANTIZED, epochs=epochs or (1 if name == "smoke" else QUICK_QUANTIZED.epochs))
    base = CnvTraining(width=32, recipe=recipe)
    if name == "smoke":
        base = replace(base, width=8, images=300)
    rates = {
        ("fat-1", 2): (0.015,),
        ("fat-1", 3): (0.015,),
        ("fat-1", 4): (0.015,),
        ("dropout2d", 3): (0.015,),
        ("dropout2d", 4): (0.015,),
    }
    test_images = 50 if name == "smoke" else None
    return FatBudget(base=base, bits=((1, 1),), fat="fat-1", rates=rates, test_images=test_images)


def table_trainings(table: int, budget: FatBudget, *, seed: int = 0) -> list[CnvTraining]:
    """The networks of Table II, III or IV."""
    check_int("table", table, 2, 4)
    unit: Unit = "pixel" if table == 4 else "channel"
    found = []
    for weight_bits, activation_bits in budget.bits:
        base = replace(
            budget.base, weight_bits=weight_bits, activation_bits=activation_bits, seed=seed, unit=unit
        )
        found.append(base)
        methods: Sequence[Method] = (budget.fat,) if table == 2 else (budget.fat, "dropout2d")
        for method in methods:
            found += [replace(base, method=method, rate=r) for r in budget.rates[method, table]]
    return found


def run_trainings(
    trainings: Sequence[CnvTraining],
    folder: Path,
    *,
    unit: Unit,
    test_images: int | None = None,
    watch: Callable[[str], OnBatch | None] = lambda name: None,
    device: str = "cpu",
) -> list[StuckNetwork]:
    """Train every network of a list, and stick every unit of each.

    Parameters
    ----------
    folder : where the networks are kept
    watch : gives the progress function of a named step
    """
    needed = {training.images for training in trainings}
    limit = None if None in needed else max(n for n in needed if n is not None)
    train = load_dataset("cifar10", "train", limit=limit)
    test = load_dataset("cifar10", "test", limit=test_images)
    found = []
    for training in trainings:
        module, history = train_cnv(
            training, train, folder, on_batch=watch(f"training {training.name}"), device=device
        )
        results = stick_units(module, training.network, test, unit, on_step=watch(f"sticking {unit}s"))  # type: ignore[arg-type]
        seconds = sum(epoch.seconds for epoch in history)
        found.append(StuckNetwork(training=training, results=results, train_seconds=seconds))
    return found
