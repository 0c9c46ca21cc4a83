"""Chips whose cells can be written again, and others."""

import pytest

from xbarsim.errors import InputError
from xbarsim.repair.closest import ClosestValues
from xbarsim.repair.refresh import Refresh
from xbarsim.repair.retrain import Retrain
from xbarsim.repair.writing import check_writable


def test_crossbars_can_be_written(bench):
    check_writable("refresh", bench.chip)


def test_a_design_of_fixed_weights_cannot(unwritable):
    with pytest.raises(InputError, match=r"repair refresh: expected a chip whose cells .* got FinnChip"):
        check_writable("refresh", unwritable)


@pytest.mark.parametrize("repair", [ClosestValues(), Refresh(), Retrain()], ids=lambda r: type(r).__name__)
def test_repairs_that_write_refuse_it(repair, bench, unwritable, trial):
    with pytest.raises(InputError, match="can be written again"):
        repair.repair(unwritable, bench, trial)
