"""A subject's fault-free chip in numbers, for tables and figures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import nn

from accel_models.reram.analog import AnalogChip
from accel_models.reram.chip import ReramChip
from xbarsim.chip import Varied
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.latency import ADDRESSING, chip_march_latency_ns
from xbarsim.documents import plain
from xbarsim.faults.kinds import CellGeometry
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.subject import Subject
from xbarsim.training.loop import accuracy

MARCH = "March C-"


def subject_facts(subject: Subject) -> dict[str, Any]:
    """Return counts of the float network and of the fault-free chip, its size, and what an inference takes.

    Computed once a subject. `agreeing` counts the images on which the chip's class is the integer graph's:
    all of them, where no column clips its ADC.
    """
    return subject.once("facts", lambda: _facts(subject))


def _facts(subject: Subject) -> dict[str, Any]:
    chip, test = subject.chip, subject.test
    run = getattr(chip, "digital", chip).run(test.images)  # of chips that differ, what they all aim at
    one = chip.cost(1)
    found: dict[str, Any] = {
        "healthy_hits": run.hits(test.labels),
        "shots": len(test),
        "varied": isinstance(chip, Varied),
        "resources": {name: value for name, value in chip.resources.items() if math.isfinite(value)},
    }
    if math.isfinite(one.latency_ns):
        found["latency_ns"] = one.latency_ns
    if math.isfinite(one.energy_pJ):
        found["energy_nJ"] = one.energy_pJ / 1e3
    if isinstance(subject.network, nn.Module):
        found["float_hits"] = accuracy(subject.module, test.images, test.labels)[0]
    if isinstance(subject.integers, IntegerGraph):
        expected = subject.integers.run(test.images).argmax(axis=1)
        found["agreeing"] = int(np.count_nonzero(run.classes == expected))
    if isinstance(chip.geometry, CellGeometry):
        found["geometry"] = plain(chip.geometry)
    if isinstance(chip, (ReramChip, AnalogChip)):
        found["march_latency_ns"] = {mode: _march_ns(chip, mode) for mode in ADDRESSING}
    return found


def _march_ns(chip: Any, mode: str) -> float:
    return chip_march_latency_ns(chip, march_test(MARCH), mode, restore=True)
