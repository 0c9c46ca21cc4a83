"""Levels of activations: their values, ascending, and those of the quantized layer and of the node."""

from fractions import Fraction

import numpy as np
import pytest

from xbarsim.graph.thresholds import Threshold
from xbarsim.torch_bridge.levels import Levels
from xbarsim.torch_bridge.quantized import QuantActivation


def levels(cuts, low=0, step=1, scale=1):
    cuts = tuple(Fraction(c) for c in cuts)
    return Levels(
        low=low, step=step, cuts=cuts, inclusive=(True,) * len(cuts), bits=8, signed=low < 0, scale=scale
    )


@pytest.mark.parametrize(("low", "step", "scale"), [(0, 1, 1), (-3, 2, Fraction(1, 4)), (-1, 2, Fraction(3))])
def test_there_is_one_value_more_than_cuts_each_a_step_further(low, step, scale):
    found = levels((-2, 0, 5), low, step, scale).values
    assert found == tuple(float(scale) * (low + step * i) for i in range(4))


def test_values_are_what_a_threshold_node_gives_in_steps():
    """Cuts between integers: the node's thresholds are their floors."""
    made = levels((-4.5, 0.5, 7.5), low=-3, step=2)
    node = Threshold(name="t", thresholds=np.array([[-5, 0, 7]]), low=-3, step=2)
    numbers = np.arange(-10, 11)
    expected = [made.values[sum(y >= cut for cut in made.cuts)] for y in numbers]
    assert node.forward(numbers[:, None]).ravel().tolist() == expected


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_quantized_activations_are_integers_in_even_steps(bits, signed):
    values = QuantActivation(bits, signed=signed).values
    step = 2 if signed and bits == 1 else 1
    made = levels(range(len(values) - 1), low=int(values[0]), step=step)
    assert made.values == values
