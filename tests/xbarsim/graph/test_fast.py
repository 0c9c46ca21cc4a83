"""Every node with a fast way: what its own `forward` gives, whatever the layout in memory."""

import numpy as np
import pytest

from xbarsim.graph.beside import Dequantize
from xbarsim.graph.digital import Concat, Product, Sum, Table
from xbarsim.graph.fast import added, fast, in_memory_order
from xbarsim.graph.nodes import Add, AvgPool, Flatten, MaxPool, Relu, Requantize
from xbarsim.graph.rescale import Rescale, WeightedSum, multipliers
from xbarsim.graph.window import Window

RNG = np.random.default_rng(0)
ONE, TWO = {"name": "n", "sources": ("x",)}, {"name": "n", "sources": ("x", "y")}
WINDOW = Window(kernel=(3, 2), stride=(2, 1), padding=((1, 1), (0, 1)))
PER_CHANNEL = multipliers(RNG.random(5) / 200, 2**20)
OF_ONE = [
    Requantize(**ONE, shift=9, bits=8, signed=True),
    Requantize(**ONE, shift=-2, bits=16, signed=False),
    Rescale(**ONE, scale=1.0, zero=3, bits=8, multipliers=PER_CHANNEL[0], shifts=PER_CHANNEL[1],
            offsets=np.arange(5) << 20, source_zero=2),
    Rescale(**ONE, scale=1.0, bits=8, multipliers=PER_CHANNEL[0][:1], shifts=PER_CHANNEL[1][:1],
            offsets=np.zeros(1, np.int64), meant=(True, False)),
    Dequantize(**ONE, source_scale=RNG.random(5), source_zero=4),
    Dequantize(**ONE, source_scale=0.3),
    MaxPool(**ONE, window=WINDOW),
    AvgPool(**ONE, window=WINDOW, zero=7),
    AvgPool(**ONE, window=WINDOW, count_padding=False),
    Sum(**ONE, axes=(-2, -1), keepdims=True, count=30, source_zero=3),
    Relu(**ONE),
    Flatten(**ONE),
]  # fmt: skip
OF_TWO = [
    WeightedSum(**TWO, scale=1.0, zero=9, bits=8, multipliers=(12345, -999), shift=30, source_zeros=(3, 0)),
    Product(**TWO, zeros=(3, 1)),
    Concat(**TWO, axis=1),
]


def tensor(layout, low=-(2**18), high=2**18):
    """(4, 5, 6, 5) integers in float32, laid out in memory in one of three ways."""
    x = RNG.integers(low, high, (4, 5, 6, 5))
    order = {"channels last": (0, 2, 3, 1), "as they come": (0, 1, 2, 3), "turned": (3, 1, 2, 0)}[layout]
    return x, x.transpose(order).astype(np.float32, order="C").transpose(np.argsort(order))


@pytest.mark.parametrize("layout", ["channels last", "as they come", "turned"])
@pytest.mark.parametrize("node", OF_ONE + OF_TWO, ids=lambda node: type(node).__name__)
def test_a_node_gives_what_it_defines(node, layout):
    pairs = [tensor(layout) for _ in node.sources]
    integers, floats = [list(part) for part in zip(*pairs, strict=True)]
    found, outside = fast(node)(*floats)
    wanted = node.forward(*(x.copy() for x in integers))
    assert found.shape == wanted.shape and (found == wanted).all()
    assert outside == (node.saturated(*integers) if hasattr(node, "saturated") else 0)


def test_a_table_of_sixteen_bits():
    node = Table(**ONE, table=RNG.integers(-(2**15), 2**15, 2**16), low=0, scale=1.0)
    x, held = tensor("channels last", 0, 2**16)
    assert (fast(node)(held)[0] == node.forward(x)).all()


def test_a_table_that_float32_does_not_hold_has_no_fast_way():
    assert fast(Table(**ONE, table=np.array([2**25 + 1]), low=0, scale=1.0)) is None


@pytest.mark.parametrize("shift", [3, 0, -2])
def test_a_sum_and_its_rounding_in_one(shift):
    add, node = Add(**TWO, shifts=(2, 0)), Requantize(**ONE, shift=shift, bits=16, signed=True)
    (x, held), (y, other) = tensor("channels last", -(2**15), 2**15), tensor("as they come", -(2**15), 2**15)
    found, outside = added(add, node)(held, other)
    total = add.forward(x, y)
    assert (found == node.forward(total.copy())).all() and outside == node.saturated(total)


def test_tensors_of_other_shapes_or_types_are_left_to_the_definition():
    node = OF_TWO[0]
    x = np.zeros((2, 3), np.float32)
    assert fast(node)(x, x[:, :1]) is None and fast(node)(x, x.astype(np.float64)) is None


def test_vectors_follow_the_first_tensors_memory():
    _, held = tensor("turned")
    (flat, other), back = in_memory_order(held, held + 1)
    assert np.shares_memory(flat, held) and (back(flat) == held).all() and (other == flat + 1).all()
