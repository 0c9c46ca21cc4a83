"""Operators with their constants: what is read from them is checked, and named where it is wrong."""

import numpy as np
import pytest

from accel_models.finn.qonnx.operator import Constant, Operator
from xbarsim.errors import InputError


def operator(constants=None, **attributes):
    return Operator("conv0", "Conv", 0, constants or {}, attributes)


def test_constants_are_integers_times_a_scale_or_plain_numbers():
    plain = Constant(np.array([[1.5, 2.0]]))
    assert plain.values.tolist() == [[1.5, 2.0]] and plain.bits == 0
    made = Constant(np.array([[1, -2, 3]]), np.array([[0.5, 0.25, 2.0]]), 3)
    assert made.values.tolist() == [[0.5, -0.5, 6.0]]
    turned = made.transposed([1, 0])
    assert turned.values.tolist() == [[0.5], [-0.5], [6.0]] and turned.bits == 3
    assert plain.transposed([1, 0]).scale is None


def test_attributes_are_read_with_their_defaults():
    given = operator(pads=[1, 2], group=2.0, epsilon=0.5, mode="FLOOR")
    assert given.integers("pads") == (1, 2) and given.integers("strides", (1, 1)) == (1, 1)
    assert given.integer("group", 1) == 2 and given.integer("axis", 1) == 1
    assert given.real("epsilon", 1e-5) == 0.5 and given.real("alpha", 1.0) == 1.0
    assert given.text("mode", "ROUND") == "FLOOR" and given.text("layout", "NC") == "NC"


def test_inputs_are_constants_by_their_position():
    given = operator({1: Constant(np.array([[2.5, 2.5]])), 2: Constant(np.array([1.0, 2.0]))})
    assert given.constant(1).values.shape == (1, 2) and given.number(1) == 2.5


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda: operator(pads=[1.5]).integers("pads"), "pads: expected whole numbers"),
        (lambda: operator(pads="1").integers("pads"), "pads: expected whole numbers"),
        (lambda: operator(group=1.5).integer("group", 1), "group: expected a whole number"),
        (lambda: operator(group="a").integer("group", 1), "group: expected a whole number"),
        (lambda: operator(eps=float("nan")).real("eps", 1.0), "eps: expected"),
        (lambda: operator().constant(1), "a constant as input 1, got none; run qonnx-cleanup"),
        (lambda: operator({1: Constant(np.array([1.0, 2.0]))}).number(1), "one finite number as input 1"),
        (lambda: operator({1: Constant(np.array([np.inf]))}).number(1), "one finite number as input 1"),
        (lambda: operator({1: Constant(np.zeros(0))}).number(1), "one finite number as input 1"),
    ],
)
def test_mistakes_name_the_node(read, words):
    with pytest.raises(InputError, match=rf"node 'conv0' \(Conv\).*{words}"):
        read()
