"""Known numbers have the types of tensors; calls say which node wanted what."""

import numpy as np
import pytest
import torch

from xbarsim.errors import InputError
from xbarsim.torch_bridge.onnx_file import OnnxNode
from xbarsim.torch_bridge.onnx_values import Call, Known


def call(*values, **attributes):
    return Call(OnnxNode("net.onnx", "cell", "Kind", ("a",), ("b",), attributes, 17), values)


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.array([1, 2], np.int32), np.int64),
        (np.array([1.5]), np.float32),
        (np.array([True]), np.bool_),
        (np.array([1, 2], object), np.int64),
        (np.array([True, False], object), np.bool_),
        (np.array([1, 2.5], object), np.float32),
    ],
)
def test_known_numbers_have_the_types_of_tensors(array, dtype):
    found = Known.of(array)
    assert found.array.dtype == dtype
    assert found.tensor().numpy().dtype == dtype
    assert found.tensor().tolist() == array.tolist()


def test_held_numbers_are_the_modules():
    held = torch.nn.Parameter(torch.ones(2))
    assert Known(np.ones(2, np.float32), held).tensor() is held


def test_inputs_are_found_by_place():
    found = call(torch.zeros(3), None, Known.of(np.array([4])), axis=-1)
    assert found.tensor(0).shape == (3,) and found.optional(1) is None and found.number(2) == 4
    assert found.number(1, 7) == 7 and found.number(9, 8) == 8
    assert found.axis(3, 0) == 2 and found.listed("axes", 2) == [4] and found.listed("axes", 1) is None


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda c: c.tensor(5), "input 5, got none"),
        (lambda c: c.numbers(0), "does not depend on the data"),
        (lambda c: c.number(1), "one number as input 1, got 2"),
        (lambda c: c.integer("text", 0), "text, a whole number"),
        (lambda c: c.integers("text"), "text, whole numbers"),
        (lambda c: c.real("text", 0.0), "text, a number"),
        (lambda c: c.place_of(3, 3), "an axis of 3, got 3"),
        (lambda c: c.check_made([10**6, 10**6]), "at most"),
        (lambda c: c.check_made([2, -1]), "sizes of at least 0"),
    ],
)
def test_what_a_node_cannot_take_is_refused_with_its_name(ask, message):
    with pytest.raises(InputError, match=r"file net.onnx, node 'cell' \(Kind\).*" + message):
        ask(call(torch.zeros(2), Known.of(np.array([1, 2])), text="word"))
