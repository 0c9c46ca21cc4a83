"""A small network with grouped and depthwise layers, made by hand, on arrays that their groups share."""

from dataclasses import replace

import numpy as np

from accel_models.reram.config import accelerator
from xbarsim.crossbar.config import AdcConfig
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Flatten, Input, MatMul, Requantize
from xbarsim.graph.window import Window

PADDED = Window(kernel=(2, 2), padding=((1, 0), (1, 0)))


def grouped_graph(seed: int = 0) -> IntegerGraph:
    """(4, 3, 3) images of 8 bits: two groups, eight filters in groups of one, a linear layer; 3 classes."""
    rng = np.random.default_rng(seed)
    return IntegerGraph(
        (
            Input(name="x", bits=8, signed=False, fraction=8),
            _layer(rng, "pairs", "x", (2, 8, 4), PADDED),
            Requantize(name="q", sources=("pairs",), shift=10, bits=8, signed=False),
            _layer(rng, "depthwise", "q", (8, 4, 1), PADDED),
            Requantize(name="r", sources=("depthwise",), shift=10, bits=8, signed=False),
            Flatten(name="f", sources=("r",)),
            _layer(rng, "last", "f", (1, 72, 3)),
        ),
        (4, 3, 3),
    )


def small_arrays(name="isaac", *, adc_bits=8, rows=20, columns=64):
    """A preset with smaller arrays: of `pairs` both groups share one, of `depthwise` up to five."""
    config = accelerator(name)
    array = replace(config.array, rows=rows, columns=columns, adc=AdcConfig(bits=adc_bits), input_bits=8)
    return replace(config, array=array)


def _layer(rng, name, source, shape, window=None):
    return MatMul(
        name=name,
        sources=(source,),
        weights=rng.integers(-(2**11), 2**11, shape),
        bias=rng.integers(-50, 50, shape[0] * shape[2]),
        weight_fraction=11,
        input_bits=8,
        input_signed=False,
        window=window,
    )
