"""What campaigns repeat on crossbars: faulty chips that are measured, tested or repaired.

Trial t of a seed is the same chip for every method and metric, so that their results can be compared pair by
pair, and it is the chip that `xbarsim simulate` draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isnan
from pathlib import Path
from typing import Any, Literal

import numpy as np

from accel_models.reram.chip import ReramChip
from accel_models.reram.config import accelerator
from accel_models.reram.many import CHIPS_AT_ONCE
from accel_models.reram.timing import inference_latency_ns
from xbarsim.campaigns.task import Outcome, TrialFunction, canonical
from xbarsim.chip import Run
from xbarsim.crossbar.closest import project_graph
from xbarsim.detection.adversarial import fires, pattern_sets
from xbarsim.detection.march.algorithms import march_test
from xbarsim.documents import plain
from xbarsim.errors import InputError
from xbarsim.experiments.trainings import data_hash
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.sampling import mix_presets, sample_trial
from xbarsim.metrics.corruption import softmax
from xbarsim.rng import stream
from xbarsim.studies.repair import RetrainSettings, repair_chip
from xbarsim.studies.workbench import Workbench, build_workbench

REVISION = 1  # one more whenever an unchanged description gives other counts
METHODS = ("none", "closest", "retrain")
DIGITS = 9  # of measured differences: what processors agree on


@dataclass(frozen=True, kw_only=True)
class OnCrossbars:
    """A trained network on a healthy accelerator, with the test images that it is measured on.

    Parameters
    ----------
    weights : checkpoint
    images : the first so many test images
    weights_digest, data_digest, training_digest : of what these names stood for when the campaign was
        planned, see `placed`
    """

    network: str
    weights: Path
    accelerator: str
    images: int
    weights_digest: str
    data_digest: str
    training_digest: str

    def describe(self) -> dict[str, Any]:
        """The entries of a task's description that say what faults strike."""
        hardware = canonical(plain(accelerator(self.accelerator)))
        return {
            "network": self.network,
            "weights": self.weights_digest,
            "data": self.data_digest,
            "images": self.images,
            "accelerator": self.accelerator,
            "hardware": hashlib.sha256(hardware.encode()).hexdigest()[:16],
            "revision": REVISION,
        }

    def bench(self) -> Workbench:
        """The network on its chip.

        Raises
        ------
        InputError : weights or images are no longer those of the plan.
        """
        if placed(self.network, self.weights, self.accelerator, self.images) != self:
            remedy = "plan the campaign again"
            raise InputError(str(self.weights), "weights and images as planned", "others", remedy)
        return _bench(self.network, self.weights, self.weights_digest, self.accelerator, self.images)


@lru_cache(maxsize=2)
def _bench(network: str, weights: Path, digest: str, name: str, images: int | None) -> Workbench:
    """The digest is there so that changed weights are read again."""
    return build_workbench(network, accelerator(name), weights=weights, images=images)


def placed(network: str, weights: Path, name: str, images: int | None) -> OnCrossbars:
    """A network on an accelerator as it is now, with its digests; None takes all test images."""
    digest = content_digest(weights)
    bench = _bench(network, weights.resolve(), digest, name, images)
    data, training = _data_digests(bench)
    return OnCrossbars(
        network=network,
        weights=weights.resolve(),
        accelerator=name,
        images=len(bench.test.labels),
        weights_digest=digest,
        data_digest=data,
        training_digest=training,
    )


@lru_cache(maxsize=4)
def _data_digests(bench: Workbench) -> tuple[str, str]:
    return data_hash(bench.test), data_hash(bench.train)


def content_digest(path: Path) -> str:
    """Sixteen digits of the SHA-256 of a file, or of the names and contents of a folder's files."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    digest = hashlib.sha256()
    for file in sorted(file for file in path.iterdir() if file.is_file()):
        digest.update(f"{file.name} {file.stat().st_size} ".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class CellFaults:
    """Faulty cells, drawn for every trial: each with probability `rate`, in the proportions of `mix`."""

    rate: float
    mix: str = "even"

    def describe(self) -> dict[str, Any]:
        """As in a task's description."""
        return {"model": "cells", "rate": self.rate, "mix": self.mix}

    def draw(self, chip: ReramChip, seed: int, trial: int) -> FaultMap:
        """The faults of a trial."""
        return sample_trial(chip.geometry, self.rate, mix=mix_presets()[self.mix], seed=seed, trial=trial)


