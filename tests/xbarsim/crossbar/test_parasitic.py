"""Effective matrices behind resistive wires: the dense nodal solution, closed forms, limits, the cache."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.crossbar import nodal_matrix
from xbarsim.crossbar.parasitic import Wires, effective_conductances
from xbarsim.errors import InputError

OHMS = st.floats(0.01, 1e4)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    wires=st.builds(Wires, word_ohm=OHMS, bit_ohm=OHMS, source_ohm=OHMS, sense_ohm=OHMS),
)
def test_equals_the_dense_nodal_solution(rows, columns, seed, wires):
    g = np.exp(np.random.default_rng(seed).uniform(np.log(0.5), np.log(500), (rows, columns)))
    np.testing.assert_allclose(effective_conductances(g, wires), nodal_matrix(g, wires), rtol=1e-9)


def test_a_larger_array_equals_the_dense_nodal_solution():
    rng = np.random.default_rng(3)
    g = rng.choice([0.5, 167, 333, 500], (32, 48))
    wires = Wires(word_ohm=1, bit_ohm=1, source_ohm=10, sense_ohm=5)
    np.testing.assert_allclose(effective_conductances(g, wires), nodal_matrix(g, wires), rtol=1e-9)


def test_no_resistance_is_the_array_itself():
    g = np.random.default_rng(0).uniform(0.5, 500, (7, 5))
    np.testing.assert_array_equal(effective_conductances(g, Wires(word_ohm=0, bit_ohm=0)), g)
    nearly = effective_conductances(g, Wires(word_ohm=1e-9, bit_ohm=1e-9))
    np.testing.assert_allclose(nearly, g, rtol=1e-9)


@pytest.mark.parametrize("name", ["word_ohm", "bit_ohm", "source_ohm", "sense_ohm"])
def test_each_resistance_alone_is_the_limit_of_the_nodal_solution(name):
    """Exactly 0 elsewhere, which the nodal equations cannot express, against next to nothing there."""
    g = np.random.default_rng(1).uniform(0.5, 500, (6, 4))
    zero = dict.fromkeys(("word_ohm", "bit_ohm", "source_ohm", "sense_ohm"), 0.0)
    tiny = dict.fromkeys(zero, 1e-6)
    found = effective_conductances(g, Wires(**{**zero, name: 300.0}))
    np.testing.assert_allclose(found, nodal_matrix(g, Wires(**{**tiny, name: 300.0})), rtol=1e-5)
    assert (found <= g).all() and (found < g).any()


def test_single_cell_and_single_lines_in_closed_form():
    wires = Wires(word_ohm=7, bit_ohm=3, source_ohm=50, sense_ohm=20)
    (one,) = effective_conductances(np.array([[400.0]]), wires).ravel()
    assert one == pytest.approx(1e6 / (50 + 1e6 / 400 + 20), rel=1e-12)
    # one row, perfect bit lines: a ladder of shunts along the word line
    g = np.array([[100.0, 200.0, 300.0]])
    beyond2 = 300e-6
    beyond1 = 200e-6 + beyond2 / (1 + 7 * beyond2)
    beyond0 = 100e-6 + beyond1 / (1 + 7 * beyond1)
    v0 = 1 / (1 + 50 * beyond0)
    v1 = v0 / (1 + 7 * beyond1)
    v2 = v1 / (1 + 7 * beyond2)
    row = effective_conductances(g, Wires(word_ohm=7, bit_ohm=0, source_ohm=50))
    np.testing.assert_allclose(row, [[100 * v0, 200 * v1, 300 * v2]], rtol=1e-12)
    # one column, perfect word lines, sense amplifier only: cells share one resistor
    column = effective_conductances(g.T, Wires(word_ohm=0, bit_ohm=0, sense_ohm=20))
    np.testing.assert_allclose(column, g.T / (1 + 20 * 600e-6), rtol=1e-12)


def test_nearer_cells_lose_less():
    effective = effective_conductances(np.full((16, 16), 500.0), Wires(word_ohm=2, bit_ohm=2))
    assert (np.diff(effective, axis=1) < 0).all()  # along a word line, away from the driver
    assert (np.diff(effective, axis=0) > 0).all()  # along a bit line, towards the sense amplifier


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", None])
def test_wrong_resistances_are_refused(value):
    with pytest.raises(InputError, match=r"Wires\.bit_ohm"):
        Wires(bit_ohm=value)
