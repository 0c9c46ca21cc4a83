"""ONNX files are data: what is odd, old, large, elsewhere or out of order is refused in one line."""

import os

import numpy as np
import pytest

from tests.helpers.onnx_models import given, helper, model_of, numpy_helper, onnx, saved, wanted
from xbarsim.errors import InputError
from xbarsim.torch_bridge.onnx_file import is_qonnx, read_graph, single
from xbarsim.torch_bridge.onnx_import import read_onnx

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
WEIGHT = np.random.default_rng(1).standard_normal((3, 2)).astype(np.float32)
N = helper.make_node


def linear(**options):
    node = N("MatMul", ["x", "w"], ["y"], name="the product")
    return model_of([node], {"x": X}, ("y",), {"w": WEIGHT}, **options)


def external(location, **entries):
    """The model with its weights in another file."""
    model = linear()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return model


def test_a_graph_is_read(tmp_path):
    graph = read_graph(saved(linear(), tmp_path))
    assert [(v.name, v.sizes, v.floats) for v in graph.inputs] == [("x", (None, 3), True)]
    assert graph.outputs == ("y",) and list(graph.constants) == ["w"]
    (node,) = graph.nodes
    assert (node.name, node.kind, node.opset) == ("the product", "MatMul", 17)
    assert node.where.endswith("net.onnx, node 'the product' (MatMul)")


def test_half_and_double_precision_become_single(tmp_path):
    assert single(np.ones(2, np.float16)).dtype == np.float32
    assert single(np.ones(2, np.int8)).dtype == np.int64 and single(np.ones(2, bool)).dtype == bool
    for dtype in (np.float16, np.float64):
        nodes = [N("Cast", ["x"], ["c"], to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))]
        nodes += [N("MatMul", ["c", "w"], ["m"]), N("Cast", ["m"], ["y"], to=1)]
        model = model_of(nodes, {"x": X}, ("y",), {"w": WEIGHT.astype(dtype)})
        (own,) = given(read_onnx(saved(model, tmp_path)), X)
        np.testing.assert_allclose(own, wanted(model, X)[0], atol=1e-2)


@pytest.mark.parametrize("offset", [0, 64])
def test_weights_may_lie_beside_the_model(offset, tmp_path):
    (tmp_path / "w.data").write_bytes(bytes(offset) + WEIGHT.tobytes())
    path = saved(external("w.data", offset=offset, length=WEIGHT.nbytes), tmp_path)
    np.testing.assert_allclose(given(read_onnx(path), X)[0], X @ WEIGHT, rtol=1e-5)


@pytest.mark.parametrize("place", ["../w.data", "/etc/hostname", "", "..", "a/w.data", "a\\w.data", "link"])
def test_weights_elsewhere_are_not_followed(place, tmp_path):
    (tmp_path / "w.data").write_bytes(WEIGHT.tobytes())
    (tmp_path / "models").mkdir()
    os.symlink(tmp_path / "w.data", tmp_path / "models" / "link")
    with pytest.raises(InputError, match="tensor 'w': expected external data in a file beside the model"):
        read_graph(saved(external(place), tmp_path / "models"))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": 9}, "numbers"),
        ({"offset": -1}, "numbers within"),
        ({"length": 10**9}, "numbers within"),
        ({"offset": "x"}, "a place"),
        ({"length": 4}, "numbers of its shape"),
    ],
)
def test_weights_that_are_not_there_are_refused(entries, message, tmp_path):
    (tmp_path / "w.data").write_bytes(WEIGHT.tobytes())
    with pytest.raises(InputError, match=message):
        read_graph(saved(external("w.data", **entries), tmp_path))
    with pytest.raises(InputError, match="tensor 'w'"):
        read_graph(saved(external("none.data"), tmp_path))


def test_the_limit_of_files_holds_for_weights_too(tmp_path, monkeypatch):
    (tmp_path / "w.data").write_bytes(bytes(5000))
    path = saved(external("w.data"), tmp_path)
    monkeypatch.setenv("XBARSIM_FILE_LIMIT", "2kB")
    with pytest.raises(InputError, match="at most 2 kB"):
        read_graph(path)


def of(*nodes, outputs=("y",)):
    return model_of(list(nodes), {"x": X}, outputs, {"w": WEIGHT})


def sparse():
    model = linear()
    values = helper.make_tensor("s", 1, [1], [1.0])
    places = helper.make_tensor("i", 7, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4]))
    return model


def shapeless():
    model = linear()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    return model


BAD = {
    "opset 13 or later, got 12; export it again, or convert it": linear(opset=12),
    "inputs that earlier nodes give, got 'z'": of(N("MatMul", ["z", "w"], ["y"])),
    "outputs with new names, got 'x'": of(N("MatMul", ["x", "w"], ["x"])),
    "outputs that nodes give, got 'u'": of(N("MatMul", ["x", "w"], ["y"]), outputs=("u",)),
    "inputs and outputs, got 1 and 0": of(N("MatMul", ["x", "w"], ["y"]), outputs=()),
    "dense weights": sparse(),
    "a tensor with a shape": shapeless(),
    "an ONNX file": b"\x08\x09no model",
    "one without a graph": b"",
    "read it with xb.read_qonnx": of(
        N("Quant", ["x", "w", "w", "w"], ["y"], domain="qonnx.custom_op.general")
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files_are_refused_in_one_line(message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        read_graph(saved(BAD[message], tmp_path))
    assert "net.onnx" in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.onnx"):
        with pytest.raises(InputError, match="an ONNX file"):
            read_graph(path)


def test_words_cannot_be_weights(tmp_path):
    model = linear()
    model.graph.initializer.append(numpy_helper.from_array(np.array(["a"], object), "words"))
    with pytest.raises(InputError, match="real numbers"):
        read_graph(saved(model, tmp_path))


def test_quantizers_make_a_qonnx_file(tmp_path):
    assert not is_qonnx(saved(linear(), tmp_path))
    quantized = of(N("BipolarQuant", ["x", "w"], ["y"], domain="qonnx.custom_op.general"))
    assert is_qonnx(saved(quantized, tmp_path))
