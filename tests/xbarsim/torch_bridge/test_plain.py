"""Plain networks are captured without the export, and mean the same."""

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tests.helpers.torch_modules import IMAGES, Functional, Residual
from xbarsim.torch_bridge import quantize as quantizing
from xbarsim.torch_bridge.observe import run_captured
from xbarsim.torch_bridge.plain import NotPlain, plain
from xbarsim.torch_bridge.quantize import capture, quantize

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
SAMPLE = torch.tensor(IMAGES).double()


def output_of(captured, x):
    found = {}
    run_captured(captured, [x], lambda node, value: found.setdefault(node, value))
    return found[captured.outputs["output"]]


def check(module):
    """A plain module's capture gives what the module gives, at another batch as well."""
    module = module.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    captured = plain(module, SAMPLE)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    with torch.no_grad():
        wanted = module.double()(SAMPLE[:5])
    torch.testing.assert_close(output_of(captured, SAMPLE[:5]), wanted)
    return captured


def random_plain(seed):
    """A random network of plain layers on `IMAGES`."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    pick = lambda *of: of[int(rng.integers(len(of)))]  # noqa: E731
    layers, channels = [], 3
    for _ in range(2):
        more = channels * pick(1, 2)
        groups, kernel = pick(1, channels), pick(1, 2, 3)
        padding = pick(0, 1, "same")
        layers.append(nn.Conv2d(channels, more, kernel, 1, padding, groups=groups, bias=pick(True, False)))
        channels = more
        if pick(True, False):
            norm = nn.BatchNorm2d(channels)
            norm.running_var.uniform_(0.5, 2)
            norm.running_mean.normal_()
            layers.append(norm)
        layers.append(pick(nn.ReLU(), nn.ReLU(inplace=True), nn.Identity(), nn.Dropout(0.3)))
        pools = (
            nn.MaxPool2d(2, 1),
            nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
            nn.AvgPool2d(3, 2, padding=1, count_include_pad=pick(True, False)),
            nn.Identity(),
        )
        layers.append(pick(*pools))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4)).eval()


@settings(max_examples=settings().max_examples // 6)
@given(st.integers(0, 2**32))
def test_random_plain_networks_give_what_they_give_in_torch(seed):
    check(random_plain(seed))


def test_residual_networks_are_plain():
    torch.manual_seed(0)
    captured = check(Residual())
    layers = {name.rpartition(".")[0] for name in captured.weights.values()}
    assert layers == {"conv1", "conv2", "conv3", "linear"}
    assert any(captured.where(n) == "layer 'conv2' (Conv2d)" for n in captured.order())


@settings(max_examples=settings().max_examples // 30, phases=(Phase.explicit, Phase.generate))
@given(st.integers(0, 2**32), st.sampled_from(["channel", "power-of-two"]))
def test_graphs_are_those_of_the_export(seed, scales):
    module = random_plain(seed)
    options = {"weight_bits": 16, "activation_bits": 16, "scales": scales, "calibration": "min-max"}
    sample = IMAGES.astype(np.float64)
    one = quantize(module, sample, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantizing, "plain", _never)
        other = quantize(module, sample, **options)
    # the export runs in float32: a weight, a bias or a range may be another by a rounding; and it takes a
    # pool of whole images for a mean, which powers of two do not round to the grid of what is pooled
    for a, b in zip(one.layers, other.layers, strict=True):
        assert np.abs(a.weights - b.weights).max() <= 1
        np.testing.assert_allclose(a.weight_scale, b.weight_scale, rtol=1e-5)
    scores = one.run(IMAGES, watched=False), other.run(IMAGES, watched=False)
    assert np.abs(scores[0] - scores[1]).max() <= 1e-3 * np.abs(scores[0]).max()


def _never(module, sample):
    raise NotPlain


class InPlaceOnShared(nn.Module):
    """x + relu_(x): the sum reads what the ReLU has overwritten."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        x = self.conv(x)
        return x + F.relu(x, inplace=True)


class TwiceWithNorms(nn.Module):
    """A layer that is used twice, each time with a norm of its own."""

    def __init__(self):
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.first.running_var.fill_(4.0)
        self.second.running_mean.fill_(3.0)

    def forward(self, x):
        return self.second(self.conv(self.first(self.conv(x)).relu()))


class OneNormTwice(nn.Module):
    """A layer and its norm, used twice together."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        self.block[1].running_var.fill_(4.0)

    def forward(self, x):
        return self.block(self.block(x).relu())


NOT_PLAIN = {
    "in place on a shared value": InPlaceOnShared(),
    "a layer with two norms": TwiceWithNorms(),
    "a layer and its norm twice": OneNormTwice(),
    "padding of another kind": nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
    "a sigmoid": Functional(torch.sigmoid),
    "a product": Functional(lambda x: x * 2),
    "another sum": Functional(lambda x: torch.add(x, x, alpha=2)),
    "a sum that broadcasts": Functional(lambda x: x + x[:, :1]),
    "a constant": Functional(lambda x: x + 1),
    "a transposition": Functional(lambda x: x.transpose(1, 2)),
    "several outputs": Functional(lambda x: (x, x)),
    "indices": nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, return_indices=True)),
    "tokens": nn.Linear(12, 3),
    "a norm that leads": nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)),
    "another batch": Functional(lambda x: x.reshape(-1, 2)),
}


@pytest.mark.parametrize("case", NOT_PLAIN)
def test_everything_else_is_left_to_the_export(case):
    with pytest.raises(NotPlain):
        plain(NOT_PLAIN[case].eval(), SAMPLE)


@pytest.mark.parametrize("module", [InPlaceOnShared(), TwiceWithNorms(), OneNormTwice()])
def test_shared_values_and_layers_mean_what_they_mean_in_torch_whichever_way_they_come_in(module):
    module = module.eval()
    captured, sample = capture(module, IMAGES)
    with torch.no_grad():
        wanted = module.to(sample[0].dtype)(sample[0])
    torch.testing.assert_close(output_of(captured, sample[0]), wanted, rtol=1e-5, atol=1e-5)
