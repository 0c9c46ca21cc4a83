"""Thresholds as a torch operator: the node's integers forward, straight through backward."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xbarsim.graph.thresholds import Threshold
from xbarsim.torch_bridge.layers import Steps


def node_of(rng, channels, count):
    thresholds = np.sort(rng.integers(-20, 20, (channels, count)), axis=1)
    return Threshold(name="t", thresholds=thresholds, low=-1, step=2, fraction=1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 7), st.booleans())
def test_steps_are_the_nodes_integers(seed, channels, count, images):
    rng = np.random.default_rng(seed)
    node = node_of(rng, channels, count)
    x = rng.integers(-25, 25, (5, channels, 2, 3) if images else (5, channels))
    found = Steps.apply(torch.from_numpy(x / 8.0), node, 3)
    np.testing.assert_array_equal(found.numpy() * 2, node.forward(x))


@pytest.mark.parametrize("count", [1, 3])
def test_gradient_passes_near_the_thresholds(count):
    thresholds = np.array([[0, 4, 8][:count]])
    node = Threshold(name="t", thresholds=thresholds)
    x = torch.tensor([[-100.0], [-4.0], [3.0], [12.0], [13.0]], requires_grad=True)
    Steps.apply(x, node, 0).sum().backward()
    near = [1, 1, 1, 1, 1] if count == 1 else [0, 1, 1, 1, 0]
    assert x.grad.flatten().tolist() == near
