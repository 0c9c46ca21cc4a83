"""Integer networks: their wiring, their exact product, and who depends on whom."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.graphs import branching_graph, linear
from xbarsim.errors import InputError
from xbarsim.graph.grid import Grid
from xbarsim.graph.integer_graph import IntegerGraph, exact_product
from xbarsim.graph.nodes import Input, MatMul, Relu
from xbarsim.graph.rescale import Rescale, multipliers
from xbarsim.graph.saturation import SaturationWarning


def test_exact_product_does_not_lose_what_float64_would():
    weights = np.full((1, 300, 1), 2**31 - 1)
    layer = MatMul(
        name="l",
        sources=("x",),
        weights=weights,
        bias=np.zeros(1, np.int64),
        weight_fraction=0,
        input_bits=16,
        input_signed=False,
    )
    x = np.full((1, 300), 2**16 - 1)
    assert exact_product(layer, x)[0, 0] == 300 * (2**31 - 1) * (2**16 - 1)


def test_values_are_those_of_numpy():
    graph = branching_graph(seed=3)
    x = np.random.default_rng(1).integers(-8, 8, (5, 4))
    first, left, right, last = (layer.weights[0] for layer in graph.layers)
    start = np.maximum(x @ first, 0)
    expected = (start @ left + start @ right) @ last
    np.testing.assert_array_equal(graph.run(x.astype(float)), expected)
    assert graph.output_shape == (3,) and graph.shapes["sum"] == (4,)


def test_batches_change_nothing_and_are_reported():
    graph, seen = branching_graph(seed=0), []
    x = np.random.default_rng(0).normal(size=(7, 4)) * 2
    parts = graph.run(x, batch_size=3, on_batch=lambda done, of: seen.append((done, of)))
    np.testing.assert_array_equal(parts, graph.run(x))
    assert seen == [(3, 7), (6, 7), (7, 7)]


def test_inputs_round_half_up_and_saturate():
    source = Input(name="x", bits=4, signed=True, fraction=1)
    graph = IntegerGraph((source, linear("fc", "x", np.eye(1, dtype=np.int64))), (1,))
    with pytest.warns(SaturationWarning, match="50 % of the values"):
        found = graph.quantize_input(np.array([[0.25], [-0.25], [99.0], [-99.0]]))
    assert found.ravel().tolist() == [1, 0, 7, -8]
    assert graph.run(np.array([[1.5]])).tolist() == [[1.5]]


def test_downstream_is_all_that_depends_on_a_layer():
    graph = branching_graph(seed=0)
    assert graph.downstream(["left"]) == {"left", "sum", "last"}
    assert graph.downstream(["first"]) == {node.name for node in graph.nodes} - {"x"}
    assert graph.downstream([]) == frozenset()


def test_layers_are_replaced_by_name():
    graph = branching_graph(seed=0)
    other = linear("left", "positive", np.zeros((4, 4), np.int64))
    changed = graph.with_layers([other])
    assert changed.layers[1] is other and changed.layers[0] is graph.layers[0]
    with pytest.raises(InputError, match="names of layers of this network"):
        graph.with_layers([linear("middle", "positive", np.zeros((4, 4), np.int64))])


def used_twice(seed, own_bias=False):
    """x -> first -> again, with the same weights, inputs of other scales and zero points, and 8 bits."""
    rng = np.random.default_rng(seed)
    weights, bias = rng.integers(-127, 128, (1, 4, 4)), rng.normal(size=4)
    grids = {"x": Grid(scale=0.02, zero=100), "q": Grid(scale=0.3, zero=77)}
    sums, scales = weights.sum(axis=1).reshape(-1), rng.uniform(0.001, 0.1, 4)

    def use(name, source, number, **options):
        grid = grids[source]
        steps = np.floor(number / (scales * grid.scale) + 0.5).astype(np.int64)
        return MatMul(
            name=name,
            sources=(source,),
            weights=weights,
            bias=steps - grid.zero * sums,
            weight_fraction=0,
            input_bits=8,
            input_signed=False,
            channel_scales=scales,
            input_zero=grid.zero,
            **options,
        )

    first = use("first", "x", bias)
    m, n = multipliers(scales * 0.02 / 0.3, 2**30)
    middle = Rescale(
        name="q", sources=("first",), multipliers=m, shifts=n, offsets=0 * m, bits=8, scale=0.3, zero=77
    )
    again = use("again", "q", rng.normal(size=4) if own_bias else bias, shares="first")
    start = Input(name="x", bits=8, signed=False, scale=0.02, zero=100)
    return IntegerGraph((start, first, middle, again), (4,))


def real_bias(graph, name):
    """What a use of a layer adds, the share of its inputs' zero point taken off: in real numbers."""
    layer = next(node for node in graph.nodes if node.name == name)
    steps = layer.bias + layer.input_zero * layer.weights.sum(axis=1).reshape(-1)
    return steps * graph.grids[name].scale


def test_a_layer_that_is_used_twice_has_one_matrix():
    graph = used_twice(0)
    assert [layer.name for layer in graph.layers] == ["first"]
    assert [n.matrix for n in graph.nodes if isinstance(n, MatMul)] == ["first", "first"]
    assert graph.positions(graph.layers[0]) == 2
    assert graph.downstream(["first"]) == {"first", "q", "again"}


@given(st.integers(0, 2**32))
def test_further_uses_of_a_replaced_layer_have_its_weights_and_its_bias(seed):
    graph, rng = used_twice(seed), np.random.default_rng(seed)
    (layer,) = graph.layers
    unchanged = graph.with_layers([layer])
    for before, after in zip(graph.nodes[1::2], unchanged.nodes[1::2], strict=True):
        assert (before.bias == after.bias).all() and (before.weights == after.weights).all()
    weights = layer.weights + rng.integers(-20, 20, layer.weights.shape)
    moved = rng.integers(-1000, 1000, 4)
    bias = layer.bias + moved + layer.input_zero * (layer.weights - weights).sum(axis=1).reshape(-1)
    changed = graph.with_layers([replace(layer, weights=weights, bias=bias)])
    first, _, again = changed.nodes[1:]
    assert (first.weights == weights).all() and (again.weights == weights).all()
    steps = [graph.grids[name].scale for name in ("first", "again")]
    wanted = real_bias(graph, "first") + moved * steps[0]
    np.testing.assert_allclose(real_bias(changed, "first"), wanted, atol=1e-9)
    assert (np.abs(real_bias(changed, "again") - wanted) <= (steps[0] + 2 * steps[1]) / 2 + 1e-9).all()


def test_further_uses_with_a_bias_of_their_own_keep_it():
    graph = used_twice(3, own_bias=True)
    (layer,) = graph.layers
    weights = -layer.weights
    bias = layer.bias + 100 + layer.input_zero * (layer.weights - weights).sum(axis=1).reshape(-1)
    changed = graph.with_layers([replace(layer, weights=weights, bias=bias)])
    np.testing.assert_allclose(real_bias(changed, "again"), real_bias(graph, "again"), atol=1e-9)
    assert not np.allclose(real_bias(changed, "first"), real_bias(graph, "first"))


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ((), "an Input first"),
        ((Relu(name="r"),), "an Input first"),
        ((Input(name="x", bits=4, signed=True, fraction=0), Relu(name="r", sources=("y",))), "source 'y'"),
        (
            (Input(name="x", bits=4, signed=True, fraction=0), Relu(name="x", sources=("x",))),
            "its name twice",
        ),
    ],
)
def test_wirings_that_cannot_run_are_refused(nodes, words):
    with pytest.raises(InputError, match=words):
        IntegerGraph(nodes, (4,))
