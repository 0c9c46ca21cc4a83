"""Tables, products, sums and moves of integers against loops, numpy and torch."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.twins.digital import spread, window_sums
from xbarsim.graph.digital import Concat, Move, Product, Spread, Sum, Table, WindowSum
from xbarsim.graph.grid import Grid
from xbarsim.graph.integer_graph import exact_product
from xbarsim.graph.nodes import MatMul
from xbarsim.graph.window import Window

CONVOLVE = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def draw_integers(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, shape)


def numbers(node, grids, *values):
    """What a node's integers stand for, and what those of its sources do."""
    own = node.grid(grids).to_numbers(node.forward(*values))
    return own, [grid.to_numbers(v) for grid, v in zip(grids, values, strict=True)]


@pytest.mark.parametrize("low", [0, -128])
def test_tables_hold_a_value_for_every_integer(low):
    held = np.random.default_rng(0).integers(0, 256, 256)
    node = Table(name="t", sources=("x",), table=held, low=low, scale=0.25, zero=3)
    x = np.arange(low, low + 256).reshape(2, 4, 32)
    assert node.forward(x).tolist() == [[[held[v - low] for v in row] for row in part] for part in x.tolist()]
    assert (node.grid([Grid(scale=1.0)]).scale, node.grid([None]).zero) == (0.25, 3)
    assert node.kind == "table"


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32))
def test_products_multiply_what_the_integers_stand_for(one, other, seed):
    node = Product(name="p", sources=("x", "y"), zeros=(one, other))
    grids = [Grid(scale=0.5, zero=one), Grid(scale=0.125, zero=other)]
    values = draw_integers(seed, (2, 3, 4)), draw_integers(seed + 1, (2, 3, 1))
    found, (x, y) = numbers(node, grids, *values)
    assert (found == x * y).all()


@given(st.lists(st.sampled_from([-1, -2, -3]), min_size=1, unique=True), st.booleans(), st.integers(0, 255))
def test_sums_are_the_means_of_what_the_integers_stand_for(axes, keepdims, zero):
    values = draw_integers(zero, (2, 3, 4, 5))
    count = int(np.prod([values.shape[a] for a in axes]))
    node = Sum(name="s", axes=tuple(axes), keepdims=keepdims, count=count, source_zero=zero)
    found, (x,) = numbers(node, [Grid(scale=0.3, zero=zero)], values)
    np.testing.assert_allclose(found, x.mean(tuple(axes), keepdims=keepdims), atol=1e-12)
    total = Sum(name="s", axes=tuple(axes), keepdims=keepdims, count=1, source_zero=zero)
    assert (total.forward(values) == (values - zero).sum(tuple(axes), keepdims=keepdims)).all()


@st.composite
def windows(draw):
    axes = draw(st.integers(1, 3))
    pick = st.tuples(*[st.integers(1, 3)] * axes)
    pads = st.tuples(*[st.tuples(st.integers(0, 1), st.integers(0, 1))] * axes)
    return Window(kernel=draw(pick), stride=draw(pick), padding=draw(pads), dilation=(1,) * axes)


@given(windows(), st.integers(0, 255))
def test_window_sums_are_those_of_the_loop_and_the_mean_of_torch(window, zero):
    sizes = (5, 4, 3)[: len(window.kernel)]
    x = draw_integers(zero, (2, 2, *sizes))
    node = WindowSum(name="w", sources=("x",), window=window, source_zero=zero)
    assert (node.forward(x) == window_sums(x, window, zero)).all()
    if all(low == high <= k // 2 for (low, high), k in zip(window.padding, window.kernel, strict=True)):
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(sizes) - 1]
        found, (numbers_of_x,) = numbers(node, [Grid(scale=0.3, zero=zero)], x)
        padding = tuple(low for low, _ in window.padding)
        wanted = pool(torch.tensor(numbers_of_x), window.kernel, window.stride, padding).numpy()
        np.testing.assert_allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concatenation_is_that_of_numpy(axis):
    x = draw_integers(0, (2, 3, 4, 4))
    grid = Grid(scale=0.5, zero=3)
    node = Concat(name="c", sources=("x", "x"), axis=axis)
    assert (node.forward(x, x + 1) == np.concatenate([x, x + 1], axis)).all()
    assert node.grid([grid, grid]) is grid


