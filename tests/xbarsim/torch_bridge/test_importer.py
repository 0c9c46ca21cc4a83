"""What torch operators become: recognised in every spelling, refused by name and place."""

import numpy as np
import pytest
import torch
from torch import nn
from xbarsim.torch_bridge.operators import is_relu, operator_of

from tests.helpers.torch_modules import IMAGES, Functional, Unsupported, close
from xbarsim.errors import InputError
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.torch_bridge.tracing import trace


@pytest.mark.parametrize(
    "layer", [nn.Sigmoid(), nn.GELU(), nn.Conv1d(4, 4, 1), nn.Softmax(dim=1), nn.LSTM(4, 4)]
)
def test_unsupported_layer_is_named_with_its_place(layer):
    with pytest.raises(
        InputError, match=rf"layer 'inner\.1' \({type(layer).__name__}\): expected a supported"
    ):
        quantize(Unsupported(layer), IMAGES)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (torch.sigmoid, "node 'sigmoid' .*supported operator"),
        (lambda x: x * 2.0, "node 'mul'"),
        (lambda x: x + 1.0, "node 'add'"),
        (lambda x: x.reshape(-1, 2), "reshape"),
        (lambda x: torch.add(x, x, alpha=2), "unscaled"),
        (lambda x: nn.functional.adaptive_avg_pool2d(x, 3), "input size that the output size divides"),
    ],
)
def test_unsupported_function_is_named_with_its_place(function, message):
    with pytest.raises(InputError, match=message):
        quantize(Functional(function), IMAGES)


def test_named_arguments_mean_what_they_mean_in_torch():
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(432, 9), nn.Linear(432, 9), nn.Linear(9, 4)

        def forward(self, x):
            x = torch.flatten(input=x, start_dim=1)
            return self.c(torch.add(input=self.a(x), other=self.b(x)))

    assert close(Named())


def test_bias_far_above_the_products_is_refused():
    module = nn.Sequential(nn.Flatten(), nn.Linear(432, 4))
    with torch.no_grad():
        module[1].weight.mul_(1e-3)
        module[1].bias.fill_(1e9)
    with pytest.raises(InputError, match="a bias that is not far above"):
        quantize(module, IMAGES)


@pytest.mark.parametrize(
    ("function", "label"),
    [
        (torch.relu, "ReLU"),
        (lambda x: x.relu(), "ReLU"),
        (nn.functional.relu, "ReLU"),
        (nn.ReLU(), "ReLU"),
        (nn.MaxPool2d(2), "max pooling"),
        (lambda x: nn.functional.max_pool2d(x, 2), "max pooling"),
        (lambda x: nn.functional.avg_pool2d(x, 2), "average pooling"),
        (nn.AdaptiveAvgPool2d(1), "average pooling"),
        (lambda x: x.flatten(1), "flatten"),
        (lambda x: x.reshape(-1, 400), "flatten"),
        (lambda x: x + x, "residual add"),
        (nn.Dropout(0.5), "dropout"),
        (nn.Identity(), "dropout"),
        (torch.sigmoid, None),
        (nn.Sigmoid(), None),
    ],
)
def test_operators_are_recognised_as_layers_functions_and_methods(function, label):
    traced = trace(Functional(function))
    *_, node, _ = traced.graph.nodes
    found = operator_of(node, traced)
    assert (None if found is None else found.label) == label
    assert is_relu(node, traced) == (label == "ReLU")


@pytest.mark.parametrize("symmetric", [False, True])
def test_weights_have_the_finest_scale_and_symmetric_ones_saturate_at_the_low_end(symmetric):
    module = nn.Sequential(nn.Flatten(), nn.Linear(432, 4, bias=False)).eval()
    weights = np.random.default_rng(0).integers(-16, 15, (4, 432)) / 32
    weights[0, 0] = -0.5
    with torch.no_grad():
        module[1].weight.copy_(torch.from_numpy(weights))
    (layer,) = quantize(module, IMAGES, weight_bits=4, symmetric=symmetric).layers
    assert layer.weight_fraction == 4
    expected = np.clip(np.floor(weights * 16 + 0.5), -7 if symmetric else -8, 7)
    np.testing.assert_array_equal(layer.weights[0].T, expected)


def test_a_relu_that_alone_reads_a_layer_is_taken_in():
    alone = quantize(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3)).eval(), IMAGES)
    assert [type(node).__name__ for node in alone.nodes] == ["Input", "MatMul", "Requantize", "MatMul"]
    assert not alone.nodes[2].signed
