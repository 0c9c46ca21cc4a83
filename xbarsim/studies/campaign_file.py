"""A campaign's description: networks x accelerators x faults x methods x metrics, in TOML, YAML or Python.

A combination that makes no sense is left out (a crossbar network on a FINN accelerator, single faults on
crossbars, a test of a repaired chip); what would never be used at all is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from accel_models.reram.config import accelerator_presets
from networks.catalogue import network, networks
from networks.checkpoints import read_metadata
from networks.zoo import zoo, zoo_path
from xbarsim.campaigns.stopping import Precision, parse_precision
from xbarsim.campaigns.task import MOST_TRIALS, Task
from xbarsim.errors import InputError, check_choice, check_int
from xbarsim.faults.pe import PeFaultKind
from xbarsim.faults.sampling import mix_presets
from xbarsim.metrics.planning import sample_size
from xbarsim.studies.single_faults import SingleFaults, single_faults
from xbarsim.studies.workloads import (
    METHODS,
    CellFaults,
    ChipAccuracy,
    ChipDetection,
    OnCrossbars,
    placed,
)

FINN = "finn"
METRICS = ("accuracy", "detection")
Rate = Annotated[float, Field(ge=0, le=1, strict=True), AfterValidator(abs)]  # -0.0 is 0.0
Count = Annotated[int, Field(ge=1, le=10**9, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def _each(what: str, names: tuple[str, ...], known: Iterable[str]) -> tuple[str, ...]:
    for name in names:
        check_choice(what, name, known)
    return names


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkChoice(_Strict):
    """A trained network.

    Parameters
    ----------
    name : as `xbarsim networks` lists it, or of a checkpoint of the zoo
    weights : checkpoint; by default the one of the zoo. For FINN also a board's folder or a QONNX file
    """

    name: Name
    weights: Path | None = None

    @field_validator("weights", mode="before")
    @classmethod
    def _weights(cls, value: Any) -> Any:
        if value == "":
            raise InputError("weights", "a checkpoint, folder or QONNX file", "''")
        return value

    @property
    def path(self) -> Path:
        """The file or folder with its weights."""
        return zoo_path(self.name) if self.weights is None else self.weights

    @property
    def for_finn(self) -> bool:
        """Whether it has quantized layers."""
        if self.path.is_dir() or self.path.suffix == ".onnx":
            return True
        return network(self.architecture).quantized

    @property
    def architecture(self) -> str:
        """The catalogue's name: what a checkpoint says, or else `name`."""
        return read_metadata(self.path).get("network", self.name)

    @model_validator(mode="after")
    def _known(self) -> NetworkChoice:
        if self.weights is None:
            check_choice("network without weights", self.name, zoo())
        elif not self.weights.exists():
            raise InputError(str(self.weights), "a checkpoint, folder or QONNX file", "nothing there")
        elif (
            self.weights.suffix == ".safetensors"
            and self.name in networks()
            and ((found := self.architecture) != self.name)
        ):
            raise InputError(str(self.weights), f"weights of {self.name}", f"weights of {found}")
        return self


class Cells(_Strict):
    """Faulty cells of crossbars, drawn for every chip."""

    model: Literal["cells"]
    rates: Annotated[tuple[Rate, ...], Field(min_length=1)]
    mix: str = "even"

    @field_validator("mix")
    @classmethod
    def _mix(cls, value: str) -> str:
        return check_choice("mix", value, mix_presets())


class Single(_Strict):
    """Single permanent faults of a FINN design: all of them, or a sample with a margin of error."""

    model: Literal["single"]
    kinds: Annotated[tuple[str, ...], Field(min_length=1)] = ("channel",)
    margin: Annotated[float, Field(gt=0, lt=1, strict=True)] | None = None
    confidence: Annotated[float, Field(gt=0, lt=1, strict=True)] = 0.95

    @field_validator("kinds")
    @classmethod
    def _kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each("kind", value, PeFaultKind.__members__)


