import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.faults.kinds import (
    CELL_KINDS,
    CellGeometry,
    FaultKind,
    are_permanent,
    need_values,
    with_fixed_levels,
)

CODES = np.array(list(FaultKind), np.uint8)


def test_every_kind_stands_in_the_table_under_the_code_of_files():
    assert {kind.name: int(kind) for kind in CELL_KINDS} == {
        "stuck_hrs": 0, "stuck_lrs": 1, "stuck_at": 2, "flip": 3, "step": 4
    }  # fmt: skip
    assert len({kind.colour for kind in FaultKind}) == len(FaultKind)


def test_stuck_cells_are_permanent_and_those_at_an_end_need_no_value():
    assert [k.name for k in FaultKind if k.permanent] == ["stuck_hrs", "stuck_lrs", "stuck_at"]
    assert [k.name for k in FaultKind if k.needs_value] == ["stuck_at", "flip", "step"]
    assert [k.fixed_level(8) for k in FaultKind] == [0, 7, None, None, None]


def test_masks_of_kinds_are_what_the_kinds_say():
    assert are_permanent(CODES).tolist() == [kind.permanent for kind in FaultKind]
    assert need_values(CODES).tolist() == [kind.needs_value for kind in FaultKind]
    assert are_permanent(CODES[:0]).tolist() == []


def test_fixed_levels_replace_values_and_leave_the_others():
    assert with_fixed_levels(CODES, np.full(5, 2), 4).tolist() == [0, 3, 2, 2, 2]


@pytest.mark.parametrize("wrong", [{"arrays": 0}, {"rows": 0}, {"columns": 70000}, {"levels": 3}])
def test_geometries_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=f"CellGeometry.{next(iter(wrong))}"):
        CellGeometry(**{"arrays": 1, **wrong})
