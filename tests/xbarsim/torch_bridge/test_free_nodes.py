"""Operators with free scales in torch: the chip's numbers forward, slopes backward."""

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import xbarsim as xb
from accel_models.reram.config import ReramConfig
from tests.helpers.any_networks import random_network
from tests.helpers.placements import in_weights
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.graph.digital import Concat, Product, Spread, Sum, Table, WindowSum
from xbarsim.graph.grid import Grid
from xbarsim.graph.nodes import AvgPool
from xbarsim.graph.rescale import (
    Rescale,
    Slopes,
    WeightedSum,
    affine_multipliers,
    multipliers,
    shared_multipliers,
)
from xbarsim.graph.window import Window
from xbarsim.torch_bridge.free_nodes import free_node
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.torch_bridge.quantize import quantize

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
FEW = settings(max_examples=settings().max_examples // 30, phases=(Phase.explicit, Phase.generate))
SOURCE = Grid(scale=0.05, zero=100)


@FEW
@given(st.integers(0, 2**32))
def test_modules_in_float64_give_what_the_chip_gives_healthy_and_faulty_and_gradients_are_finite(seed):
    module, x = random_network(seed, blocks=3)
    graph = quantize(module, x, weight_bits=8, activation_bits=8, scales="channel")
    array = ArrayConfig(format=WeightFormat(weight_bits=8), input_bits=8)
    healthy = ReramConfig(array=array).program(graph)
    drawn = xb.StuckCells(rate=0.05).draw(healthy.geometry, np.random.default_rng(seed))
    for chip in (healthy, healthy.inject(in_weights(healthy.placement, drawn))):
        bridge = ChipModule(graph, array.format, chip.training_masks(), dtype=torch.float64)
        scores = bridge(torch.tensor(x[:4]).double())
        wanted = chip.run(x[:4]).scores
        assert np.abs(scores.detach().numpy() - wanted).max() <= 1e-9 * max(np.abs(wanted).max(), 1)
        scores.square().sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in bridge.parameters())


def rescale(gains, shifts):
    m, n, b = affine_multipliers(np.array(gains), np.array(shifts), 2**10)
    return Rescale(
        name="r", scale=0.1, zero=90, bits=8, multipliers=m, shifts=n, offsets=b, source_zero=SOURCE.zero
    )


def table(function):
    own = Grid(scale=0.1, zero=90)
    held = own.to_integers(function(SOURCE.to_numbers(np.arange(256))), 0, 255)
    return Table(name="t", table=held, low=0, scale=own.scale, zero=own.zero)


def weighted_sum(*ratios):
    m, shift = shared_multipliers(ratios, 2**10)
    zeros = (SOURCE.zero,) * len(ratios)
    return WeightedSum(name="s", scale=0.1, zero=90, bits=8, multipliers=m, shift=shift, source_zeros=zeros)


def slopes(above, *below):
    given = (*multipliers(np.array([above]), 2**10), *multipliers(np.array(below), 2**10))
    names = ("multipliers", "shifts", "multipliers_below", "shifts_below")
    return Slopes(
        name="p", scale=0.1, zero=90, bits=8, source_zero=SOURCE.zero, **dict(zip(names, given, strict=True))
    )


IMAGE = Window(kernel=(2, 3), stride=(1, 2), padding=((1, 0), (0, 1)))
NODES = {
    "rescale": (rescale([0.4], [0.0]), 1),
    "rescale by channel": (rescale([0.4, -0.3, 2.0], [3.0, -5.5, 0.0]), 1),
    "slopes": (slopes(0.4, 0.1, -0.3, 0.0), 1),
    "table": (table(np.tanh), 1),
    "falling table": (table(lambda x: np.exp(-x)), 1),
    "weighted sum": (weighted_sum(0.4, -0.7), 2),
    "product": (Product(name="p", zeros=(SOURCE.zero, SOURCE.zero)), 2),
    "sum": (Sum(name="s", axes=(-1, -3), keepdims=True, count=18, source_zero=SOURCE.zero), 1),
    "window sum": (WindowSum(name="w", window=IMAGE, source_zero=SOURCE.zero), 1),
    "average": (AvgPool(name="a", window=IMAGE, count_padding=False, zero=SOURCE.zero), 1),
    "concatenation": (Concat(name="c", axis=2), 2),
    "spread": (Spread(name="s", steps=(2, 3), padding=((1, -1), (-2, 2)), zero=SOURCE.zero), 1),
}


def drawn_sources(count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (2, 3, 4, 6)) for _ in range(count)]


