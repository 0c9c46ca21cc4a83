"""Fault primitives in the field's notation: what they say, and how many there are of each class."""

import pytest

from xbarsim.detection.march.primitives import (
    SINGLE_CELL,
    TWO_CELL,
    parse_primitive,
    primitive_classes,
    stuck_at,
)
from xbarsim.errors import InputError
from xbarsim.kernels.march import READ_OP, TOGGLE, WRITE_OP


@pytest.mark.parametrize(
    "text", ["<0/1/1>", "<0w1/0/1>", "<0r1/0/1>", "<0w1;0w1/0/->", "<*/1/->", "<2/0/->", "0/1/-", "<0r0/1/->"]
)
def test_primitives_that_make_no_sense_are_refused(text):
    with pytest.raises(InputError, match="fault primitive"):
        parse_primitive(text)


def test_notation_says_who_does_what_in_which_state():
    up = parse_primitive("<0w1/0/->")
    assert not up.coupled and (up.v_state, up.v_op, up.v_level, up.faulty, up.read) == (0, WRITE_OP, 1, 0, -1)
    read = parse_primitive("<1; 0r0/1/0>")
    assert read.coupled and (read.a_state, read.a_op) == (1, -1)
    assert (read.v_state, read.v_op, read.faulty, read.read) == (0, READ_OP, 1, 0)
    inversion = parse_primitive("<0w1;*/~/->")
    assert (inversion.a_state, inversion.a_op, inversion.a_level) == (0, WRITE_OP, 1)
    assert (inversion.v_state, inversion.v_op, inversion.faulty) == (-1, -1, TOGGLE)


def test_a_stuck_cell_leaves_every_other_state():
    assert [(stuck_at(v).v_state, stuck_at(v).faulty) for v in (0, 1)] == [(1, 0), (0, 1)]


def test_static_classes_are_12_of_one_cell_and_36_of_two_all_different():
    """Hamdioui et al., MTDT 2002."""
    classes = primitive_classes()
    assert sum(len(classes[name]) for name in SINGLE_CELL) == 12
    assert sum(len(classes[name]) for name in TWO_CELL) == 36
    assert not any(p.coupled for name in SINGLE_CELL for p in classes[name])
    assert all(p.coupled for name in TWO_CELL for p in classes[name])
    for members in classes.values():
        assert len({p.name for p in members}) == len(members)
