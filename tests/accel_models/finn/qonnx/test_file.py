"""Files as lines of operators: anything but a line of them is refused in one line."""

import sys

import numpy as np
import pytest

from accel_models.finn.qonnx.reader import read_qonnx
from tests.helpers.qonnx_files import TensorProto, helper, small, valid
from xbarsim.errors import InputError


def branch(line):
    line.tensor = line.node("Add", line.tensor, line.node("Relu", line.tensor))
    return line


def test_damaged_files_are_refused_in_one_line(tmp_path):
    content = valid().SerializeToString()
    path = tmp_path / "net.onnx"
    rng = np.random.default_rng(0)
    damaged = [b"", b"\x00", b"no onnx", rng.bytes(5000), content[: len(content) // 2], content[:-7]]
    for _ in range(60):
        copy = bytearray(content)
        for place in rng.integers(len(copy), size=3):
            copy[place] = rng.integers(256)
        damaged.append(bytes(copy))
    for each in damaged:
        path.write_bytes(each)
        try:
            read_qonnx(path)
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"\x00", b"no onnx", b"\xff" * 100])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected"):
        read_qonnx(path)


def test_missing_files_folders_and_large_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_qonnx(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="a folder"):
        read_qonnx(tmp_path)
    large = tmp_path / "large.onnx"
    with large.open("wb") as file:
        file.truncate(10**9 + 1)
    with pytest.raises(InputError, match="at most 1 GB"):
        read_qonnx(large)


def test_external_data_is_not_followed(tmp_path):
    model = valid()
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"external data.*one file"):
        read_qonnx(path)


def test_several_inputs_or_outputs_are_refused(tmp_path):
    path = tmp_path / "net.onnx"
    for part in ("input", "output"):
        model = valid()
        getattr(model.graph, part).append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
        path.write_bytes(model.SerializeToString())
        with pytest.raises(InputError, match="one input and one output"):
            read_qonnx(path)


def test_a_loop_ends(tmp_path):
    model = valid()
    model.graph.node[0].output[0] = model.graph.node[0].input[0]
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="a chain"):
        read_qonnx(path)


def test_without_the_extra_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'xbarsim\[qonnx\]'"):
        read_qonnx(tmp_path / "net.onnx")


REFUSED = {
    "branch": (lambda: branch(small()), "add.*one input that is no constant.*take branches out"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_node_and_with_a_remedy(case, tmp_path):
    build, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        read_qonnx(build().save(tmp_path))
