"""Floats beside the arrays, and the ways to integers and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbarsim.graph.beside import Dequantize, Float, Quantize, RawInput
from xbarsim.graph.grid import Grid


def quantize(**options):
    settings = {"scale": 0.5, "zero": 4, "bits": 4, "signed": False} | options
    return Quantize(name="q", sources=("x",), **settings)


def test_raw_inputs_and_operators_of_floats_have_no_grid():
    raw = RawInput(name="tokens", dtype="int64", shape=(5,))
    node = Float(name="f", sources=("x", "y"), function=np.add)
    x = np.linspace(-1, 1, 5)
    assert (node.forward(x, x) == 2 * x).all()
    assert raw.grid([]) is None and node.grid([None, None]) is None
    assert (raw.kind, node.kind) == ("input", "float")
    with pytest.raises(TypeError, match="RawInput is not a digital operator"):
        raw.forward(x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dequantizing_gives_what_the_integers_stand_for(dtype):
    scales, x = np.array([0.1, 0.2, 0.3]), np.arange(24).reshape(2, 3, 4)
    node = Dequantize(name="d", sources=("x",), source_scale=scales, source_zero=5, dtype=dtype)
    found = node.forward(x)
    assert found.dtype == dtype and node.grid([Grid(scale=scales)]) is None
    assert (found == ((x - 5) * scales[:, None]).astype(dtype)).all()
    last = Dequantize(name="d", sources=("x",), source_scale=scales, axis=-1, dtype=dtype)
    assert (last.forward(x.swapaxes(1, 2)) == (x.swapaxes(1, 2) * scales).astype(dtype)).all()


def test_quantizing_rounds_half_up_saturates_and_takes_nan_for_zero():
    numbers = np.array([0.0, 0.24, 0.25, -0.25, -0.26, 100, -100, np.inf, -np.inf, np.nan])
    assert quantize().forward(numbers).tolist() == [4, 4, 5, 4, 3, 15, 0, 15, 0, 4]
    assert quantize(zero=0, signed=True).forward(numbers).tolist() == [0, 0, 1, 0, -1, 7, -8, 7, -8, 0]
    assert (quantize().kind, quantize().grid([None]).zero) == ("float", 4)


@given(st.integers(0, 255), st.floats(1e-3, 1e3))
def test_integers_come_back(zero, scale):
    node = quantize(bits=8, zero=zero, scale=scale)
    back = Dequantize(name="d", source_scale=scale, source_zero=zero, dtype="float64")
    x = np.arange(256)
    assert (node.forward(back.forward(x)) == x).all() and not node.saturated(back.forward(x))


@pytest.mark.parametrize(
    ("meant", "count"), [((False, False), 5), ((True, False), 3), ((False, True), 2), ((True, True), 0)]
)
def test_what_lies_beyond_by_more_than_a_step_counts_where_it_is_not_meant(meant, count):
    # the range is -2..5.5; a step more is not counted, nor is what is no number
    numbers = np.array([-2.5, -2.6, -9.0, 5.5, 6.0, 6.1, 7.0, np.inf, np.nan, 0.0])
    assert quantize(meant=meant).saturated(numbers) == count
