"""LFC reads only the sign of a pixel, and holds weights of -1 and +1."""

import pytest
import torch

from networks.lfc import Lfc
from xbarsim.torch_bridge.quantized import QuantLinear


def test_widths_are_finns():
    layers = [m for m in Lfc().modules() if isinstance(m, QuantLinear)]
    assert [m.weight.shape for m in layers] == [(1024, 784), (1024, 1024), (1024, 1024), (10, 1024)]


@pytest.mark.parametrize("activation_bits", [1, 2])
def test_only_the_side_of_one_half_that_a_pixel_is_on_counts(activation_bits):
    torch.manual_seed(0)
    module = Lfc(1, activation_bits, width=32).eval()
    x = torch.rand(4, 1, 28, 28)
    binarized = torch.where(x > 0.5, 1.0, 0.0)
    with torch.no_grad():
        assert torch.equal(module(x), module(binarized))
        assert not torch.equal(module(x), module(1 - binarized))
