"""The published March tests, and one for multi-level cells.

Sources: van de Goor (MATS+ to March B); Hamdioui et al., MTDT 2002 (March SS); Bosio et al. (March AB). The
elements of March C*, C*-1T1R, March-MOM and March W-1T1R could not be confirmed and are left out.
"""

from __future__ import annotations

from itertools import pairwise

from xbarsim.detection.march.notation import (
    ASCENDING,
    DESCENDING,
    EITHER,
    ORDERS,
    MarchElement,
    MarchTest,
    Operation,
)
from xbarsim.detection.march.notation import parse_march as _parse
from xbarsim.errors import InputError, check_int
from xbarsim.hints import checked


def march_tests() -> dict[str, MarchTest]:
    """All named tests."""
    texts = {
        "MATS+": "|w0; ^(r0,w1); v(r1,w0)",
        "MATS++": "|w0; ^(r0,w1); v(r1,w0,r0)",
        "March Y": "|w0; ^(r0,w1,r1); v(r1,w0,r0); |r0",
        "March C": "|w0; ^(r0,w1); ^(r1,w0); |r0; v(r0,w1); v(r1,w0); |r0",
        "March C-": "|w0; ^(r0,w1); ^(r1,w0); v(r0,w1); v(r1,w0); |r0",
        "March C+": "|w0; ^(r0,w1,r1); ^(r1,w0,r0); v(r0,w1,r1); v(r1,w0,r0); |r0",
        "March A": "|w0; ^(r0,w1,w0,w1); ^(r1,w0,w1); v(r1,w0,w1,w0); v(r0,w1,w0)",
        "March B": "|w0; ^(r0,w1,r1,w0,r0,w1); ^(r1,w0,w1); v(r1,w0,w1,w0); v(r0,w1,w0)",
        "March SS": "|w0; ^(r0,r0,w0,r0,w1); ^(r1,r1,w1,r1,w0); v(r0,r0,w0,r0,w1); v(r1,r1,w1,r1,w0); |r0",
        "March AB": "|w1; v(r1,w0,r0,w0,r0); v(r0,w1,r1,w1,r1); ^(r1,w0,r0,w0,r0); ^(r0,w1,r1,w1,r1); |r1",
    }
    return {name: _parse(text, name=name) for name, text in texts.items()}


@checked
def march_test(name: str) -> MarchTest:
    """Look a test up by name, forgiving about case and spaces, or parse the notation itself.

    Raises
    ------
    InputError : neither a name nor notation, or a test that a healthy memory would fail.

    >>> march_test("march-c-").name, march_test("C-").name, march_test("|w0; ^(r0)").reads
    ('March C-', 'March C-', 1)
    """
    if name.strip()[:1] in ORDERS or "(" in name or ";" in name:
        custom = _parse(name)
        custom.check_consistent()
        return custom
    multi_level = eulerian_march(4)
    tests = march_tests() | {multi_level.name: multi_level}
    wanted = _plain(name)
    for known, test in tests.items():
        if wanted in (_plain(known), _plain(known).removeprefix("march")):
            return test
    raise InputError("March test", "one of " + ", ".join(tests) + " or the notation", repr(name))


def eulerian_march(levels: int) -> MarchTest:
    """A test that takes every cell through all L(L-1) ordered level changes, in both address orders.

    >>> test = eulerian_march(4)
    >>> test.writes, test.reads
    (25, 25)
    """
    check_int("levels", levels, 2, 5)
    tour = _eulerian_tour(levels)
    elements = [MarchElement(EITHER, (Operation("w", tour[0]),))]
    for order in (ASCENDING, DESCENDING):
        for before, after in pairwise(tour):
            elements.append(MarchElement(order, (Operation("r", before), Operation("w", after))))
    elements.append(MarchElement(EITHER, (Operation("r", tour[-1]),)))
    return MarchTest(f"Eulerian {levels}", tuple(elements))


def _eulerian_tour(levels: int) -> list[int]:
    """Hierholzer's algorithm on the complete digraph; begins and ends at level 0."""
    unused = {a: [b for b in range(levels) if b != a] for a in range(levels)}
    path, tour = [0], []
    while path:
        if unused[path[-1]]:
            path.append(unused[path[-1]].pop())
        else:
            tour.append(path.pop())
    return tour[::-1]


def _plain(name: str) -> str:
    folded = name.lower().replace(" ", "").replace("_", "")
    return folded.replace("march-", "march")
