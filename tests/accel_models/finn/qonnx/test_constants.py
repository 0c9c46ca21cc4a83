"""Constants of files: stored, and made by quantizers and transpositions."""

import numpy as np
import pytest

from accel_models.finn.qonnx import constants
from accel_models.finn.qonnx.constants import stored
from accel_models.finn.qonnx.operator import Constant, Operator
from accel_models.finn.qonnx.reader import read_qonnx
from tests.helpers.qonnx_files import numpy_helper, small
from xbarsim.errors import InputError


def computed(line):
    return line.op("Mul", line.node("Sqrt", line.const(2.0)))


REFUSED = {
    "computed": (lambda: computed(small()), "sqrt.*one to compute.*qonnx-cleanup"),
    "wide weights": (lambda: small().conv(3, 3, (2, 2), 12), "at most 8 bits"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_node_and_with_a_remedy(case, tmp_path):
    build, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        read_qonnx(build().save(tmp_path))


def node(kind, *values, **attributes):
    return Operator("n", kind, -1, {i: Constant(np.asarray(v)) for i, v in enumerate(values)}, attributes)


@pytest.mark.parametrize(
    ("attributes", "bits", "expected"),
    [
        ({}, 3, [-3, -2, 0, 2, 3]),  # narrow: -4 is left out
        ({"narrow": 0}, 3, [-4, -2, 0, 2, 3]),
        ({"signed": 0, "narrow": 0}, 2, [0, 0, 0, 2, 3]),
        ({"signed": 0}, 2, [0, 0, 0, 2, 2]),
        ({"rounding_mode": "FLOOR"}, 3, [-3, -2, 0, 1, 3]),
        ({"rounding_mode": "CEIL"}, 3, [-3, -1, 1, 2, 3]),
    ],
)
def test_quantizers_make_integers_of_their_range(attributes, bits, expected):
    given = np.array([-9.0, -1.5, 0.5, 1.5, 9.0]) * 0.25
    found = constants.computed(node("Quant", given, 0.25, 0.0, float(bits), **attributes))
    assert found.numbers.tolist() == expected
    assert found.values.tolist() == [0.25 * n for n in expected]
    assert found.bits == bits + (attributes.get("signed", 1) == 0)


def test_one_signed_bit_is_bipolar():
    for made in (node("Quant", [0.0, -2.0], 0.5, 0.0, 1.0), node("BipolarQuant", [0.0, -2.0], 0.5)):
        found = constants.computed(made)
        assert (found.numbers.tolist(), found.bits) == ([1, -1], 1)
        assert found.values.tolist() == [0.5, -0.5]


def test_transpositions_and_identities_of_constants():
    source = np.arange(6).reshape(2, 3)
    assert (constants.computed(node("Transpose", source)).numbers == source.T).all()
    assert (constants.computed(node("Transpose", source, perm=[0, 1])).numbers == source).all()
    assert (constants.computed(node("Identity", source)).numbers == source).all()
    with pytest.raises(InputError, match="an order of the axes"):
        constants.computed(node("Transpose", source, perm=[0, 0]))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (node("Sqrt", 2.0), "constants that are stored, got one to compute"),
        (node("Quant", [1.0], 0.25, 1.0, 3.0), "constants without a zero point"),
        (node("Quant", [1.0], 0.0, 0.0, 3.0), "scales above 0"),
        (node("Quant", [np.inf], 0.5, 0.0, 3.0), "finite numbers"),
        (node("Quant", [1.0], 0.5, 0.0, 2.5), "bits: expected an integer"),
        (node("Quant", [1.0, 2.0], [0.5, 0.5, 0.5], 0.0, 3.0), "a scale that fits"),
        (node("Quant", [1.0], 0.5, 0.0, 3.0, rounding_mode="UP"), "rounding by ROUND, HALF_EVEN"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_node(made, words):
    with pytest.raises(InputError, match=rf"node 'n' \({made.kind}\).*{words}"):
        constants.computed(made)


def test_stored_tensors_are_real_numbers():
    assert stored(numpy_helper.from_array(np.array([1.5, 2.0], np.float32), "t")).tolist() == [1.5, 2.0]
    words = numpy_helper.from_array(np.array(["a"], object), "t")
    with pytest.raises(InputError, match="tensor 't': expected real numbers"):
        stored(words)
