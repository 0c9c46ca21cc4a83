"""Integer networks: their wiring, their exact product, and who depends on whom."""

import numpy as np
import pytest

from tests.helpers.graphs import branching_graph, linear
from xbarsim.errors import InputError
from xbarsim.graph.integer_graph import IntegerGraph, exact_product
from xbarsim.graph.nodes import Input, MatMul, Relu
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
    x = np.full((1, 1, 300), 2**16 - 1)
    assert exact_product(layer, x)[0, 0, 0] == 300 * (2**31 - 1) * (2**16 - 1)


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