class CampaignFile(_Strict):
    """A campaign.

    Parameters
    ----------
    trials : faulty chips a point, or the most that a stopping rule may take; single faults know their own
    until : stopping rule, as in 'accuracy ± 0.5 % at 95 %'
    images : test images; None for all
    methods : what is done to a faulty chip before it is measured: 'none', 'closest', 'retrain'
    metrics : 'accuracy', 'detection' (adversarial patterns)
    """

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 1
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS, strict=True)] = 100
    until: str | None = None
    images: Count | None = None
    networks: Annotated[tuple[NetworkChoice, ...], Field(min_length=1)]
    accelerators: Annotated[tuple[str, ...], Field(min_length=1)]
    faults: Annotated[
        tuple[Annotated[Cells | Single, Field(discriminator="model")], ...], Field(min_length=1)
    ]
    methods: Annotated[tuple[str, ...], Field(min_length=1)] = ("none",)
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = ("accuracy",)
    patterns: Count = 10
    epochs: Count = 1
    train_images: Count | None = None

    @field_validator("networks", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("accelerators")
    @classmethod
    def _accelerators(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each("accelerator", value, (*accelerator_presets(), FINN))

    @field_validator("methods")
    @classmethod
    def _methods(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each("method", value, METHODS)

    @field_validator("metrics")
    @classmethod
    def _metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each("metric", value, METRICS)

    @field_validator("until")
    @classmethod
    def _until(cls, value: str | None) -> str | None:
        if value is not None:
            stopping_rule(value)
        return value


def stopping_rule(text: str, metrics: Iterable[str] = METRICS) -> Precision:
    """A stopping rule for one of these metrics."""
    rule = parse_precision(text)
    check_choice("metric of the stopping rule", rule.metric, metrics)
    return rule


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The tasks of a campaign; `populations` are the sizes of the fault lists that are sampled, by key."""

    name: str
    tasks: tuple[Task, ...]
    precision: Precision | None
    populations: dict[str, int]

    @property
    def metrics(self) -> tuple[str, ...]:
        """What its tasks measure."""
        return tuple(dict.fromkeys(str(task.workload.describe()["metric"]) for task in self.tasks))


def plan(campaign: CampaignFile) -> Plan:
    """Every combination as a task. Loads networks and images, so that mistakes show before a trial is made.

    Raises
    ------
    InputError : a network or a fault model that no combination uses, bad weights.
    """
    tasks: dict[str, Task] = {}
    populations: dict[str, int] = {}
    used: set[object] = set()
    for choice, name, faults in product(campaign.networks, campaign.accelerators, campaign.faults):
        finn = name == FINN
        if choice.for_finn != finn or isinstance(faults, Single) != finn:
            continue
        used |= {choice, name, faults}
        if isinstance(faults, Single):
            used |= {"none", "accuracy"}
            workload = single_faults(choice.path, faults.kinds, campaign.images)
            task = Task(workload=workload, trials=_sampled(workload, faults), seed=campaign.seed)
            tasks[task.key], populations[task.key] = task, workload.population
            continue
        subject = placed(choice.architecture, choice.path, name, campaign.images)
        for chips in _on_crossbars(campaign, subject, faults):
            task = Task(workload=chips, trials=campaign.trials, seed=campaign.seed)
            tasks[task.key] = task
            used |= {chips.method, chips.metric}
    hardware = (*campaign.networks, *campaign.accelerators, *campaign.faults)
    for what in (*hardware, *campaign.methods, *campaign.metrics):
        if what not in used:
            expected = "networks, accelerators, faults, methods and metrics that go together"
            remedy = (
                "finn takes quantized networks and single faults, crossbars take cells; tests take 'none'"
            )
            shown = getattr(what, "name", None) or getattr(what, "model", None) or what
            raise InputError(f"campaign {campaign.name!r}", expected, f"no use for {shown!r}", remedy)
    found = Plan(name=campaign.name, tasks=tuple(tasks.values()), precision=None, populations=populations)
    if campaign.until is None:
        return found
    return replace(found, precision=stopping_rule(campaign.until, found.metrics))


def _sampled(workload: SingleFaults, faults: Single) -> int:
    if faults.margin is None:
        return workload.population
    return sample_size(workload.population, margin=faults.margin, confidence=faults.confidence)


def _on_crossbars(
    campaign: CampaignFile, subject: OnCrossbars, faults: Cells
) -> Iterator[ChipAccuracy | ChipDetection]:
    for metric, method, rate in product(campaign.metrics, campaign.methods, faults.rates):
        cells = CellFaults(rate=rate, mix=faults.mix)
        if metric == "accuracy":
            yield ChipAccuracy(
                subject=subject, faults=cells, method=method, epochs=campaign.epochs,  # type: ignore[arg-type]
                train_images=campaign.train_images,
            )  # fmt: skip
        elif method == "none":
            check_int("patterns", campaign.patterns, 1, subject.images, "there are no more test images")
            yield ChipDetection(subject=subject, faults=cells, patterns=campaign.patterns)
