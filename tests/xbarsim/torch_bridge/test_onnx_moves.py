"""Operators of ONNX that move, cut and join values are onnxruntime's."""

import numpy as np
import pytest

from tests.helpers.onnx_models import check_same, given, helper, model_of, numpy_helper, one_node, saved
from xbarsim.errors import InputError
from xbarsim.torch_bridge.onnx_import import read_onnx

RNG = np.random.default_rng(2)


def f(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def at(*places):
    return np.array(places)


FLAT, IMAGE, THIN, DEEP = f(4, 6), f(3, 4, 9, 9), f(3, 1, 4, 1), f(2, 8, 4, 6)
TOKENS = RNG.integers(0, 5, (3, 4))
LAST = 2**62
N = helper.make_node

CASES = {
    "Reshape": (one_node("Reshape", IMAGE, at(0, -1, 27)), IMAGE),
    "Reshape to rows": (one_node("Reshape", IMAGE, at(-1, 324)), IMAGE),
    **{f"Flatten {axis}": (one_node("Flatten", IMAGE, axis=axis), IMAGE) for axis in (0, 1, 2, -1, 4)},
    "Transpose": (one_node("Transpose", IMAGE, perm=[0, 2, 3, 1]), IMAGE),
    "Transpose all": (one_node("Transpose", FLAT), FLAT),
    "Squeeze": (one_node("Squeeze", THIN, at(1, -1)), THIN),
    "Squeeze all": (one_node("Squeeze", THIN), THIN),
    "Unsqueeze": (one_node("Unsqueeze", FLAT, at(0, -1)), FLAT),
    "Expand": (one_node("Expand", THIN, at(3, 5, 1, 2)), THIN),
    "Expand with an axis": (one_node("Expand", FLAT, at(2, 1, 1)), FLAT),
    "Concat": (one_node("Concat", FLAT, f(4, 2), axis=1), FLAT),
    "Split": (one_node("Split", IMAGE, at(1, 3), outputs=2, axis=1), IMAGE),
    "Split evenly": (one_node("Split", IMAGE, outputs=2, axis=1), IMAGE),
    "Split 18": (one_node("Split", IMAGE, outputs=2, axis=-1, num_outputs=2, opset=18), IMAGE),
    "Slice": (one_node("Slice", IMAGE, at(1, -3), at(3, LAST), at(1, 3), at(1, 2)), IMAGE),
    "Slice backwards": (one_node("Slice", IMAGE, at(-1, 7), at(-LAST, 1), at(1, 3), at(-1, -2)), IMAGE),
    "Gather": (one_node("Gather", IMAGE, at(0, -1), axis=1), IMAGE),
    "Gather one": (one_node("Gather", IMAGE, np.array(-1), axis=2), IMAGE),
    "Gather a table": (one_node("Gather", IMAGE, at(0, 2, 1, 1).reshape(2, 2), axis=3), IMAGE),
    "Gather tokens": (
        model_of([N("Gather", ["w", "x"], ["y"])], {"x": TOKENS}, ("y",), {"w": f(5, 7)}),
        TOKENS,
    ),
    "Gather by data": (
        model_of([N("Gather", ["w", "x"], ["y"], axis=1)], {"x": TOKENS}, ("y",), {"w": f(2, 7)}),
        TOKENS,
    ),
    "GatherElements": (one_node("GatherElements", FLAT, at(*[[0, 1, -1]] * 4), axis=1), FLAT),
    "GatherND": (one_node("GatherND", FLAT, at(0, 1, 3, 2).reshape(2, 2)), FLAT),
    "ScatterND": (one_node("ScatterND", FLAT, at(0, 1, 3, 2).reshape(2, 2), f(2)), FLAT),
    "ScatterElements": (one_node("ScatterElements", FLAT, at(*[[0, 2, 1]] * 4), f(4, 3), axis=1), FLAT),
    "Tile": (one_node("Tile", FLAT, at(2, 3)), FLAT),
    **{
        f"Pad {mode}": (one_node("Pad", IMAGE, at(0, 0, 1, 2, 0, 0, 2, 1), mode=mode, opset=19), IMAGE)
        for mode in ("constant", "reflect", "edge", "wrap")
    },
    "Pad by a value": (one_node("Pad", IMAGE, at(0, 1, 0, -1, 0, 0, 0, 2), np.float32(1.5)), IMAGE),
    "Pad axes": (one_node("Pad", IMAGE, at(1, 1, 2, 2), None, at(2, 3), opset=18), IMAGE),
    "DepthToSpace": (one_node("DepthToSpace", DEEP, blocksize=2), DEEP),
    "DepthToSpace CRD": (one_node("DepthToSpace", DEEP, blocksize=2, mode="CRD"), DEEP),
    "SpaceToDepth": (one_node("SpaceToDepth", DEEP, blocksize=2), DEEP),
    "Trilu": (one_node("Trilu", IMAGE, np.array(1)), IMAGE),
    "Trilu lower": (one_node("Trilu", IMAGE, upper=0), IMAGE),
    "OneHot": (one_node("OneHot", TOKENS, at(6), np.array([0, 2], np.float32)), TOKENS),
    "Dropout": (one_node("Dropout", FLAT), FLAT),
    "Identity": (one_node("Identity", FLAT), FLAT),
    "ConstantOfShape": (
        model_of(
            [
                N("Shape", ["x"], ["s"]),
                N("ConstantOfShape", ["s"], ["k"], value=numpy_helper.from_array(np.array([2], np.float32))),
                N("Add", ["x", "k"], ["y"]),
            ],
            {"x": FLAT},
        ),
        FLAT,
    ),
    "Range": (
        model_of(
            [
                N("Shape", ["x"], ["s"], start=1),
                N("Squeeze", ["s"], ["n"]),
                N("Range", ["zero", "n", "one"], ["r"]),
                N("Cast", ["r"], ["k"], to=1),
                N("Add", ["x", "k"], ["y"]),
            ],
            {"x": FLAT},
            ("y",),
            {"zero": np.array(0), "one": np.array(1)},
        ),
        FLAT,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_move_is_onnxruntimes(name, tmp_path):
    model, *inputs = CASES[name]
    check_same(model, tmp_path, *inputs)


REFUSED = {
    "places below 4": one_node("Gather", IMAGE, at(0, 7), axis=1),
    "an axis of 4": one_node("Flatten", IMAGE, axis=9),
    "axes of size 1": one_node("Squeeze", IMAGE, at(1)),
    "reduction none or add": one_node(
        "ScatterElements", IMAGE, np.zeros((1, 1, 1, 1), int), f(1, 1, 1, 1), reduction="mul", opset=16
    ),
    "at most 2 GB of memory": one_node("Tile", IMAGE, at(10**6, 10**6, 1, 1)),
    "sizes of at least 0": one_node("Expand", f(1, 1), at(-3, 4)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_a_move_cannot_do_is_refused_with_its_node(message, tmp_path):
    kind = REFUSED[message].graph.node[0].op_type
    module = read_onnx(saved(REFUSED[message], tmp_path))
    with pytest.raises(InputError, match=f"node 'the {kind}'.*{message}"):
        given(module, f(1, 1) if kind == "Expand" else IMAGE)
