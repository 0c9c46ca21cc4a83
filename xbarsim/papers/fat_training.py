"""Networks of FAT's Tables II to IV, trained here: plain, with FAT, with Dropout2D; then stuck unit by unit.

Each training has a file of its own in a folder, written after every epoch: a study that was stopped goes on,
and studies that need the same network share it. Every network is then run on a FINN chip under all its single
stuck channels (Tables II and III) or pixels (Table IV).

Sources: FAT (Zahid et al.), section V. A pixel is stuck on feature maps of more than one pixel only: alone,
it would be all there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from torch import nn

from accel_models.finn.config import FinnConfig
from networks.catalogue import FAT_RECIPE, QUICK_QUANTIZED
from networks.cnv import Cnv
from networks.datasets import load_dataset
from xbarsim.campaigns.task import Outcome, Task, TrialFunction
from xbarsim.chip import FaultModel
from xbarsim.data import Dataset
from xbarsim.digests import content_digest
from xbarsim.documents import plain
from xbarsim.errors import InputError, check_choice
from xbarsim.experiments.drawing import trials_of
from xbarsim.experiments.experiment import REVISION
from xbarsim.experiments.measures import Accuracy, Condition
from xbarsim.experiments.single_faults import FAULTS_AT_ONCE
from xbarsim.experiments.trainings import ON_ACTIVATIONS, with_errors
from xbarsim.faults.models import SingleFaults
from xbarsim.faults.pe import FinnGeometry
from xbarsim.faults.places import NoFaults
from xbarsim.papers.study import Settings
from xbarsim.papers.training import train_once
from xbarsim.registry import fault_models
from xbarsim.repair.nothing import AsItIs
from xbarsim.subject import Subject
from xbarsim.torch_bridge.finn_export import finn_graph
from xbarsim.training.loop import initialise
from xbarsim.training.recipe import Recipe

Method = Literal["plain", "fat-1", "fat-2", "dropout2d"]
Unit = Literal["channel", "pixel"]
IMAGE = (3, 32, 32)


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
    def file(self) -> str:
        """The name of its file."""
        how: str = self.method
        if self.method != "plain":
            how += f"-{self.rate:g}" if self.method == "dropout2d" else f"-{self.unit}-{self.rate:g}"
        return f"{self.network}-{how}-{self.recipe.epochs}-epochs-seed-{self.seed}.safetensors"

    def build(self) -> nn.Module:
        """Return the untrained network."""
        return initialise(lambda: Cnv(self.weight_bits, self.activation_bits, width=self.width), self.seed)

    def train(self, data: Dataset, folder: Path, *, device: str = "cpu") -> nn.Module:
        """Train the network, go on with it, or read it if it is done."""
        module = self.build()
        erring = self.method != "plain"
        trained, methods = with_errors(module, self.method, self.rate, self.unit) if erring else (module, [])
        train_once(
            trained,
            data,
            self.recipe,
            folder / self.file,
            seed=self.seed,
            methods=methods,
            device=device,
        )
        return module.eval().to("cpu")


@dataclass(frozen=True, kw_only=True)
class TrainedCnv:
    """A workload: right answers of a network that is trained, or found, where trials are made.

    Parameters
    ----------
    test_images : the first so many; None for all
    data : digest of the images that it is trained and tested on, see `data_digest`
    folder : where it is kept
    device : where it is trained
    """

    training: CnvTraining
    faults: FaultModel
    test_images: int | None
    data: str
    folder: Path
    device: str = "cpu"

    batch = FAULTS_AT_ONCE

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        return {
            "metric": "accuracy",
            "network": self.training.network,
            "training": plain(self.training),
            "data": self.data,
            "images": self.test_images,
            "accelerator": FinnConfig().name,
            "faults": fault_models.describe(self.faults),
            "revision": REVISION,
        }

    def prepare(self) -> TrialFunction:
        """See `Workload`.

        Raises
        ------
        InputError : other images than those of the plan.
        """
        train, test = cifar10(self.training.images, self.test_images)
        if content_digest((train.digest, test.digest)) != self.data:
            raise InputError(f"network {self.training.file}", "images as planned", "others", "plan again")
        module = self.training.train(train, self.folder, device=self.device)
        subject = Subject(module, FinnConfig(), test=test, name=self.training.network)
        condition = Condition(subject=subject, faults=self.faults, repair=AsItIs())

        def trials(seed: int, numbers: Sequence[int]) -> list[Outcome]:
            return list(Accuracy().count(condition, list(trials_of(seed, numbers))))

        return trials


def cifar10(train_images: int | None, test_images: int | None) -> tuple[Dataset, Dataset]:
    """Return the first so many images of both parts of CIFAR-10; None for all."""
    return (
        load_dataset("cifar10", "train", limit=train_images),
        load_dataset("cifar10", "test", limit=test_images),
    )


@dataclass(frozen=True, kw_only=True)
class FatBudget:
    """How much a study trains: networks, and the rate of each table's methods."""

    base: CnvTraining
    bits: tuple[tuple[int, int], ...]
    fat: Method
    rates: dict[tuple[str, int], tuple[float, ...]]
    test_images: int | None


