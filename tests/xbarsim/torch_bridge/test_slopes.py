"""PReLU with a slope a channel is found, exact in integers, and follows the float network."""

import numpy as np
import pytest
import torch
from torch import nn

import xbarsim as xb
from accel_models.reram.config import ReramConfig
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.graph.rescale import Slopes
from xbarsim.torch_bridge.capture import export
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.torch_bridge.slopes import prelu_of

X = np.random.default_rng(0).normal(size=(20, 3, 6, 6)).astype(np.float32)


class Behind(nn.Module):
    """A layer, what stands behind it, and another layer."""

    def __init__(self, between):
        super().__init__()
        self.a, self.between, self.b = nn.Conv2d(3, 4, 3), between, nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.b(self.between(self.a(x)))


def prelu(*below):
    layer = nn.PReLU(len(below))
    layer.weight.data.copy_(torch.tensor(below))
    return layer


class Turned(nn.Module):
    """A PReLU along the channels of values that lie elsewhere."""

    def __init__(self):
        super().__init__()
        self.inner = prelu(0.5, -0.2, 0.0, 2.0)

    def forward(self, x):
        return self.inner(x.flatten(2).transpose(1, 2).reshape(-1, 4)).reshape(len(x), -1, 4).transpose(1, 2)[
            ..., None
        ]


@pytest.mark.parametrize("scales", ["channel", "power-of-two"])
@pytest.mark.parametrize("between", [prelu(0.5, -0.2, 0.0, 2.0), Turned()], ids=["of channels", "turned"])
def test_a_slope_a_channel_is_one_exact_operator(between, scales):
    torch.manual_seed(0)
    module = Behind(between).eval()
    graph = quantize(module, X, scales=scales, integers_only=True)
    assert sum(isinstance(node, Slopes) for node in graph.nodes) == 1
    with torch.no_grad():
        wanted = module(torch.from_numpy(X)).numpy()
    assert np.abs(graph.run(X) - wanted).max() <= 1e-3 * np.abs(wanted).max()


def test_chips_compute_it_as_the_graph_does_and_one_slope_stays_a_table():
    torch.manual_seed(0)
    graph = quantize(Behind(prelu(0.5, -0.2, 0.0, 2.0)).eval(), X, weight_bits=8, activation_bits=8)
    chip = ReramConfig(array=ArrayConfig(format=WeightFormat(weight_bits=8), input_bits=8)).program(graph)
    assert (chip.run(X).scores == graph.run(X)).all()
    faulty = chip.inject(xb.StuckCells(rate=0.05).draw(chip.geometry, xb.stream(1, "faults")))
    assert (faulty.run(X[:4]).scores == faulty.run(X[:4], fidelity="bit-serial").scores).all()
    one = quantize(Behind(prelu(0.5)).eval(), X, weight_bits=8, activation_bits=8, integers_only=True)
    assert [node.kind for node in one.nodes].count("table") == 1


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x, a: torch.where(x > 0, x, a * x), True),
        (lambda x, a: torch.where(x >= 0, x, x * a), True),
        (lambda x, a: torch.where(x > 1, x, a * x), False),
        (lambda x, a: torch.where(x > 0, x, a * x + 1), False),
        (lambda x, a: torch.where(x.flip(1) > 0, x, a * x), False),
        (lambda x, a: torch.where(x > 0, x.flip(1), a * x), False),
        (lambda x, a: torch.where(x > 0, a * x, x), False),
    ],
)
def test_it_is_known_by_what_it_does(function, found):
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.below = nn.Parameter(torch.arange(1.0, 5.0))

        def forward(self, x):
            return function(x, self.below)

    captured = export(Written().eval(), (torch.randn(3, 4),))
    known = prelu_of(captured, captured.outputs["output"])
    assert (known is not None) == found
    if known is not None:
        assert known.below.tolist() == [1, 2, 3, 4] and known.axis == 1 and known.source in captured.inputs
