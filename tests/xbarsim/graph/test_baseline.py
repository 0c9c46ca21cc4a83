"""Accelerators that differ in some layers answer as if nothing had been shared."""

from itertools import chain, combinations

import numpy as np
import pytest

from tests.helpers.graphs import branching_graph
from xbarsim.graph.baseline import Baseline
from xbarsim.graph.integer_graph import exact_product

NAMES = ("first", "left", "right", "last")
SUBSETS = list(chain.from_iterable(combinations(NAMES, n) for n in range(5)))


class Counting:
    """The exact product, which counts how often each layer is multiplied."""

    def __init__(self):
        self.calls = []

    def __call__(self, layer, x):
        self.calls.append(layer.name)
        return exact_product(layer, x)


def images():
    return np.random.default_rng(5).integers(-8, 8, (6, 4))


def test_values_are_those_of_a_run_and_each_is_computed_once():
    graph, multiply = branching_graph(seed=0), Counting()
    base = Baseline(graph, images(), multiply)
    np.testing.assert_array_equal(base.value("last"), graph.run(images().astype(float)))
    np.testing.assert_array_equal(base.sums(graph.steps[-1]) + graph.layers[3].bias, base.value("last"))
    assert base.value("sum") is base.value("sum")
    assert sorted(multiply.calls) == sorted(NAMES)


@pytest.mark.parametrize("changed", SUBSETS)
def test_a_differing_accelerator_is_what_a_whole_run_of_it_gives(changed):
    """Faulty layers add a number to their product; those behind healthy ones start from the healthy one."""
    graph, near = branching_graph(seed=1), []

    def faulty(layer, x):
        return exact_product(layer, x) + (len(layer.name) if layer.name in changed else 0)

    def from_base(layer, x, healthy):
        near.append(layer.name)
        return healthy() + len(layer.name)

    base = Baseline(graph, images(), exact_product)
    found = base.differ(changed, faulty, from_base)
    np.testing.assert_array_equal(found, graph.run(images().astype(float), multiply=faulty))
    alone = {"first": set(), "left": {"first"}, "right": {"first"}, "last": {"first", "left", "right"}}
    assert near == [name for name in NAMES if name in changed and alone[name].isdisjoint(changed)]