def fat_budget(name: str) -> FatBudget:
    """Return a named budget: 'smoke' (a minute), 'cpu' (two cores, under 40 minutes), 'full' (the paper's).

    Short budgets use method 1 with a small rate: with method 2 most layers would see few epochs of errors.
    """
    if name == "full":
        rates = {
            ("fat-2", 2): (0.05, 0.10, 0.15),
            ("fat-2", 3): (0.025, 0.05),
            ("fat-2", 4): (0.025,),
            ("dropout2d", 3): (0.025,),
            ("dropout2d", 4): (0.025, 0.10),
        }
        bits = ((1, 1), (1, 2), (1, 3), (1, 4), (2, 2))
        return FatBudget(
            base=CnvTraining(recipe=FAT_RECIPE), bits=bits, fat="fat-2", rates=rates, test_images=None
        )
    base = CnvTraining(width=32, recipe=QUICK_QUANTIZED)
    if name == "smoke":
        base = replace(base, width=8, images=300, recipe=replace(QUICK_QUANTIZED, epochs=1))
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
    """Return the networks of Table 2, 3 or 4."""
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


@dataclass(frozen=True, kw_only=True)
class NetworkTasks:
    """What is made of one network: its right answers without faults, and under every single fault."""

    training: CnvTraining
    fault_free: Task
    stuck: Task


def network_tasks(table: int, settings: Settings) -> list[NetworkTasks]:
    """Return what is made of every network of a table."""
    budget = fat_budget(settings.budget)
    digests = [part.digest for part in cifar10(budget.base.images, budget.test_images)]
    found = []
    for training in table_trainings(table, budget, seed=settings.seed):
        geometry = cnv_geometry(training.weight_bits, training.activation_bits, training.width)
        model = stuck_units(training.unit, geometry)
        workload = TrainedCnv(
            training=training,
            faults=NoFaults(),
            test_images=budget.test_images,
            data=content_digest(tuple(digests)),
            folder=settings.folder,
            device=settings.device,
        )
        sticking = replace(workload, faults=model)
        found.append(
            NetworkTasks(
                training=training,
                fault_free=Task(workload=workload, trials=1, seed=settings.seed),
                stuck=Task(workload=sticking, trials=model.population(geometry), seed=settings.seed),
            )
        )
    return found


@lru_cache
def cnv_geometry(weight_bits: int, activation_bits: int, width: int) -> FinnGeometry:
    """Return the places for faults of a CNV, which its training does not change."""
    module = initialise(lambda: Cnv(weight_bits, activation_bits, width=width), 0)
    return FinnConfig().program(finn_graph(module.eval(), IMAGE)).geometry


def stuck_units(unit: Unit, geometry: FinnGeometry) -> SingleFaults:
    """Return the faults of a table: every channel, or every pixel of the larger feature maps."""
    if unit == "channel":
        return SingleFaults(unit)
    return SingleFaults(unit, layers=[i for i, layer in enumerate(geometry.layers) if layer.pixels > 1])
