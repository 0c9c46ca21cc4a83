"""Guaranteed coverage of the published March tests, by exhaustive simulation of four cells."""

import pytest

from xbarsim.detection.march.coverage import coverage_table
from xbarsim.detection.march.primitives import SINGLE_CELL, TWO_CELL

COLUMNS = (
    ("MATS+",),
    ("MATS++",),
    ("March Y",),
    ("March C",),
    ("March C-",),
    ("March C+",),
    ("March A", "March B"),
    ("March SS", "March AB"),
)
EXPECTED = {
    "SAF": (2, 2, 2, 2, 2, 2, 2, 2),
    "SF": (2, 2, 2, 2, 2, 2, 2, 2),
    "RDF": (2, 2, 2, 2, 2, 2, 2, 2),
    "IRF": (2, 2, 2, 2, 2, 2, 2, 2),
    "AF": (5, 5, 5, 5, 5, 5, 5, 5),
    "TF": (1, 2, 2, 2, 2, 2, 2, 2),
    "WDF": (0, 0, 0, 0, 0, 0, 0, 2),
    "DRDF": (0, 0, 2, 1, 0, 2, 0, 2),
    "CFst": (2, 2, 2, 4, 4, 4, 4, 4),
    "CFin": (1, 1, 2, 2, 2, 2, 2, 2),
    "CFid": (0, 0, 0, 4, 4, 4, 4, 4),
    "deep state": (0, 0, 0, 0, 0, 0, 0, 2),
    "dynamic WDF, n = 2": (0, 0, 0, 0, 0, 0, 0, 0),
}
SIZES = {"AF": 5, "CFst": 4, "CFid": 4}


@pytest.fixture(scope="module")
def table():
    return coverage_table()


@pytest.mark.parametrize("name", EXPECTED)
def test_coverage_of_every_class(table, name):
    found = [{table[test][name] for test in tests} for tests in COLUMNS]
    assert found == [{(count, SIZES.get(name, 2))} for count in EXPECTED[name]]


@pytest.mark.parametrize(
    ("test", "single", "double"), [("March SS", 12, 36), ("March AB", 12, 36), ("March C-", 8, 24)]
)
def test_static_simple_faults_in_all(table, test, single, double):
    """Hamdioui et al., MTDT 2002: 12 single-cell and 36 two-cell faults."""
    assert tuple(map(sum, zip(*(table[test][c] for c in SINGLE_CELL), strict=True))) == (single, 12)
    assert tuple(map(sum, zip(*(table[test][c] for c in TWO_CELL), strict=True))) == (double, 36)
