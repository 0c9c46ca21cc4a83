"""Arithmetic on shapes gives what the same operators give on tensors, and keeps sizes that are symbols."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.onnx_models import check_quantized, check_same, helper, model_of
from xbarsim.torch_bridge.onnx_file import OnnxNode
from xbarsim.torch_bridge.onnx_import import OPERATORS
from xbarsim.torch_bridge.onnx_sizes import on_sizes
from xbarsim.torch_bridge.onnx_values import Call, Known

N = helper.make_node
NUMBERS = st.lists(st.integers(-9, 9), min_size=3, max_size=3)
BINARY = """
    Add Sub Mul Div Mod Min Max Equal Less LessOrEqual Greater GreaterOrEqual
"""


def both(kind, arrays, attributes=None, outputs=1):
    """What an operator gives on known numbers and on tensors."""
    names = tuple(str(i) for i in range(len(arrays)))
    ends = tuple(f"out{i}" for i in range(outputs))
    node = OnnxNode("file", "node", kind, names, ends, attributes or {}, 17)
    known = tuple(Known.of(np.asarray(a)) for a in arrays)
    own = on_sizes(Call(node, known))
    theirs = OPERATORS[kind](Call(node, known))
    own, theirs = (x if isinstance(x, tuple) else (x,) for x in (own, theirs))
    return [value.array for value in own], [value.numpy() for value in theirs]


def check(kind, *arrays, outputs=1, **attributes):
    for own, theirs in zip(*both(kind, arrays, attributes, outputs), strict=True):
        assert own.dtype == theirs.dtype and own.shape == theirs.shape
        np.testing.assert_array_equal(own, theirs)


@pytest.mark.parametrize("kind", BINARY.split())
@settings(max_examples=30, deadline=None)
@given(a=NUMBERS, b=NUMBERS)
def test_two_lists_give_what_two_tensors_give(kind, a, b):
    if kind in ("Div", "Mod"):
        b = [n or 1 for n in b]
    check(kind, a, b)


@settings(max_examples=30, deadline=None)
@given(a=st.lists(st.integers(-9, 9), min_size=1, max_size=6), data=st.data())
def test_cutting_and_joining_is_that_of_tensors(a, data):
    place = data.draw(st.integers(-len(a), len(a) - 1))
    check("Gather", a, np.array(place))
    check("Gather", a, [place, 0])
    start, end = (data.draw(st.integers(-8, 8)) for _ in range(2))
    check("Slice", a, [start], [end], [0], [data.draw(st.sampled_from([-2, -1, 1, 2]))])
    check("Concat", a, a[:1], axis=0)
    check("Unsqueeze", a, [0])
    check("Reshape", a, [1, -1])
    check("Neg", a)
    check("Transpose", [a, a[::-1]], perm=[1, 0])
    check("Transpose", [a, a[::-1]])
    check("ReduceProd", a, keepdims=0)
    check("Where", [n > 0 for n in a], a, a[::-1])
    check("Split", a + a, outputs=2, axis=0)
    check("Cast", a, to=1)
    check("Range", *(np.array(n) for n in (start, start + 5, 2)))


@settings(max_examples=30, deadline=None)
@given(a=st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=4))
def test_floats_are_those_of_tensors(a):
    floats = np.array(a, np.float32)
    for kind in ("Floor", "Ceil"):
        check(kind, floats)
    check("Cast", floats, to=7)
    check("Mul", floats, np.float32(1.5) * np.ones(1, np.float32))


def test_symbols_stay_symbols(tmp_path):
    """A reshape by computed sizes, a state of zeros and a mean over a size hold for any batch."""
    x = np.random.default_rng(0).standard_normal((12, 2, 6)).astype(np.float32)
    nodes = [
        N("Shape", ["x"], ["s"]),
        N("Gather", ["s", "zero"], ["n"]),
        N("Unsqueeze", ["n", "first"], ["n1"]),
        N("Mul", ["n1", "two"], ["rows"]),
        N("Concat", ["rows", "six"], ["flat"], axis=0),
        N("Reshape", ["x", "flat"], ["r"]),
        N("MatMul", ["r", "w"], ["m"]),
        N("Concat", ["n1", "two", "four"], ["back"], axis=0),
        N("Equal", ["back", "minus"], ["e"]),
        N("Where", ["e", "ones", "back"], ["b"]),
        N("Reshape", ["m", "b"], ["q"]),
        N("ConstantOfShape", ["b"], ["z"]),
        N("Add", ["q", "z"], ["p"]),
        N("Slice", ["back", "one", "three"], ["inner"]),
        N("Concat", ["n1", "inner"], ["again"], axis=0),
        N("Expand", ["p", "again"], ["y"]),
    ]
    constants = {
        "zero": np.array(0), "first": np.array([0]), "one": np.array([1]), "three": np.array([3]),
        "two": np.array([2]), "six": np.array([6]), "four": np.array([4]), "minus": np.array([-1]),
        "ones": np.array([1, 1, 1]),
        "w": np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32),
    }  # fmt: skip
    module = check_same(model_of(nodes, {"x": x}, constants=constants), tmp_path, x)
    assert not check_quantized(module, x).one_by_one


def test_what_is_large_is_left_to_tensors():
    node = OnnxNode("file", "node", "Add", ("a", "b"), ("c",), {}, 17)
    assert on_sizes(Call(node, (Known.of(np.zeros(5000, int)),) * 2)) is None
    assert on_sizes(Call(node, (torch.zeros(2), Known.of(np.zeros(2))))) is None
