"""A campaign's description: networks x accelerators x faults x repairs x measures, in TOML, YAML or Python.

Words are those of the command line. A combination that makes no sense is left out (quantized networks on
crossbars, faults of other hardware, a test of a repaired chip); what would never be used is refused.
The description is data: 'file.py:function' is called only if that file was named as code beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from xbarsim.campaigns.stopping import Precision, parse_precision
from xbarsim.campaigns.task import MOST_TRIALS, Task
from xbarsim.chip import FaultModel, Repair
from xbarsim.code import is_code
from xbarsim.errors import InputError, check_choice
from xbarsim.experiments.experiment import grid
from xbarsim.experiments.measures import Accuracy, Detection, Measure
from xbarsim.experiments.references import SubjectReference, accelerator_from
from xbarsim.faults.places import NoFaults, is_of
from xbarsim.hints import checked
from xbarsim.limits import check_memory
from xbarsim.metrics.planning import sample_size
from xbarsim.programs import fits
from xbarsim.registry import detectors, fault_models, repairs
from xbarsim.repair.nothing import AsItIs
from xbarsim.subject import Subject

METRICS = ("accuracy", "detection")
SAMPLING = ("margin", "confidence")
TASK_BYTES = 10_000  # of a task with its description, generously
Count = Annotated[int, Field(ge=1, le=10**9, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[tuple[Name, ...], Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkChoice(_Strict):
    """A trained network.

    Parameters
    ----------
    name : of the catalogue or of a checkpoint of the zoo, a file, or file.py:function; see
        `xbarsim.experiments.references`
    weights : a checkpoint for it
    data : what it is tested and trained on, by default its own
    label : what tables call it
    """

    name: Name
    weights: Path | None = None
    data: Name | None = None
    label: Name | None = None

    @field_validator("weights", mode="before")
    @classmethod
    def _weights(cls, value: Any) -> Any:
        if value == "":
            raise InputError("weights", "a checkpoint", "''")
        return value


class FaultsChoice(BaseModel):
    """A fault model by name, with its fields; a field with a list of values makes a model of each.

    Parameters
    ----------
    margin, confidence : of a model that lists its faults: the sample that gives a share of them this exactly,
        instead of all of them
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Name
    margin: Share | None = None
    confidence: Share = 0.95

    @model_validator(mode="after")
    def _known(self) -> FaultsChoice:
        check_choice("fault model", self.name, fault_models.names)
        if "confidence" in self.model_fields_set and self.margin is None:
            raise InputError("confidence", "margin beside it", "none")
        self.models()
        return self

    @property
    def count(self) -> int:
        """Number of models, before they are made."""
        return prod(len(values) for values in self._spread.values())

    def models(self) -> list[FaultModel]:
        """Return the models."""
        check_memory(f"fault model {self.name}", TASK_BYTES * self.count, f"{self.count:,} combinations")
        spread = self._spread
        plain = {name: value for name, value in (self.__pydantic_extra__ or {}).items() if name not in spread}
        found = []
        for chosen in product(*spread.values()):
            own = plain | dict(zip(spread, chosen, strict=True))
            found.append(fault_models.make(self.name, own, strict=True))
        if not found:
            raise InputError(f"fault model {self.name}", "at least one value in every list", "none")
        return found

    @property
    def _spread(self) -> dict[str, Any]:
        """The fields that have several values."""
        values = self.__pydantic_extra__ or {}
        return {name: value for name, value in values.items() if self._spreads(name, value)}

    def _spreads(self, name: str, value: Any) -> bool:
        """Whether a list is several values of a field, and not one value of a field that is a list."""
        if not isinstance(value, (list, tuple)):
            return False
        of_lists = bool(value) and isinstance(value[0], (list, tuple))
        return of_lists or name not in fault_models.list_fields(self.name)


