"""Small ReRAM and analog chips for the contracts: chip, inputs, two fault maps, and one of another chip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accel_models.reram.analog import AnalogChip
from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.chip import ReramChip
from accel_models.reram.config import ReramConfig, isaac
from tests.contracts.case import Case
from xbarsim.crossbar.config import AdcConfig
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import FaultMix, sample_by_rate
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Flatten, Input, MatMul, Requantize
from xbarsim.graph.window import Window

ALL_KINDS = FaultMix(stuck_hrs=1, stuck_lrs=1, stuck_at=1, flip=1, step=1)


def reram_isaac() -> Case:
    """Arrays of few rows, whose ADC changes nothing."""
    return _parts(_arrays(8).program(graph()))


def reram_clipping() -> Case:
    """An ADC of four bits, which clips."""
    return _parts(_arrays(4).program(graph()))


def analog_ideal() -> Case:
    """Conductances that are what they should be."""
    return _parts(_analog("ideal").program(graph()))


def analog_noisy() -> Case:
    """Cells that differ, drift and are read with noise."""
    return _parts(_analog("hfo2-wan").program(graph()))


def graph(seed: int = 0) -> IntegerGraph:
    """(2, 6, 6) images of 8 bits: a convolution of two groups, which share an array, and two linear
    layers, 3 classes; weights of a seed.
    """
    rng = np.random.default_rng(seed)
    return IntegerGraph(
        (
            Input(name="x", bits=8, signed=False, fraction=8),
            _product(rng, "c", "x", 4, 2, Window(kernel=(2, 2), stride=(2, 2)), groups=2),
            Requantize(name="q", sources=("c",), shift=12, bits=8, signed=False),
            Flatten(name="f", sources=("q",)),
            _product(rng, "a", "f", 36, 12),
            Requantize(name="r", sources=("a",), shift=13, bits=8, signed=False),
            _product(rng, "b", "r", 12, 3),
        ),
        (2, 6, 6),
    )


def _product(
    rng: np.random.Generator,
    name: str,
    source: str,
    k: int,
    m: int,
    window: Window | None = None,
    groups: int = 1,
) -> MatMul:
    return MatMul(
        name=name,
        sources=(source,),
        weights=rng.integers(-(2**11), 2**11, (groups, k, m)),
        bias=rng.integers(-50, 50, groups * m),
        weight_fraction=11,
        input_bits=8,
        input_signed=False,
        window=window,
    )


def _arrays(adc_bits: int) -> ReramConfig:
    array = replace(isaac().array, rows=16, columns=32, adc=AdcConfig(bits=adc_bits))
    return replace(isaac(), name=f"small, {adc_bits}-bit ADC", array=array)


def _analog(device: str) -> AnalogConfig:
    return AnalogConfig(base=_arrays(8), device=device, age_s=100.0)


def _parts(chip: ReramChip | AnalogChip) -> Case:
    rng = np.random.default_rng(1)
    inputs = rng.random((6, *chip.input_shape))
    a, b = (sample_by_rate(chip.geometry, rate, mix=ALL_KINDS, rng=rng) for rate in (0.02, 0.05))
    elsewhere = FaultMap.of(CellGeometry(arrays=1), array=0, row=0, column=0, kind="stuck_lrs")
    return Case(chip=chip, inputs=inputs, first=a, second=b, elsewhere=elsewhere)
