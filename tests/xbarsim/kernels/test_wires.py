"""The elimination of one array behind resistive wires equals the dense nodal solution."""

import numpy as np
import pytest

from tests.twins.crossbar import nodal_matrix
from xbarsim.crossbar.parasitic import Wires
from xbarsim.kernels.wires import effective_matrix


@pytest.mark.parametrize("seed", range(20))
def test_currents_for_one_volt_are_those_of_the_nodal_equations(seed):
    rng = np.random.default_rng(seed)
    g_uS = np.exp(rng.uniform(np.log(0.5), np.log(500), rng.integers(1, 9, 2)))
    word, bit, source, sense = np.exp(rng.uniform(np.log(0.01), np.log(1e4), 4))
    wires = Wires(word_ohm=word, bit_ohm=bit, source_ohm=source, sense_ohm=sense)
    columns = np.ascontiguousarray(g_uS.T) * 1e-6
    found = effective_matrix(columns, word, bit, source, sense)
    np.testing.assert_allclose(found.T * 1e6, nodal_matrix(g_uS, wires), rtol=1e-9)


def test_perfect_wires_give_the_conductances_themselves():
    g = np.random.default_rng(0).uniform(0.5e-6, 500e-6, (5, 7))
    np.testing.assert_array_equal(effective_matrix(g, 0.0, 0.0, 0.0, 0.0), g)


def test_cells_that_do_not_conduct_carry_nothing():
    g = np.random.default_rng(0).uniform(0.5e-6, 500e-6, (4, 6))
    g[:, 2] = 0
    assert not effective_matrix(g, 1.0, 2.0, 3.0, 4.0)[:, 2].any()
