"""Small integer networks for tests."""

import numpy as np

from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Add, Input, MatMul, Relu


def linear(name, source, weights):
    """A linear layer without a bias; weights (K, M) int64."""
    return MatMul(
        name=name,
        sources=(source,),
        weights=weights[None],
        bias=np.zeros(weights.shape[1], np.int64),
        weight_fraction=0,
        input_bits=16,
        input_signed=True,
    )


def branching_graph(seed):
    """x -> first -> positive -> left + right -> last: (N, 4) to (N, 3), weights in -3..3."""
    rng = np.random.default_rng(seed)
    shapes = {"first": (4, 4), "left": (4, 4), "right": (4, 4), "last": (4, 3)}
    sources = {"first": "x", "left": "positive", "right": "positive", "last": "sum"}
    layers = {n: linear(n, sources[n], rng.integers(-3, 4, shape)) for n, shape in shapes.items()}
    nodes = (
        Input(name="x", bits=4, signed=True, fraction=0),
        layers["first"],
        Relu(name="positive", sources=("first",)),
        layers["left"],
        layers["right"],
        Add(name="sum", sources=("left", "right"), shifts=(0, 0)),
        layers["last"],
    )
    return IntegerGraph(nodes, (4,))