@pytest.mark.parametrize("case", NODES)
def test_numbers_are_those_of_the_nodes_integers(case):
    node, count = NODES[case]
    integers = drawn_sources(count)
    numbers = [torch.from_numpy(SOURCE.to_numbers(v)) for v in integers]
    found = free_node(node, numbers, [SOURCE] * count)
    wanted = node.grid([SOURCE] * count).to_numbers(node.forward(*integers))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12, atol=1e-12)


def smooth(case):
    """What torch computes without a rounding."""
    pooled = lambda x: F.avg_pool2d(F.pad(x, (0, 1, 1, 0)), IMAGE.kernel, IMAGE.stride)  # noqa: E731
    return {
        "product": lambda x, y: x * y,
        "sum": lambda x: x.mean((-1, -3), keepdim=True),
        "window sum": pooled,
        "concatenation": lambda x, y: torch.cat([x, y], 2),
    }[case]


@pytest.mark.parametrize("case", ["product", "sum", "window sum", "concatenation"])
def test_gradients_are_those_of_the_operator_without_rounding(case):
    node, count = NODES[case]
    numbers = [SOURCE.to_numbers(v) for v in drawn_sources(count)]
    one, other = ([torch.from_numpy(v.copy()).requires_grad_() for v in numbers] for _ in range(2))
    found = free_node(node, one, [SOURCE] * count)
    factors = torch.from_numpy(np.random.default_rng(1).normal(size=found.shape))
    (found * factors).sum().backward()
    (smooth(case)(*other) * factors).sum().backward()
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def gradient_and_differences(node, others=0, step=20):
    """At every integer of a source that leaves room: the gradient, and the node's slope over some steps."""
    at = np.arange(step, 256 - step)
    integers = np.repeat(at[:, None], 3, axis=1)
    rest = [np.full_like(integers, SOURCE.zero)] * others
    grids = [SOURCE] * (1 + others)
    x = torch.from_numpy(SOURCE.to_numbers(integers)).requires_grad_()
    fixed = [torch.from_numpy(SOURCE.to_numbers(v)) for v in rest]
    free_node(node, [x, *fixed], grids).sum().backward()
    up, down = (node.forward(integers + s, *rest) for s in (step, -step))
    inside = (up > 0) & (up < 255) & (down > 0) & (down < 255)
    slopes = (up - down) * node.scale / (2 * step * SOURCE.scale)
    return x.grad.numpy(), slopes, inside


@pytest.mark.parametrize("case", ["rescale", "rescale by channel", "weighted sum"])
def test_gradients_of_rescaling_are_the_slopes_where_nothing_saturates(case):
    node, count = NODES[case]
    found, slopes, inside = gradient_and_differences(node, count - 1)
    assert inside.any()
    np.testing.assert_allclose(found[inside], slopes[inside], atol=0.11 / (2 * 20 * SOURCE.scale))
    assert (np.sign(found[inside]) == np.sign(slopes[inside])).all()
    saturated = rescale([1.0], [1e4])
    found, _, inside = gradient_and_differences(saturated)
    assert not inside.any() and not found.any()


def test_gradients_of_slopes_are_those_of_the_values_side():
    node, _ = NODES["slopes"]
    found, _, _ = gradient_and_differences(node)
    below = np.arange(20, 236) < SOURCE.zero
    factors = np.where(below[:, None], [0.1, -0.3, 0.0], 0.4) * node.scale / SOURCE.scale
    np.testing.assert_allclose(found, factors, atol=1e-6)


@pytest.mark.parametrize("case", ["table", "falling table"])
def test_gradients_of_tables_are_the_slopes_next_to_the_value(case):
    node, _ = NODES[case]
    found, slopes, inside = gradient_and_differences(node, step=1)
    np.testing.assert_allclose(found[inside], slopes[inside], atol=1e-9)
    coarse, over_steps, far = gradient_and_differences(node, step=20)
    assert np.isfinite(coarse).all()
    rising = 1 if case == "table" else -1
    assert (rising * coarse >= 0).all() and (rising * over_steps[far] >= 0).all()


def test_a_spread_gives_every_value_its_gradient_and_the_zeros_none():
    node, _ = NODES["spread"]
    x = torch.from_numpy(SOURCE.to_numbers(drawn_sources(1)[0])).requires_grad_()
    found = free_node(node, [x], [SOURCE])
    factors = torch.from_numpy(np.random.default_rng(1).normal(size=found.shape))
    (found * factors).sum().backward()
    # (4, 6) by steps of (2, 3) is (7, 16); rows: one more before, one less after; columns: two less, two more
    wide = factors[:, :, 1:, :]
    wide = F.pad(wide, (2, 0, 0, 1))[:, :, :7, :16]
    torch.testing.assert_close(x.grad, wide[:, :, ::2, ::3])
