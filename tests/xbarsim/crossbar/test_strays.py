"""Weights between groups add what a product with the whole matrix adds."""

import numpy as np
import pytest

from xbarsim.crossbar.diagonal import on_diagonal
from xbarsim.crossbar.strays import strays_of
from xbarsim.graph.nodes import MatMul
from xbarsim.graph.window import Window


@pytest.mark.parametrize("kernel", [(3,), (3, 2), (2, 1, 2)])
def test_a_dense_product_gives_the_same(kernel):
    rng = np.random.default_rng(len(kernel))
    groups, cells = 4, int(np.prod(kernel))
    axes = len(kernel)
    window = Window(kernel=kernel, stride=(2,) * axes, padding=((1, 1),) * axes, dilation=(1,) * axes)
    weights = rng.integers(-9, 9, (groups, 2 * cells, 3))
    layer = MatMul(
        name="layer", sources=("x",), weights=weights, bias=np.zeros(12, np.int64), weight_fraction=0,
        input_bits=8, input_signed=False, input_zero=2, window=window,
    )  # fmt: skip
    x = rng.integers(0, 256, (2, 8, *(6,) * axes))
    parts, dense = [], np.zeros((groups * 2 * cells, 12), np.int64)
    for first in (0, 2):  # two matrices of two groups each
        whole = rng.integers(-5, 6, (4 * cells, 6)) * (rng.random((4 * cells, 6)) < 0.3)
        left = whole * (on_diagonal(np.ones((2, 2 * cells, 3), np.int64)) == 0)
        rows, columns = np.nonzero(left)
        parts.append((first * 2 * cells, first * 3, (rows, columns, left[rows, columns])))
        dense[first * 2 * cells : (first + 2) * 2 * cells, first * 3 : (first + 2) * 3] = left
    sums = layer.gather(list(layer.rows(x, np.int64) @ weights), x.shape).astype(np.float32)
    rows = layer.rows(x, np.int64).transpose(1, 0, 2).reshape(-1, groups * 2 * cells)
    wanted = sums + layer.gather([rows @ dense], x.shape)
    found = strays_of(layer, parts).add_to(sums, layer, x)
    assert (found == wanted).all()
