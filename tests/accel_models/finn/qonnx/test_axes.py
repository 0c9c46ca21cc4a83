"""Where rows, columns and channels are."""

import numpy as np
import pytest

from accel_models.finn.qonnx.reader import read_qonnx
from tests.helpers.qonnx_files import Line, TensorProto, assert_same, cnv, numpy_helper, small
from xbarsim.errors import InputError


@pytest.mark.parametrize("shape", [(1, -1), (-1, 18), (0, 18)])
def test_reshape_with_a_stored_shape_is_a_flatten(shape, tmp_path):
    line = cnv(1, Line.bipolar, 0)
    first = read_qonnx(line.save(tmp_path))
    place = next(i for i, c in enumerate(line.constants) if c.data_type == TensorProto.INT64)
    line.constants[place] = numpy_helper.from_array(np.array(shape), line.constants[place].name)
    second = read_qonnx(line.save(tmp_path), name="other")
    assert (first.layers[2].weights == second.layers[2].weights).all()
    assert (first.name, second.name) == ("line", "other")


def test_channels_last_input_and_flatten(tmp_path):
    line = Line((5, 6, 2), 7, channels_last=True).op("Transpose", perm=[0, 3, 1, 2]).cnv_input()
    line.conv(3, 2, (3, 3), 2).norm(3).quant(3, 0.25)
    line.op("Transpose", perm=[0, 2, 3, 1]).op("Flatten", axis=1)
    network = assert_same(line.linear(4, 36, 2), tmp_path)
    assert network.image == (5, 6, 2)


REFUSED = {
    "columns": (lambda: small().conv(3, 3, (1, 1), 2).plus([1.0, 2.0]), "add.*one a channel"),
    "broadcast": (lambda: small().conv(3, 3, (2, 2), 2).plus(np.ones((5, 5))), "add.*fits the data"),
    "axes": (lambda: small().conv(3, 3, (2, 2), 2).plus(np.ones((1,) * 5)), "add.*fits the data"),
    "reshape": (lambda: (line := small()).op("Reshape", line.const([1, 2, -1], np.int64)), "features"),
    "transpose": (lambda: small().op("Transpose", perm=[0, 1, 3, 2]), "channels moved"),
    "nan": (lambda: small().conv(3, 3, (2, 2), 2).plus(np.nan), "add.*finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_node_and_with_a_remedy(case, tmp_path):
    build, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        read_qonnx(build().save(tmp_path))
