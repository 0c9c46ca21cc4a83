"""One pass from floats to integers and back, and through tables, gives what the nodes define."""

import numpy as np
import pytest

from xbarsim.graph.beside import Dequantize, Quantize
from xbarsim.graph.digital import Table
from xbarsim.kernels.elementwise import dequantize, look_up, quantize
from xbarsim.kernels.rounding import Limits

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("zero", [0, 100])
def test_floats_become_the_nearest_integers(kind, zero):
    ends = [np.nan, np.inf, -np.inf]
    x = np.concatenate([RNG.normal(size=5000) * 2, np.arange(-9, 9) / 8, ends]).astype(kind)
    node = Quantize(name="q", sources=("x",), scale=0.0131, zero=zero, bits=8)
    found, outside = quantize(x, node.scale, node.zero, Limits(0, 255, -1, 256))
    assert (found == node.forward(x)).all()
    assert outside == node.saturated(x)


@pytest.mark.parametrize("channels", [1, 5])
def test_integers_become_the_numbers_that_they_stand_for(channels):
    x = RNG.integers(-(2**24), 2**24, (3000, 5))
    scale = RNG.random(channels) if channels > 1 else 0.37
    node = Dequantize(name="d", sources=("x",), source_scale=scale, source_zero=7)
    found = dequantize(x.astype(np.float32), np.atleast_1d(scale), np.array([-7.0]))
    assert found.dtype == np.float32 and (found == node.forward(x)).all()


def test_values_are_looked_up():
    table = RNG.integers(-(2**15), 2**15, 256)
    x = RNG.integers(-128, 128, 9000)
    node = Table(name="t", sources=("x",), table=table, low=-128, scale=1.0)
    assert (look_up(x.astype(np.float32), table.astype(np.float32), -128) == node.forward(x)).all()
