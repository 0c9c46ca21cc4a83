"""Integer nodes do what PyTorch's operators do."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from xbarsim.errors import InputError
from xbarsim.graph.grid import Grid
from xbarsim.graph.integer_graph import exact_product
from xbarsim.graph.nodes import Add, AvgPool, MatMul, MaxPool, Requantize
from xbarsim.graph.window import Window


@st.composite
def pooling(draw):
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    stride = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = (draw(st.integers(4, 9)), draw(st.integers(4, 9)))
    return kernel, stride, padding, size, draw(st.booleans())


def images(size, seed=0):
    return np.random.default_rng(seed).integers(-50, 50, (2, 3, *size))


def window(kernel, stride, padding, ceil_mode):
    pads = tuple((p, p) for p in padding)
    dilation = (1,) * len(kernel)
    return Window(kernel=kernel, stride=stride, padding=pads, dilation=dilation, ceil_mode=ceil_mode)


@given(pooling())
def test_max_pool_is_that_of_torch(setting):
    kernel, stride, padding, size, ceil_mode = setting
    x = images(size)
    node = MaxPool(name="p", sources=("x",), window=window(kernel, stride, padding, ceil_mode))
    expected = F.max_pool2d(torch.tensor(x, dtype=torch.float64), kernel, stride, padding, 1, ceil_mode)
    assert (node.forward(x) == expected.numpy()).all()


@given(pooling(), st.booleans())
def test_average_pool_is_that_of_torch_rounded_half_up(setting, count_padding):
    kernel, stride, padding, size, ceil_mode = setting
    x = images(size)
    node = AvgPool(
        name="p",
        sources=("x",),
        window=window(kernel, stride, padding, ceil_mode),
        count_padding=count_padding,
    )
    options = {"ceil_mode": ceil_mode, "count_include_pad": count_padding}
    expected = F.avg_pool2d(torch.tensor(x, dtype=torch.float64), kernel, stride, padding, **options).numpy()
    # a quotient of small integers is at least 1/2400 away from the next rounding border, or on it
    assert (node.forward(x) == np.floor(expected + 0.5 + 1e-9)).all()


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 2),
    st.sampled_from([1, 2]),
    st.integers(),
)
def test_convolution_is_that_of_torch(kernel, stride, padding, dilation, groups, seed):
    rng = np.random.default_rng(abs(seed))
    x, w = rng.integers(-9, 9, (2, 4, 8, 7)), rng.integers(-9, 9, (6, 4 // groups, kernel, kernel))
    layer = MatMul(
        name="c",
        sources=("x",),
        weights=w.reshape(groups, 6 // groups, -1).transpose(0, 2, 1),
        bias=np.arange(6).reshape(1, 1, 6).reshape(-1),
        weight_fraction=0,
        input_bits=16,
        input_signed=True,
        window=Window(
            kernel=(kernel, kernel),
            stride=(stride, stride),
            padding=((padding, padding), (padding, padding)),
            dilation=(dilation, dilation),
        ),
    )
    tensors = (torch.tensor(a, dtype=torch.float64) for a in (x, w, layer.bias))
    flat_bias = F.conv2d(*tensors, stride, padding, dilation, groups).numpy()
    assert (layer.apply(x, exact_product).reshape(flat_bias.shape) == flat_bias).all()


@st.composite
def convolutions(draw):
    axes = draw(st.sampled_from([1, 3]))
    numbers = lambda low, high: draw(st.tuples(*[st.integers(low, high)] * axes))  # noqa: E731
    return numbers(1, 3), numbers(1, 3), numbers(0, 2), numbers(1, 2), draw(st.sampled_from([1, 2]))


@given(convolutions(), st.integers(0, 255))
def test_convolution_over_one_and_three_axes_is_that_of_torch_with_zeros_of_the_inputs_around(setting, zero):
    kernel, stride, padding, dilation, groups = setting
    rng = np.random.default_rng(zero)
    x = rng.integers(0, 256, (2, 4, *(6, 7, 5)[: len(kernel)]))
    w = rng.integers(-9, 9, (6, 4 // groups, *kernel))
    weights = w.reshape(groups, 6 // groups, -1).transpose(0, 2, 1)
    layer = MatMul(
        name="c",
        sources=("x",),
        weights=weights,
        bias=np.arange(6) - zero * weights.sum(axis=1).reshape(-1),
        weight_fraction=0,
        input_bits=8,
        input_signed=False,
        window=Window(
            kernel=kernel, stride=stride, padding=tuple((p, p) for p in padding), dilation=dilation
        ),
        input_zero=zero,
    )
    convolve = F.conv1d if len(kernel) == 1 else F.conv3d
    tensors = (torch.tensor(a, dtype=torch.float64) for a in (x - zero, w, np.arange(6)))
    assert (
        layer.apply(x, exact_product) == convolve(*tensors, stride, padding, dilation, groups).numpy()
    ).all()


@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5), (2, 3, 4, 5)])
def test_linear_layers_multiply_along_the_last_axis(shape):
    rng = np.random.default_rng(len(shape))
    x, w, bias = rng.integers(-9, 9, (2, *shape)), rng.integers(-9, 9, (5, 3)), np.array([1, -2, 3])
    options = {"weight_fraction": 1, "input_bits": 8, "input_signed": True}
    scales = np.array([1.0, 0.5, 3.0])
    layer = MatMul(name="l", weights=w[None], bias=bias, channel_scales=scales, **options)
    found = layer.apply(x, exact_product)
    assert found.shape == (2, *shape[:-1], 3) and (found == x @ w + bias).all()
    numbers = layer.grid([Grid(scale=0.25)]).to_numbers(found)
    assert (numbers == found * scales / 8).all()


@given(st.sampled_from([1, 3]), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(0, 255))
def test_average_pool_over_one_and_three_axes_keeps_its_zero_point(axes, kernel, stride, ceil_mode, zero):
    x = np.random.default_rng(zero).integers(0, 256, (2, 3, *(6, 7, 5)[:axes]))
    pad = kernel // 2
    node = AvgPool(
        name="p",
        sources=("x",),
        window=window((kernel,) * axes, (stride,) * axes, (pad,) * axes, ceil_mode),
        zero=zero,
    )
    pool = F.avg_pool1d if axes == 1 else F.avg_pool3d
    wanted = pool(torch.tensor(x - zero, dtype=torch.float64), kernel, stride, pad, ceil_mode).numpy()
    assert (node.forward(x) == np.floor(wanted + 0.5 + 1e-9) + zero).all()


def test_requantize_rounds_half_up_and_saturates():
    node = Requantize(name="q", sources=("x",), shift=2, bits=4, signed=True)
    assert node.forward(np.array([-6, -5, 5, 6, 100, -100])).tolist() == [-1, -1, 1, 2, 7, -8]
    wider = Requantize(name="q", sources=("x",), shift=-1, bits=8, signed=False)
    assert wider.forward(np.array([-3, 3, 200])).tolist() == [0, 6, 255]


def test_add_refuses_sources_that_do_not_align():
    node = Add(name="a", sources=("x", "y"), shifts=(1, 0))
    grids = [Grid(scale=2.0**-places) for places in (3, 4)]
    assert node.grid(grids).fraction == 4
    with pytest.raises(InputError, match="shifts"):
        node.grid(grids[:1] * 2)