class CampaignFile(_Strict):
    """A campaign.

    Parameters
    ----------
    trials : faulty chips a point, or the most that a stopping rule may take; listed faults know their own
    until : stopping rule, as in 'accuracy ± 0.5 % at 95 %'
    images : test images; None for all
    accelerators, repairs, detectors : by name, perhaps with fields: 'retrain:epochs=3'; an accelerator also
        as a TOML file or file.py:function
    measures : 'accuracy', and 'detection' if there are detectors
    """

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 1
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS, strict=True)] = 100
    until: str | None = None
    images: Count | None = None
    networks: Annotated[tuple[NetworkChoice, ...], Field(min_length=1)]
    accelerators: Words
    faults: Annotated[tuple[FaultsChoice, ...], Field(min_length=1)]
    repairs: Words = ("as-it-is",)
    measures: Annotated[tuple[Literal["accuracy", "detection"], ...], Field(min_length=1)] | None = None
    detectors: Words | None = None

    @field_validator("networks", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return _objects(value)

    @field_validator("faults", mode="before")
    @classmethod
    def _faults_by_name(cls, value: Any) -> Any:
        return _objects(value)

    @field_validator("repairs")
    @classmethod
    def _repairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for words in value:
            repairs.parse(words)
        return value

    @field_validator("detectors")
    @classmethod
    def _detectors(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for words in value or ():
            detectors.parse(words)
        return value

    @field_validator("until")
    @classmethod
    def _until(cls, value: str | None) -> str | None:
        if value is not None:
            stopping_rule(value)
        return value

    def chosen_measures(self) -> list[Measure]:
        """Return what is counted.

        Raises
        ------
        InputError : detectors that no measure uses.
        """
        named = self.measures or (("accuracy", "detection") if self.detectors else ("accuracy",))
        if self.detectors and "detection" not in named:
            raise InputError("detectors", "the measure 'detection' beside them", ", ".join(named))
        found: list[Measure] = [Accuracy()] if "accuracy" in named else []
        if "detection" in named:
            found += [
                Detection(detector=detectors.parse(words)) for words in self.detectors or ("adversarial",)
            ]
        return found


def _objects(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [{"name": item} if isinstance(item, str) else item for item in value]
    return value


def stopping_rule(text: str, metrics: Iterable[str] = METRICS) -> Precision:
    """Read a stopping rule for one of these metrics."""
    rule = parse_precision(text)
    check_choice("metric of the stopping rule", rule.metric, metrics)
    return rule


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The tasks of a campaign; `populations` are the sizes of the fault lists that are sampled, by key."""

    name: str
    tasks: tuple[Task, ...]
    precision: Precision | None
    populations: Mapping[str, int]

    @property
    def metrics(self) -> tuple[str, ...]:
        """What its tasks measure."""
        return tuple(dict.fromkeys(str(task.workload.describe()["metric"]) for task in self.tasks))


@checked
def plan(campaign: CampaignFile, *, code: Sequence[Path] = ()) -> Plan:
    """Make a task of every combination. Networks and data are loaded, so that mistakes show before a trial.

    Parameters
    ----------
    code : Python files that the description may call functions of

    Raises
    ------
    InputError : what no combination uses, bad weights, code that was not named.
    """
    _check_code(campaign, code)
    _check_number(campaign)
    used: set[str] = set()
    tasks: dict[str, Task] = {}
    populations: dict[str, int] = {}
    for subject, parts in _subjects(campaign):
        for choice, model in _faults(campaign, subject):
            used |= {*parts, _of_faults(choice)}
            for measure, repair, words in _done(campaign, subject):
                for task in _tasks(campaign, subject, choice, model, measure, repair):
                    used |= words
                    tasks[task.key] = task
                    if (known := getattr(model, "population", None)) is not None:
                        populations[task.key] = known(subject.chip.geometry)
    _check_used(campaign, used)
    found = Plan(name=campaign.name, tasks=tuple(tasks.values()), precision=None, populations=populations)
    if campaign.until is None:
        return found
    return replace(found, precision=stopping_rule(campaign.until, found.metrics))


def _check_number(campaign: CampaignFile) -> None:
    """Refuse more combinations than fit; what does not fit together is not taken off."""
    models = sum(choice.count for choice in campaign.faults)
    hardware = len(campaign.networks) * len(campaign.accelerators)
    count = hardware * models * len(campaign.chosen_measures()) * len(campaign.repairs)
    check_memory(f"campaign {campaign.name!r}", TASK_BYTES * count, f"{count:,} combinations")


def _check_code(campaign: CampaignFile, code: Sequence[Path]) -> None:
    known = {os.path.realpath(file) for file in code}
    words = [*(w for choice in campaign.networks for w in (choice.name, choice.data)), *campaign.accelerators]
    for word in words:
        if word is not None and is_code(word) and os.path.realpath(word.rpartition(":")[0]) not in known:
            remedy = "name the file as code beside the description, if you trust it"
            raise InputError(f"campaign {campaign.name!r}", "no code that was not named", repr(word), remedy)


def _subjects(campaign: CampaignFile) -> Iterator[tuple[Subject, set[str]]]:
    named = {words: accelerator_from(words) for words in campaign.accelerators}
    for choice in campaign.networks:
        reference = SubjectReference(
            network=choice.name, accelerator=next(iter(named.values())), weights=choice.weights,
            data=choice.data, images=campaign.images, name=choice.label,
        )  # fmt: skip
        loaded, base = reference.load(), None
        for words, accelerator in named.items():
            if not fits(loaded.network, accelerator):
                continue
            if base is None:  # the one whose contents the others share, here and in workers
                subject = base = loaded.on(accelerator, source=replace(reference, accelerator=accelerator))
            else:
                subject = base.on(accelerator)
            yield subject, {f"network {choice.name}", f"accelerator {words}"}


def _faults(campaign: CampaignFile, subject: Subject) -> Iterator[tuple[FaultsChoice, FaultModel]]:
    for choice in campaign.faults:
        for model in choice.models():
            if is_of(model, subject.chip.geometry):
                yield choice, model


def _done(campaign: CampaignFile, subject: Subject) -> Iterator[tuple[Measure, Repair, set[str]]]:
    for measure, words in product(campaign.chosen_measures(), campaign.repairs):
        repair = repairs.parse(words)
        if isinstance(measure, Accuracy) or (isinstance(repair, AsItIs) and measure.fits(subject)):
            yield measure, repair, {f"repair {words}", f"measure {measure.metric}"}


def _tasks(
    campaign: CampaignFile,
    subject: Subject,
    choice: FaultsChoice,
    model: FaultModel,
    measure: Measure,
    repair: Repair,
) -> list[Task]:
    trials = campaign.trials
    if (known := getattr(model, "population", None)) is not None:
        size = known(subject.chip.geometry)
        trials = size if choice.margin is None else sample_size(
            size, margin=choice.margin, confidence=choice.confidence
        )  # fmt: skip
    elif choice.margin is not None:
        raise InputError("margin", "a model that lists its faults", choice.name, "leave it out")
    return grid(measure, subjects=subject, faults=model, repairs=repair, trials=trials, seed=campaign.seed)


def _of_faults(choice: FaultsChoice) -> str:
    return f"fault model {choice.model_dump_json()}"


def _check_used(campaign: CampaignFile, used: set[str]) -> None:
    wanted = {
        **{f"network {choice.name}": choice.name for choice in campaign.networks},
        **{f"accelerator {words}": words for words in campaign.accelerators},
        **{_of_faults(choice): choice.name for choice in campaign.faults if not _is_none(choice)},
        **{f"repair {words}": words for words in campaign.repairs},
        **{f"measure {measure.metric}": measure.metric for measure in campaign.chosen_measures()},
    }
    for what, words in wanted.items():
        if what not in used:
            expected = "networks, accelerators, faults, repairs and measures that go together"
            remedy = "quantized networks go on finn, others on crossbars; faults are of the hardware's kind"
            raise InputError(f"campaign {campaign.name!r}", expected, f"no use for {words!r}", remedy)


def _is_none(choice: FaultsChoice) -> bool:
    return isinstance(choice.models()[0], NoFaults)
