"""Convolutions, pools, norms and resizes of ONNX are onnxruntime's."""

import numpy as np
import pytest

from tests.helpers.onnx_models import check_quantized, check_same, given, helper, model_of, one_node, saved
from xbarsim.errors import InputError
from xbarsim.torch_bridge.onnx_import import read_onnx

RNG = np.random.default_rng(1)


def f(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


LINE, IMAGE, VOLUME = f(3, 4, 10), f(3, 4, 9, 9), f(2, 3, 6, 6, 6)
DEEP = f(2, 9, 4, 4)
WEIGHT, BACK = f(6, 4, 3, 3), f(4, 5, 3, 3)
TWO = {"strides": [2, 2]}
POOLS = {
    "": {"kernel_shape": [3, 3], **TWO},
    " padded": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], **TWO},
    " uneven": {"kernel_shape": [3, 2], "pads": [0, 0, 1, 1], **TWO},
    " same": {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", **TWO},
}
UP = {"ceil_mode": 1, "pads": [1, 1, 1, 1], "kernel_shape": [3, 3], **TWO}
NONE = np.array([], np.float32)

CASES = {
    "Conv": (one_node("Conv", IMAGE, WEIGHT, f(6), kernel_shape=[3, 3], pads=[1, 1, 1, 1], **TWO), IMAGE),
    "Conv uneven": (one_node("Conv", IMAGE, WEIGHT, pads=[0, 1, 2, 1], dilations=[2, 1]), IMAGE),
    **{
        f"Conv {auto}": (one_node("Conv", IMAGE, WEIGHT, auto_pad=auto, **TWO), IMAGE)
        for auto in ("VALID", "SAME_UPPER", "SAME_LOWER")
    },
    "Conv groups": (one_node("Conv", IMAGE, f(8, 2, 3, 3), group=2), IMAGE),
    "Conv 1": (one_node("Conv", LINE, f(5, 4, 3), f(5)), LINE),
    "Conv 3": (one_node("Conv", VOLUME, f(5, 3, 2, 2, 2), f(5)), VOLUME),
    "ConvTranspose": (
        one_node("ConvTranspose", IMAGE, BACK, f(5), pads=[1, 1, 1, 1], output_padding=[1, 1], **TWO),
        IMAGE,
    ),
    "ConvTranspose uneven": (one_node("ConvTranspose", IMAGE, BACK, pads=[0, 1, 1, 0], **TWO), IMAGE),
    "ConvTranspose shape": (one_node("ConvTranspose", IMAGE, BACK, output_shape=[18, 18], **TWO), IMAGE),
    "ConvTranspose upper": (one_node("ConvTranspose", IMAGE, BACK, auto_pad="SAME_UPPER", **TWO), IMAGE),
    "ConvTranspose lower": (one_node("ConvTranspose", IMAGE, BACK, auto_pad="SAME_LOWER", **TWO), IMAGE),
    "ConvTranspose groups": (one_node("ConvTranspose", IMAGE, f(4, 3, 2, 2), group=2), IMAGE),
    "ConvTranspose 1": (one_node("ConvTranspose", LINE, f(4, 3, 2)), LINE),
    **{
        kind + how: (one_node(kind, IMAGE, opset=18, **attributes), IMAGE)
        for kind in ("MaxPool", "AveragePool", "LpPool")
        for how, attributes in POOLS.items()
    },
    **{kind + " up": (one_node(kind, IMAGE, opset=19, **UP), IMAGE) for kind in ("MaxPool", "AveragePool")},
    "MaxPool 1": (one_node("MaxPool", LINE, kernel_shape=[3]), LINE),
    "AveragePool 3": (one_node("AveragePool", VOLUME, kernel_shape=[2, 2, 2]), VOLUME),
    "MaxPool uneven up": (
        one_node("MaxPool", IMAGE, kernel_shape=[3, 3], pads=[0, 1, 1, 0], ceil_mode=1, opset=18, **TWO),
        IMAGE,
    ),
    "MaxPool uneven dilated": (
        one_node("MaxPool", IMAGE, kernel_shape=[3, 3], pads=[0, 1, 1, 0], dilations=[2, 2]),
        IMAGE,
    ),
    "MaxPool dilated": (one_node("MaxPool", IMAGE, kernel_shape=[3, 3], dilations=[2, 2]), IMAGE),
    "AveragePool counted": (
        one_node("AveragePool", IMAGE, kernel_shape=[3, 3], pads=[0, 1, 1, 0], count_include_pad=1),
        IMAGE,
    ),
    **{
        f"{kind} {x.ndim}": (one_node(kind, x), x)
        for kind in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
        for x in (LINE, IMAGE)
    },
    "BatchNormalization": (
        one_node("BatchNormalization", IMAGE, f(4), f(4), f(4), np.abs(f(4)) + 0.1, epsilon=1e-3),
        IMAGE,
    ),
    "InstanceNormalization": (one_node("InstanceNormalization", IMAGE, f(4), f(4)), IMAGE),
    "GroupNormalization 18": (
        one_node("GroupNormalization", IMAGE, f(2), f(2), num_groups=2, opset=18),
        IMAGE,
    ),
    "GroupNormalization 21": (
        one_node("GroupNormalization", IMAGE, f(4), f(4), num_groups=2, opset=21),
        IMAGE,
    ),
    "LayerNormalization": (one_node("LayerNormalization", LINE, f(10), f(10)), LINE),
    "LayerNormalization 1": (one_node("LayerNormalization", IMAGE, f(4, 9, 9), axis=1), IMAGE),
    "RMSNormalization": (one_node("RMSNormalization", LINE, f(10), opset=23), LINE),
    "LRN": (one_node("LRN", DEEP, size=5, alpha=0.1, beta=0.7, bias=1.5), DEEP),
    "LpNormalization 1": (one_node("LpNormalization", LINE, p=1), LINE),
    "LpNormalization 2": (one_node("LpNormalization", LINE, axis=1), LINE),
    "Resize cubic": (
        one_node("Resize", IMAGE, NONE, np.array([1, 1, 2, 2], np.float32), mode="cubic"),
        IMAGE,
    ),
    "Resize axes": (
        one_node("Resize", IMAGE, NONE, np.array([2, 2], np.float32), mode="linear", axes=[2, 3], opset=18),
        IMAGE,
    ),
    "Resize 1": (one_node("Resize", LINE, NONE, np.array([1, 1, 2], np.float32), mode="linear"), LINE),
}


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_onnxruntimes(name, tmp_path):
    model, *inputs = CASES[name]
    check_same(model, tmp_path, *inputs)


COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@pytest.mark.parametrize("how", COORDINATES)
@pytest.mark.parametrize("factors", [(2, 2), (1.5, 0.7), (3, 2)])
def test_resizing_is_onnxruntimes(how, factors, tmp_path):
    scales = np.array([1, 1, *factors], np.float32)
    common = {"coordinate_transformation_mode": how, "opset": 19}
    for nearest in ROUNDINGS:
        check_same(
            one_node("Resize", IMAGE, NONE, scales, mode="nearest", nearest_mode=nearest, **common),
            tmp_path,
            IMAGE,
        )
    check_same(one_node("Resize", IMAGE, NONE, scales, mode="linear", **common), tmp_path, IMAGE)
    sizes = np.array([3, 4, 13, 5])
    for mode in ("nearest", "linear"):
        check_same(one_node("Resize", IMAGE, None, None, sizes, mode=mode, **common), tmp_path, IMAGE)


REFUSED = {
    "an odd size": one_node("LRN", DEEP, size=4),
    "the largest values alone": one_node("MaxPool", IMAGE, kernel_shape=[2, 2], outputs=2),
    "without dilation": one_node("AveragePool", IMAGE, kernel_shape=[2, 2], dilations=[2, 2], opset=19),
    "batch norm in eval mode": one_node(
        "BatchNormalization", IMAGE, f(4), f(4), f(4), np.abs(f(4)), training_mode=1, outputs=3, opset=15
    ),
    "plain resizing": one_node("Resize", IMAGE, NONE, np.ones(4, np.float32), antialias=1, opset=18),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_a_layer_cannot_do_is_refused_with_its_node(message, tmp_path):
    module = read_onnx(saved(REFUSED[message], tmp_path))
    kind = REFUSED[message].graph.node[0].op_type
    with pytest.raises(InputError, match=f"node 'the {kind}'.*{message}"):
        given(module, DEEP if kind == "LRN" else IMAGE)


def test_layers_are_quantized(tmp_path):
    x = f(20, 3, 12, 12)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="first", pads=[0, 0, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "g", "g", "g", "v"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("AveragePool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("MaxPool", ["d"], ["p"], kernel_shape=[3, 3], auto_pad="SAME_LOWER"),
        helper.make_node("MaxPool", ["p"], ["q"], kernel_shape=[2, 3], auto_pad="SAME_UPPER", strides=[1, 2]),
        helper.make_node("ConvTranspose", ["q", "t"], ["e"], name="second", strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["e"], ["h"]),
        helper.make_node("Flatten", ["h"], ["y"]),
    ]
    constants = {"w": f(4, 3, 3, 3), "g": f(4), "v": np.abs(f(4)) + 1, "t": f(4, 5, 2, 2)}
    module = check_same(model_of(nodes, {"x": x}, constants=constants), tmp_path, x)
    graph = check_quantized(module, x)
    assert [layer.name for layer in graph.layers] == ["first", "second"]
