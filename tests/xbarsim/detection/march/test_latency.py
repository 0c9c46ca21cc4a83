import pytest

from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.latency import ADDRESSING, march_addresses, march_latency_ns
from xbarsim.errors import InputError


def test_addresses_of_every_mode():
    counts = [march_addresses(m, used_cells=7, arrays=3, rows=4, columns=5) for m in ADDRESSING]
    assert counts == [7, 60, 12, 20, 4]


def test_latency_counts_writes_reads_and_the_restoring_write():
    test = march_test("March C-")
    assert march_latency_ns(test, addresses=2, t_read_ns=3, t_write_ns=7) == 2 * (5 * 7 + 5 * 3)
    assert march_latency_ns(test, addresses=2, t_read_ns=3, t_write_ns=7, restore=True) == 2 * (6 * 7 + 5 * 3)
    with pytest.raises(InputError, match="addressing mode"):
        march_addresses("magic", used_cells=1, arrays=1, rows=1, columns=1)
