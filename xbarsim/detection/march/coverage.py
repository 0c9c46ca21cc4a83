"""Which faults a March test is guaranteed to find, by exhaustive simulation.

A primitive counts as detected if some read mismatches in every initial state of a 4-cell memory, for every
choice of every ⇕, and for every victim, or every (aggressor, victim) pair.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from xbarsim.detection.march.algorithms import march_tests
from xbarsim.detection.march.memory import PlacedFault, descending_orders, encode_faults, encode_test
from xbarsim.detection.march.notation import EITHER, MarchTest
from xbarsim.detection.march.primitives import FaultPrimitive, primitive_classes
from xbarsim.errors import InputError
from xbarsim.kernels.march import found_everywhere

CELLS = 4


def detects(test: MarchTest, primitive: FaultPrimitive) -> bool:
    """True if a binary test finds this primitive wherever it is.

    Raises
    ------
    InputError : a test that names levels above 1, or that a healthy memory would fail.
    """
    test.check_consistent()
    if test.top > 1:
        raise InputError(f"March test {test.name}", "levels 0 and 1, for binary coverage", test.top)
    pairs = [(v, a) for v in range(CELLS) for a in range(CELLS) if a != v]
    places = pairs if primitive.coupled else [(v, None) for v in range(CELLS)]
    open_orders = sum(e.order == EITHER for e in test.elements)
    orders = np.array(
        [descending_orders(test, choice) for choice in product((False, True), repeat=open_orders)]
    )
    for victim, aggressor in places:
        fault = (PlacedFault(primitive=primitive, victim=victim, aggressor=aggressor),)
        if not found_everywhere(CELLS, *encode_test(test, 1), orders, *encode_faults(fault, CELLS, 1)):
            return False
    return True


def coverage(test: MarchTest) -> dict[str, tuple[int, int]]:
    """How many primitives of every class a test detects, and how many there are."""
    return {
        name: (sum(detects(test, p) for p in primitives), len(primitives))
        for name, primitives in primitive_classes().items()
    }


def coverage_table() -> dict[str, dict[str, tuple[int, int]]]:
    """`coverage` of all named tests; takes some seconds."""
    return {name: coverage(test) for name, test in march_tests().items()}
