"""The cost formulas, against the paper's and against what PyTorch really keeps."""

import pytest
import torch
from torch import nn

from networks.catalogue import networks
from networks.cnv import Cnv
from networks.snn import Snn
from xbarsim.errors import InputError
from xbarsim.torch_bridge.cost import training_cost


@pytest.mark.parametrize(("n", "k", "p"), [(784, 512, 32), (10, 3, 16)])
def test_fully_connected_layers_cost_what_equations_18_to_20_say(n, k, p):
    (cost,) = training_cost(nn.Linear(n, k), (n,), bits=p)
    assert cost.parameters == (n + 1) * k
    assert cost.parameter_bytes == (n + 1) * k * p / 8
    assert cost.training_numbers == 2 * (n + 1) * k + 2 * n + 2 * k
    assert cost.operations == 2 * n * k


@pytest.mark.parametrize(("c", "k", "h", "w", "m", "n"), [(3, 20, 5, 5, 32, 32), (1, 4, 2, 3, 9, 7)])
def test_convolutions_cost_what_equations_22_and_23_say(c, k, h, w, m, n):
    (cost,) = training_cost(nn.Conv2d(c, k, (h, w)), (c, n, m))
    positions = (m - w + 1) * (n - h + 1)
    assert cost.parameters == (c * w * h + 1) * k
    assert cost.training_numbers == c * m * n + k * (c * w * h + 1) + 2 * k * positions
    assert cost.operations == 2 * c * w * h * positions * k


def test_stride_padding_groups_and_missing_biases_count():
    layer = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2, bias=False)
    (cost,) = training_cost(layer, (4, 10, 10))
    assert cost.parameters == 8 * 2 * 9
    assert cost.operations == 2 * 2 * 9 * 25 * 8
    assert cost.training_numbers == 400 + 144 + 2 * 8 * 25


@pytest.mark.parametrize("name", networks())
def test_any_network_adds_up(name):
    entry = networks()[name]
    module = entry.build().train()
    before = {n: t.clone() for n, t in module.state_dict().items()}
    layers = training_cost(module, entry.input_shape)
    weighted = [m for m in module.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    expected = sum(p.numel() for m in weighted for p in m.parameters())
    assert sum(layer.parameters for layer in layers) == expected
    assert module.training and not any(m._forward_hooks for m in module.modules())
    assert all(torch.equal(t, before[n]) for n, t in module.state_dict().items())


def test_spiking_networks_cost_what_their_layers_cost():
    first, second = training_cost(Snn((16, 8, 4)), (16,))
    assert (first.parameters, second.parameters) == (128, 32)
    assert (first.operations, second.operations) == (256, 64)


def test_mixed_modes_stay():
    module = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)).train()
    module[1].eval()
    training_cost(module, (3,))
    assert module.training and module[0].training and not module[1].training


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [(nn.ReLU(), (3,), "linear or convolution"), (Cnv(width=4), (1, 28, 28), "images for Cnv")],
)
def test_nonsense_is_refused(module, shape, words):
    with pytest.raises(InputError, match=words):
        training_cost(module, shape)
