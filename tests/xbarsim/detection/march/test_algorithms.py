"""Named tests have their published operations; the Eulerian one takes every change of level."""

from itertools import pairwise

import pytest

from xbarsim.detection.march.algorithms import eulerian_march, march_test, march_tests
from xbarsim.errors import InputError

COUNTS = {
    "MATS+": (3, 2),
    "MATS++": (3, 3),
    "March Y": (3, 5),
    "March C": (5, 6),
    "March C-": (5, 5),
    "March C+": (5, 9),
    "March A": (11, 4),
    "March B": (11, 6),
    "March SS": (9, 13),
    "March AB": (9, 13),
}


@pytest.mark.parametrize("name", march_tests())
def test_published_tests_have_their_writes_and_reads(name):
    test = march_test(name)
    assert (test.writes, test.reads) == COUNTS[name]


@pytest.mark.parametrize("name", ["c-", "March C-", "march_c-", "MARCHC-", "march-c-"])
def test_names_are_forgiving(name):
    assert march_test(name).name == "March C-"


def test_unknown_test_names_the_known_ones():
    with pytest.raises(InputError, match="March AB, Eulerian 4 or the notation"):
        march_test("March C*")


@pytest.mark.parametrize("levels", [2, 3, 4, 5])
def test_eulerian_march_takes_every_cell_through_every_change_in_both_orders(levels):
    test = eulerian_march(levels)
    for order in ("⇑", "⇓"):
        changes = [tuple(op.level for op in e.operations) for e in test.elements if e.order == order]
        assert sorted(changes) == sorted((a, b) for a in range(levels) for b in range(levels) if a != b)
        assert all(a[1] == b[0] for a, b in pairwise(changes))


@pytest.mark.parametrize("text", ["|w0; ^(r1)", "^(r0)", "|w0; ^(r0,w1); v(r0)"])
def test_test_that_a_healthy_memory_would_fail_is_refused(text):
    with pytest.raises(InputError, match="correct the notation"):
        march_test(text)


def test_notation_without_brackets_and_the_listed_multi_level_test_are_known():
    assert march_test("|w0; |r0").reads == 1
    assert march_test("eulerian 4") == eulerian_march(4)


def test_every_named_test_passes_a_healthy_memory():
    for test in march_tests().values():
        test.check_consistent()
