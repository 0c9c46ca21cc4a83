"""The linear network of one array behind resistive wires, eliminated exactly, column by column.

Bit lines are ladders: the currents of a column's cells for given voltages of its word-line nodes follow from
continued fractions. Word lines couple neighbouring columns only, so the nodal equations are block tridiagonal
with one dense block a column, and one sweep from the far end factorizes them. No resistance is divided
by, so any of them may be 0.

Slow, obvious twin: ``tests/twins/crossbar.py``, `nodal_matrix`.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def effective_matrix(g, word, bit, source, sense):  # type: ignore[no-untyped-def]
    """Return (columns, rows) float64: bit-line currents for one volt at each driver.

    Parameters
    ----------
    g : (columns, rows) float64 conductances, C-contiguous; row 0 is furthest from the sense amplifiers
    word, bit : resistance of a segment of a word line, of a bit line
    source, sense : resistance before the first column, behind the last row
    """
    columns, rows = g.shape
    load = np.empty((rows, rows))  # currents of a column's cells for voltages of its word-line nodes
    seen = np.zeros((rows, rows))  # what a word-line node sees of the columns beyond
    currents = np.zeros((columns, rows))  # of the columns so far, for voltages of the present nodes
    for column in range(columns - 1, -1, -1):
        _bit_line(g[column], bit, sense, load)
        for k in range(rows):
            currents[column, k] = load[k].sum()
        seen += load
        ohm = word if column else source
        if ohm > 0:
            passed = _inverse_of_one_plus(ohm, seen)
            currents[column:] = np.dot(currents[column:], passed)
            seen = np.dot(seen, passed)
    return currents


@njit(cache=True, nogil=True, error_model="numpy")
def _bit_line(g, segment, sense, response):  # type: ignore[no-untyped-def]
    """Fill the symmetric response[i, k]: current through cell i for one volt at cell k's word-line node."""
    n = len(g)
    far, near = np.zeros(n), np.zeros(n)  # admittance towards the open end, impedance towards ground
    for i in range(1, n):
        beyond = far[i - 1] + g[i - 1]
        far[i] = beyond / (1 + segment * beyond)
    near[n - 1] = sense
    for i in range(n - 2, -1, -1):
        near[i] = segment + near[i + 1] / (1 + g[i + 1] * near[i + 1])
    for k in range(n):
        voltage = g[k] * near[k] / (1 + near[k] * (g[k] + far[k]))
        response[k, k] = g[k] * (1 - voltage)
        for i in range(k - 1, -1, -1):
            voltage /= 1 + segment * (g[i] + far[i])
            response[i, k] = -g[i] * voltage
            response[k, i] = response[i, k]


@njit(cache=True, nogil=True, error_model="numpy")
def _inverse_of_one_plus(ohm, seen):  # type: ignore[no-untyped-def]
    """(1 + ohm * seen)^-1 of a symmetric, positive semidefinite matrix, by Cholesky's factor."""
    n = len(seen)
    matrix = ohm * seen
    for i in range(n):
        matrix[i, i] += 1
    factor = np.linalg.cholesky(matrix)
    inverse = np.zeros((n, n))
    for i in range(n):
        for k in range(i):
            weight = factor[i, k]
            for j in range(k + 1):
                inverse[i, j] -= weight * inverse[k, j]
        for j in range(i):
            inverse[i, j] /= factor[i, i]
        inverse[i, i] = 1 / factor[i, i]
    return np.dot(inverse.T, inverse)