@st.composite
def spreads(draw):
    axes = draw(st.integers(1, 3))
    sizes = draw(st.tuples(*[st.integers(1, 4)] * axes))
    steps = draw(st.tuples(*[st.integers(1, 4)] * axes))
    padding = draw(st.tuples(*[st.tuples(st.integers(-4, 3), st.integers(-4, 3))] * axes))
    inner = [(n - 1) * step + 1 for n, step in zip(sizes, steps, strict=True)]
    # what is cut off has to be there; padding at one end is none for the other
    assume(all(n + min(a, 0) + min(b, 0) > 0 for n, (a, b) in zip(inner, padding, strict=True)))
    return sizes, steps, padding


@given(spreads(), st.integers(0, 9))
def test_spread_puts_zeros_between_and_around(setting, zero):
    sizes, steps, padding = setting
    x = draw_integers(zero, (2, 2, *sizes)) + 10
    found = Spread(name="s", steps=steps, padding=padding, zero=zero).forward(x)
    assert np.array_equal(found, spread(x, steps, padding, zero))


@st.composite
def transposed(draw):
    axes = draw(st.integers(1, 3))
    pick = lambda low, high: draw(st.tuples(*[st.integers(low, high)] * axes))  # noqa: E731
    kernel, stride, dilation, sizes = pick(1, 3), pick(1, 3), pick(1, 2), pick(2, 4)
    padding = tuple(draw(st.integers(0, d * (k - 1))) for k, d in zip(kernel, dilation, strict=True))
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    out = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(sizes, stride, padding, dilation, kernel, extra, strict=True)
    ]
    assume(min(out) > 0)
    return sizes, kernel, stride, padding, extra, dilation


@given(transposed(), st.sampled_from([1, 2]), st.integers(0, 200))
def test_transposed_convolution_is_a_product_of_spread_inputs(setting, groups, zero):
    sizes, kernel, stride, padding, extra, dilation = setting
    axes = len(sizes)
    rng = np.random.default_rng(zero)
    x, w = rng.integers(0, 256, (2, 4, *sizes)), rng.integers(-9, 9, (4, 6 // groups, *kernel))
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    around = tuple((r - p, r - p + e) for r, p, e in zip(reach, padding, extra, strict=True))
    wide = Spread(name="s", steps=stride, padding=around, zero=zero).forward(x)
    flipped = np.flip(w, tuple(range(2, 2 + axes))).reshape(groups, 4 // groups, 6 // groups, -1)
    weights = flipped.transpose(0, 1, 3, 2).reshape(groups, -1, 6 // groups)
    layer = MatMul(
        name="c",
        weights=weights,
        bias=-zero * weights.sum(1).reshape(-1),
        weight_fraction=0,
        input_bits=8,
        input_signed=False,
        window=Window(kernel=kernel, stride=(1,) * axes, padding=((0, 0),) * axes, dilation=dilation),
        input_zero=zero,
    )
    real = torch.tensor(x - zero, dtype=torch.float64), torch.tensor(w, dtype=torch.float64)
    wanted = CONVOLVE[axes - 1](*real, None, stride, padding, extra, groups, dilation)
    assert (layer.apply(wide, exact_product) == wanted.numpy()).all()


def test_moves_call_what_they_are_given_and_keep_the_grid():
    grid = Grid(scale=0.5, zero=3)
    node = Move(name="m", sources=("x",), function=lambda x: x.transpose(0, 2, 1))
    x = draw_integers(0, (2, 3, 4))
    assert (node.forward(x) == x.swapaxes(1, 2)).all()
    assert node.grid([grid]) is grid and node.kind == "integer"