@dataclass(frozen=True, kw_only=True)
class ChipAccuracy:
    """Right predictions of a faulty chip: as it is, or after a repair.

    Parameters
    ----------
    method : 'none'; 'closest' writes the closest values that its stuck cells can act as; 'retrain' trains
        around them. Both know the stuck cells as March C- finds them: exactly
    epochs, train_images : of 'retrain'
    """

    subject: OnCrossbars
    faults: CellFaults
    method: Literal["none", "closest", "retrain"] = "none"
    epochs: int = 1
    train_images: int | None = None

    metric = "accuracy"

    @property
    def batch(self) -> int:
        """Chips that are simulated together."""
        return CHIPS_AT_ONCE // 2 if self.method == "none" else 1

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        training: dict[str, Any] = {}
        if self.method == "retrain":
            data = self.subject.training_digest
            training = {"epochs": self.epochs, "images": self.train_images, "data": data}
        return {
            "metric": self.metric,
            "method": self.method,
            **({"training": training} if training else {}),
            **self.subject.describe(),
            "faults": self.faults.describe(),
        }

    def prepare(self) -> TrialFunction:
        """See `Workload`."""
        bench = self.subject.bench()

        def trials(seed: int, numbers: Sequence[int]) -> Sequence[Outcome] | Iterator[Outcome]:
            if self.method == "none":
                return self._as_they_are(bench, seed, numbers)
            return (self._repaired(bench, seed, number) for number in numbers)

        return trials

    def _as_they_are(self, bench: Workbench, seed: int, numbers: Sequence[int]) -> list[Outcome]:
        maps = [self.faults.draw(bench.chip, seed, number) for number in numbers]
        runs = bench.chip.run_each(maps, bench.test.images)
        return [_outcome(bench, *pair) for pair in zip(maps, runs, strict=True)]

    def _repaired(self, bench: Workbench, seed: int, number: int) -> Outcome:
        fault_map = self.faults.draw(bench.chip, seed, number)
        if self.method == "closest":
            known = fault_map.permanent.as_stuck_levels()
            masks = bench.chip.inject(known).training_masks()
            graph = project_graph(bench.chip.graph, bench.chip.config.array.format, masks)
            chip = bench.chip.inject(fault_map).update(graph)
            return _outcome(bench, fault_map, chip.run(bench.test.images))
        settings = RetrainSettings(epochs=self.epochs, images=self.train_images)
        march = march_test("March C-")
        repair, _ = repair_chip(bench, fault_map, seed=seed, trial=number, march=march, settings=settings)
        counts = {"stuck_cells": repair.stuck_cells, "update_bytes": repair.update_bytes}
        return Outcome(repair.shots, repair.hits_retrained, counts)

    def facts(self) -> dict[str, Any]:
        """What a report shows beside the trials: the healthy chip, its size, what a test of it takes."""
        return chip_facts(self.subject)


def _outcome(bench: Workbench, fault_map: FaultMap, run: Run) -> Outcome:
    counts = {"faults": len(fault_map), "used_faults": bench.chip.placement.used_faults(fault_map)}
    return Outcome(len(run.classes), run.hits(bench.test.labels), counts)


@dataclass(frozen=True, kw_only=True)
class ChipDetection:
    """Whether adversarial patterns call a faulty chip faulty (one shot), and how far answers moved.

    Counts: the same for original images, the criterion SDC-1 for both, and the largest change of a top
    confidence. A rate of 0 counts false alarms.
    """

    subject: OnCrossbars
    faults: CellFaults
    patterns: int = 10

    batch, method, metric = 1, "none", "detection"

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        test = {"patterns": self.patterns, "criterion": "SDC-3%"}
        return {
            "metric": self.metric,
            "method": self.method,
            "test": test,
            **self.subject.describe(),
            "faults": self.faults.describe(),
        }

    def prepare(self) -> TrialFunction:
        """See `Workload`."""
        bench = self.subject.bench()
        sets = pattern_sets(
            bench.module,
            bench.test.images,
            bench.test.labels,
            epsilon=bench.entry.epsilon,
            value_range=bench.test.value_range,
        )

        def trials(seed: int, numbers: Sequence[int]) -> Iterator[Outcome]:
            for number in numbers:
                chip = bench.chip.inject(self.faults.draw(bench.chip, seed, number))
                pool = stream(seed, "patterns", number)
                chosen = pool.choice(len(sets[0].images), self.patterns, replace=False)
                counts: dict[str, float] = {}
                for part in (one.take(chosen) for one in sets):
                    answers = chip.run(part.images).scores
                    fired = fires(part, answers)
                    moved = softmax(answers).max(axis=1) - softmax(part.logits).max(axis=1)
                    counts[f"{part.name}_sdc_1"] = int(fired["SDC-1"].any())
                    counts[f"{part.name}_sdc_3"] = int(fired["SDC-3%"].any())
                    counts[f"{part.name}_moved"] = round(float(np.abs(moved).max()), DIGITS)
                yield Outcome(1, int(counts["adversarial_sdc_3"]), counts)

        return trials

    def facts(self) -> dict[str, Any]:
        """As `ChipAccuracy`, with the latency of the patterns."""
        bench = self.subject.bench()
        latency = inference_latency_ns(bench.chip.loads, bench.chip.config, self.patterns)
        return {**chip_facts(self.subject), "patterns_latency_ns": latency}


@lru_cache(maxsize=8)
def chip_facts(subject: OnCrossbars) -> dict[str, Any]:
    """A healthy chip in numbers, for reports."""
    from xbarsim.studies.detection import compare_latency

    bench = subject.bench()
    chip, placement = bench.chip, bench.chip.placement
    run = chip.run(bench.test.images)
    energy_nJ = run.cost.energy_pJ / 1e3 / len(run.classes)
    march = compare_latency(bench, march_test("March C-"), patterns=1, restore=True)
    return {
        "healthy_hits": run.hits(bench.test.labels),
        "shots": len(run.classes),
        "arrays": placement.arrays,
        "geometry": plain(chip.geometry),
        "latency_ns": inference_latency_ns(chip.loads, chip.config, 1),
        "energy_nJ": None if isnan(energy_nJ) else energy_nJ,
        "march_latency_ns": {row.model: row.latency_ns for row in march if row.test == "March C-"},
    }
