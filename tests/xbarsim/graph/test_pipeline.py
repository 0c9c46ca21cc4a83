"""Steps give what the nodes define, with layers and sums that are joined with what rounds them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.any_networks import random_network
from tests.helpers.graphs import branching_graph
from xbarsim.graph.integer_graph import exact_product
from xbarsim.graph.nodes import MatMul, Requantize
from xbarsim.graph.pipeline import as_floats
from xbarsim.graph.saturation import SaturationWarning
from xbarsim.torch_bridge.quantize import quantize


@pytest.mark.parametrize("scales", ["channel", "power-of-two"])
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([4, 8, 16]))
def test_networks_give_what_their_nodes_define(scales, seed, bits):
    module, x = random_network(seed, blocks=3)
    graph = quantize(module, x, weight_bits=bits, activation_bits=bits, scales=scales)
    given_x = graph.quantize_input(x)
    wanted, counts = graph.execute(given_x, exact_product), {}
    told = {}
    found = graph.fast(given_x, graph.multiply, lambda node, outside, size: told.update({node.name: outside}))
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype and (found[name] == values).all()

    def note(node, value, sources):
        if hasattr(node, "saturated") and node.saturated(*sources):
            counts[node.name] = node.saturated(*sources)

    graph.execute(given_x, exact_product, note)
    assert told == counts


def test_a_layer_is_joined_with_what_rounds_it():
    module, x = random_network(3, blocks=3)
    graph = quantize(module, x, weight_bits=8, activation_bits=8)
    joined = [step for step in graph.steps if isinstance(step.before, MatMul)]
    assert joined and all(step.sources == step.before.sources for step in joined)
    assert sum(1 if step.before is None else 2 for step in graph.steps) == len(graph.nodes)


def test_sums_that_two_nodes_read_are_given():
    graph = branching_graph(seed=0)
    readers = [node for node in graph.nodes if isinstance(node, Requantize)]
    assert {step.name for step in graph.steps} >= {node.name for node in readers}


def test_integers_beyond_every_float_are_not_held():
    assert as_floats(np.array([2**51])) is None
    assert as_floats(np.array([2**30])).dtype == np.float64
    assert as_floats(np.array([-(2**24)])).dtype == np.float32


def test_saturation_is_told_once_a_run():
    module, x = random_network(1, blocks=2)
    graph = quantize(module, x, weight_bits=8, activation_bits=8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        graph.run(np.concatenate([x * 50] * 3), batch_size=len(x))
    nodes = [str(w.message).split(":")[0] for w in caught if issubclass(w.category, SaturationWarning)]
    assert "input 'input'" in nodes and len(nodes) == len(set(nodes))
