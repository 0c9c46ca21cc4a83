"""From captured networks to integer graphs, and what chips make of them, healthy and faulty."""

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

import xbarsim as xb
from accel_models.reram.config import ReramConfig
from tests.helpers.any_networks import random_network
from tests.helpers.torch_modules import IMAGES, close
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.errors import InputError
from xbarsim.graph.integer_graph import exact_product
from xbarsim.torch_bridge.quantize import quantize

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
    pytest.mark.filterwarnings("ignore::xbarsim.graph.saturation.SaturationWarning"),
]
# every network is captured by torch.export, which takes a second; failures are small enough as they are
FEW = settings(max_examples=settings().max_examples // 30, phases=(Phase.explicit, Phase.generate))
FEWEST = settings(FEW, max_examples=settings().max_examples // 60)
SCALES = st.sampled_from(["channel", "power-of-two"])


@FEW
@given(st.integers(0, 2**32), SCALES, st.integers(2, 8), st.integers(0, 2**32))
def test_chips_compute_what_the_graph_does_and_faulty_ones_what_their_bits_do(seed, scales, bits, faults):
    module, x = random_network(seed, blocks=3)
    graph = quantize(module, x, weight_bits=bits, activation_bits=8, scales=scales)
    array = ArrayConfig(format=WeightFormat(weight_bits=bits), input_bits=8)
    chip = ReramConfig(array=array).program(graph)
    x, scores = x[:3], graph.run(x[:3], watched=False)
    assert (chip.run(x).scores == scores).all()
    assert (chip.run(x, fidelity="bit-serial").scores == scores).all()
    drawn = [xb.StuckCells(rate=0.05).draw(chip.geometry, np.random.default_rng(faults + i)) for i in (0, 1)]
    for fault, run in zip(drawn, chip.run_each(drawn, x), strict=True):
        faulty = chip.inject(fault)
        assert (faulty.run(x).scores == run.scores).all()
        assert (faulty.run(x, fidelity="bit-serial").scores == run.scores).all()


@FEW
@given(st.integers(0, 2**32), SCALES)
def test_sixteen_bits_follow_the_float_network(seed, scales):
    module, x = random_network(seed, blocks=3)
    with torch.no_grad():
        wanted = module(torch.tensor(x)).numpy()
    found = quantize(module, x, scales=scales).run(x)
    assert np.abs(found - wanted).max() <= 1e-2 * np.abs(wanted).max()


@FEWEST
@given(st.integers(0, 2**32))
def test_batches_change_nothing(seed):
    module, x = random_network(seed, blocks=3)
    graph = quantize(module, x, weight_bits=8, activation_bits=8)
    assert (graph.run(x, batch_size=5, watched=False) == graph.run(x, watched=False)).all()


class Attention(nn.Module):
    """Scores of a head, which are products of activations and stay in floats, between two layers."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(6, 18), nn.Linear(6, 4)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.out(torch.softmax(q @ k.transpose(1, 2) / 2, -1) @ v).mean(1)


@pytest.mark.parametrize("scales", ["channel", "power-of-two"])
def test_nodes_of_floats_give_what_torch_gives_of_the_same_numbers(scales):
    torch.manual_seed(0)
    module, x = Attention().eval(), np.random.default_rng(0).normal(size=(40, 5, 6)).astype(np.float32)
    graph = quantize(module, x, scales=scales)
    kinds = {type(n).__name__ for n in graph.nodes if n.kind == "float"}
    assert {"Float", "Quantize"} <= kinds
    seen = {}
    given_x = graph.quantize_input(x[:4])

    def note(node, value, sources):
        seen[node.name] = (node, value, sources)

    graph.execute(given_x, exact_product, note)
    softmax = [entry for name, entry in seen.items() if "softmax" in name]
    assert softmax
    for node, value, sources in softmax:
        wanted = torch.softmax(torch.from_numpy(sources[0]), -1).numpy()
        assert node.kind == "float" and (value == wanted).all()
    for node, value, sources in seen.values():
        if type(node).__name__ == "Quantize":
            grid = graph.grids[node.name]
            assert np.abs(grid.to_numbers(value) - sources[0]).max() <= grid.scale * 1.01
    with torch.no_grad():
        wanted = module(torch.tensor(x)).numpy()
    assert np.abs(graph.run(x) - wanted).max() <= 1e-2 * np.abs(wanted).max()


@FEWEST
@given(st.integers(0, 2**32))
def test_networks_with_floats_follow_as_well(seed):
    module, x = random_network(seed, blocks=3, floats=True)
    with torch.no_grad():
        wanted = module(torch.tensor(x)).numpy()
    assert np.abs(quantize(module, x).run(x) - wanted).max() <= 1e-2 * np.abs(wanted).max()


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
        quantize(module, IMAGES, scales="power-of-two")


@pytest.mark.parametrize("symmetric", [False, True])
def test_weights_have_the_finest_scale_and_symmetric_ones_saturate_at_the_low_end(symmetric):
    module = nn.Sequential(nn.Flatten(), nn.Linear(432, 4, bias=False)).eval()
    weights = np.random.default_rng(0).integers(-16, 15, (4, 432)) / 32
    weights[0, 0] = -0.5
    with torch.no_grad():
        module[1].weight.copy_(torch.from_numpy(weights))
    options = {"weight_bits": 4, "symmetric": symmetric, "scales": "power-of-two"}
    (layer,) = quantize(module, IMAGES, **options).layers
    assert layer.weight_fraction == 4
    expected = np.clip(np.floor(weights * 16 + 0.5), -7 if symmetric else -8, 7)
    np.testing.assert_array_equal(layer.weights[0].T, expected)


@pytest.mark.parametrize(("scales", "kind"), [("power-of-two", "Requantize"), ("channel", "Rescale")])
def test_a_relu_that_alone_reads_a_layer_is_taken_in(scales, kind):
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3)).eval()
    alone = quantize(module, IMAGES, scales=scales)
    assert [type(node).__name__ for node in alone.nodes] == ["Input", "MatMul", kind, "MatMul"]
    assert not alone.nodes[2].signed and alone.grids[alone.nodes[2].name].zero == 0


def test_two_functions_of_one_layer_are_two_nodes():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(432, 9), nn.Linear(9, 4)

        def forward(self, x):
            x = self.a(x.flatten(1))
            return self.b(x.relu()) + self.b(x.sigmoid())

    assert close(Two().eval())


def test_padding_that_no_grid_holds_stays_in_floats():
    class Padded(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Conv2d(2, 3, 3), torch.nn.Conv2d(3, 2, 1)

        def forward(self, x):
            padded = torch.nn.functional.pad(self.a(x), (0, 1, 0, 1), value=float("-inf"))
            return self.b(torch.nn.functional.max_pool2d(padded, 2, 1))

    torch.manual_seed(0)
    module, x = Padded().eval(), np.random.default_rng(0).normal(size=(5, 2, 8, 8)).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(quantize(module, x).run(x), module(torch.from_numpy(x)), atol=1e-3)
