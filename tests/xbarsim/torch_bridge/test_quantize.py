import numpy as np
import pytest
import torch
from torch import nn

from xbarsim.checks import InputError
from xbarsim.torch_bridge.quantize import quantize

IMAGES = np.random.default_rng(0).normal(size=(40, 3, 12, 12)).astype(np.float32)


class Residual(nn.Module):
    """Everything the quantizer takes: batch norms, groups, stride, padding, residual add, all pools."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding="same", groups=2)
        self.norm2 = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.conv3 = nn.Conv2d(8, 6, 3, stride=2, dilation=1)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(6, 5)
        self.norm3 = nn.BatchNorm1d(5)

    def forward(self, x):
        x = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(x))
        x = (x + y).relu()
        x = nn.functional.avg_pool2d(self.pool(x), 2, 1, ceil_mode=True)
        x = nn.functional.adaptive_avg_pool2d(self.conv3(x), 1)
        return self.norm3(self.linear(self.dropout(x.view(x.size(0), -1))))


@pytest.fixture(scope="module")
def residual():
    torch.manual_seed(0)
    module = Residual()
    with torch.no_grad():
        for _ in range(20):
            module(torch.tensor(IMAGES))
    return module.eval()


def test_sixteen_bit_graph_follows_the_float_module(residual):
    graph = quantize(residual, IMAGES)
    with torch.no_grad():
        expected = residual(torch.tensor(IMAGES)).numpy()
    assert np.abs(graph.run(IMAGES) - expected).max() < 2e-3 * np.abs(expected).max()


def test_fewer_bits_follow_less_closely(residual):
    with torch.no_grad():
        expected = residual(torch.tensor(IMAGES)).numpy()
    errors = [
        np.abs(quantize(residual, IMAGES, weight_bits=b, activation_bits=b).run(IMAGES) - expected).mean()
        for b in (4, 8, 12, 16)
    ]
    assert errors == sorted(errors, reverse=True)


def test_module_is_left_as_it_is(residual):
    before = {name: tensor.clone() for name, tensor in residual.state_dict().items()}
    quantize(residual.train(), IMAGES)
    assert residual.training
    residual.eval()
    assert all(torch.equal(before[name], tensor) for name, tensor in residual.state_dict().items())


def test_weights_and_activations_keep_to_their_bits(residual):
    graph = quantize(residual, IMAGES, weight_bits=5, activation_bits=6, symmetric=True)
    for layer in graph.layers:
        assert np.abs(layer.weights).max() <= 15
        assert layer.input_bits == 6


class Unsupported(nn.Module):
    def __init__(self, layer) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 3), layer)

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize(
    "layer", [nn.Sigmoid(), nn.GELU(), nn.Conv1d(4, 4, 1), nn.Softmax(dim=1), nn.LSTM(4, 4)]
)
def test_unsupported_layer_is_named_with_its_place(layer):
    with pytest.raises(
        InputError, match=rf"layer 'inner\.1' \({type(layer).__name__}\): expected a supported"
    ):
        quantize(Unsupported(layer), IMAGES)


class Functional(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 3), function

    def forward(self, x):
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (torch.sigmoid, "node 'sigmoid' .*supported operator"),
        (lambda x: x * 2.0, "node 'mul'"),
        (lambda x: x + 1.0, "node 'add'"),
        (lambda x: (x, x), "one output tensor, got tuple"),
        (lambda x: x.reshape(-1, 2), "reshape"),
        (lambda x: x if x.sum() > 0 else -x, "torch.fx can trace"),
        (lambda x: torch.add(x, x, alpha=2), "unscaled"),
        (lambda x: nn.functional.avg_pool2d(x, 2, divisor_override=3), "divisor_override"),
        (lambda x: nn.functional.adaptive_avg_pool2d(x, 3), "input size that the output size divides"),
    ],
)
def test_unsupported_function_is_named_with_its_place(function, message):
    with pytest.raises(InputError, match=message):
        quantize(Functional(function), IMAGES)


def test_two_inputs_and_shared_layers_are_refused():
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.conv(self.conv(x))

    with pytest.raises(InputError):
        quantize(Two(), IMAGES)
    with pytest.raises(InputError, match="one use of a layer"):
        quantize(Shared(), IMAGES)


def test_batch_norm_that_cannot_be_folded_is_refused():
    with pytest.raises(InputError, match="BatchNorm2d"):
        quantize(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)), IMAGES)
    with pytest.raises(InputError, match="running statistics"):
        quantize(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)), IMAGES)


def test_wrong_shapes_nan_and_wrong_bits_are_refused():
    good = nn.Sequential(nn.Flatten(), nn.Linear(432, 4))
    assert quantize(good, IMAGES).run(IMAGES).shape == (40, 4)
    with pytest.raises(InputError, match="images"):
        quantize(good, IMAGES[:, :, :5])
    with pytest.raises(InputError, match="N >= 1"):
        quantize(good, IMAGES[:0])
    with pytest.raises(InputError, match="finite values"):
        quantize(good, np.full_like(IMAGES, np.nan))
    with pytest.raises(InputError, match=r"weight_bits: expected an integer in 2\.\.16, got 17"):
        quantize(good, IMAGES, weight_bits=17)
    with torch.no_grad():
        good[1].weight[0, 0] = float("nan")
    with pytest.raises(InputError, match=r"weights '1\.weight': expected finite values"):
        quantize(good, IMAGES)


def test_graph_refuses_images_of_another_shape_and_nan():
    graph = quantize(nn.Sequential(nn.Flatten(), nn.Linear(432, 4)), IMAGES)
    for bad in (IMAGES[:, :2], IMAGES[0], np.full_like(IMAGES, np.inf), IMAGES.astype(object), IMAGES[:0]):
        with pytest.raises(InputError, match="images"):
            graph.run(bad)
