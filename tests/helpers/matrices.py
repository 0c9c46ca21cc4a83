"""Matrices on analog crossbars, and array configurations of every kind."""

import numpy as np
from hypothesis import strategies as st

from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.analog import analog_matrix
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.matrix import program_groups


def matrix_of(rng, config, shape, *, groups=1, spread=0.0, uniform=0.0, per_cell=0.0):
    """A programmed matrix as conductances with errors of `spread` levels, and read variances.

    `shape` is (K, M) of one group.
    """
    form = config.format
    weights = rng.integers(form.low, form.high, (groups, *shape), endpoint=True)
    digital = program_groups(weights, config)
    blocks = []
    for block in range(len(digital.inversion)):
        words = digital.held[block * config.rows : (block + 1) * config.rows]
        values = np.stack([form.level(words, d) for d in range(form.digits)]).astype(np.float32)
        values += np.float32(spread) * rng.standard_normal(values.shape, np.float32)
        variance = (per_cell * rng.random(values.shape)).astype(np.float32) if per_cell else uniform
        blocks.append((values, variance))
    analog = analog_matrix(
        config, digital.inversion, digital.shape, blocks, largest_variance=per_cell, groups=groups
    )
    return digital, analog


@st.composite
def analog_configurations(draw):
    encoding = draw(st.sampled_from(["offset", "twos_complement", "differential"]))
    cell_bits = 1 if encoding == "twos_complement" else draw(st.integers(1, 4))
    input_bits = draw(st.integers(1, 16))
    full_range = draw(st.none() | st.just("array") | st.integers(1, 600))
    return ArrayConfig(
        rows=draw(st.sampled_from([1, 5, 66, 128])),
        format=WeightFormat(weight_bits=draw(st.integers(2, 16)), cell_bits=cell_bits, encoding=encoding),
        inverted_storage=draw(st.booleans()),
        adc=AdcConfig(bits=draw(st.integers(1, 12)), full_range=full_range),
        dac_bits=draw(st.integers(1, min(3, input_bits))),
        input_bits=input_bits,
    )
