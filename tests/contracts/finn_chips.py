"""Small FINN chips for the contracts."""

from __future__ import annotations

import numpy as np

from accel_models.finn.chip import FinnChip
from accel_models.finn.config import FinnConfig
from tests.contracts.case import Case
from tests.helpers.finn_networks import small_network
from xbarsim.faults.pe import SHARED, PeFault, PeFaultKind, PeFaults, join
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Flatten, Input, MatMul, Requantize
from xbarsim.graph.window import Window


def finn_by_hand() -> Case:
    """A dataflow of convolutions on floats that bytes stand for."""
    return _finn(FinnConfig().program(small_network(np.random.default_rng(1), 2, 2)), seed=2)


def finn_loopback() -> Case:
    """The same on a shared array, some of whose PEs have no work in some layers."""
    accelerator = FinnConfig(name="shared", loopback=(9, 4))
    return _finn(accelerator.program(small_network(np.random.default_rng(3), 1, 2)), seed=4)


def finn_of_images() -> Case:
    """A graph with a convolution, whose signed inputs saturate."""
    return _finn(FinnConfig().program(image_graph(np.random.default_rng(5))), seed=6)


def finn_of_features() -> Case:
    """A graph of linear layers, whose inputs are no images, on a shared array."""
    graph = flat_graph(np.random.default_rng(7))
    return _finn(FinnConfig(loopback=(2, 3)).program(graph), seed=8)


def image_graph(rng: np.random.Generator) -> IntegerGraph:
    """(2, 6, 7) images of 5 signed bits: convolution, quantizer, linear layer of 5 classes."""
    return IntegerGraph(
        (
            Input(name="x", bits=5, signed=True, fraction=4),
            _product(rng, "c", "x", 18, 4, Window(kernel=(3, 3))),
            Requantize(name="q", sources=("c",), shift=4, bits=2, signed=False),
            Flatten(name="f", sources=("q",)),
            _product(rng, "fc", "f", 80, 5),
        ),
        (2, 6, 7),
    )


def flat_graph(rng: np.random.Generator) -> IntegerGraph:
    """(9,) features of 4 bits: three linear layers, 3 classes."""
    return IntegerGraph(
        (
            Input(name="x", bits=4, signed=False, fraction=4),
            _product(rng, "a", "x", 9, 6),
            Requantize(name="qa", sources=("a",), shift=3, bits=3, signed=False),
            _product(rng, "b", "qa", 6, 5),
            Requantize(name="qb", sources=("b",), shift=2, bits=3, signed=False),
            _product(rng, "c", "qb", 5, 3),
        ),
        (9,),
    )


def _product(
    rng: np.random.Generator, name: str, source: str, columns: int, rows: int, window: Window | None = None
) -> MatMul:
    return MatMul(
        name=name,
        sources=(source,),
        weights=rng.integers(-4, 4, (1, columns, rows)),
        bias=rng.integers(-3, 4, rows),
        weight_fraction=1,
        input_bits=8,
        input_signed=False,
        window=window,
    )


def _finn(chip: FinnChip, *, seed: int) -> Case:
    """Two permanent faults of a kind in the last layers; then two of a kind anywhere, some transient."""
    rng = np.random.default_rng(seed)
    inputs = rng.random((6, *chip.input_shape))
    own = [kind for kind in PeFaultKind if chip.shared is None or kind not in SHARED]
    last = len(chip.geometry.layers) - 1
    first = join([_some(chip.fault_list([kind], [last - 1, last]), rng) for kind in own])
    second = join([_some(chip.fault_list([kind]), rng) for kind in PeFaultKind])
    struck = np.where(rng.random(len(second)) < 0.5, -1, rng.integers(0, len(inputs), len(second)))
    nowhere = PeFault(kind=PeFaultKind.weight, layer=0, unit=10**6, word=0, bit=0, value=1)
    return Case(
        chip=chip,
        inputs=inputs,
        first=first,
        second=second.struck(struck),
        elsewhere=PeFaults.of([nowhere]),
    )


def _some(faults: PeFaults, rng: np.random.Generator) -> PeFaults:
    return faults.sample(2, rng) if len(faults) else faults
