"""Coverage by simulating four cells; the published table is in tests/published."""

import pytest

from xbarsim.detection.march.coverage import coverage
from xbarsim.detection.march.notation import parse_march
from xbarsim.errors import InputError


@pytest.mark.parametrize(("orders", "found"), [("^^vv", 4), ("^vv^", 4), ("^v^v", 0), ("^^^^", 0)])
def test_order_of_the_elements_of_march_c_matters(orders, found):
    a, b, c, d = orders
    test = parse_march(f"|w0; {a}(r0,w1); {b}(r1,w0); {c}(r0,w1); {d}(r1,w0); |r0")
    assert coverage(test)["CFid"] == (found, 4)


def test_coverage_of_a_test_for_multi_level_cells_is_refused():
    with pytest.raises(InputError, match="levels 0 and 1"):
        coverage(parse_march("|w0; ^(r0,w3); v(r3,w0)"))
