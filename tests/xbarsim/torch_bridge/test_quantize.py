import numpy as np
import pytest
import torch
from torch import nn

from accel_models.reram.config import isaac
from tests.helpers.torch_modules import IMAGES, Functional, Residual, close
from xbarsim.errors import InputError
from xbarsim.graph.nodes import MatMul
from xbarsim.torch_bridge.quantize import quantize


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


class Two(nn.Module):
    """Two inputs, and three outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 5), nn.Linear(4, 5)

    def forward(self, x, mask):
        y = self.a(x) + self.b(mask)
        return {"hidden": y, "logits": self.a.weight.sum() * y.sigmoid(), "least": y.min(1).values}


def test_several_inputs_and_outputs_have_names_and_scores_come_first():
    rng = np.random.default_rng(0)
    x, mask = rng.normal(size=(40, 6)), rng.normal(size=(40, 4))
    module = Two().eval()
    graph = quantize(module, {"x": x, "mask": mask})
    with torch.no_grad():
        wanted = module(torch.tensor(x).float(), torch.tensor(mask).float())
    for given in ((x, mask), {"mask": mask, "x": x}):
        found = graph.run_all(given)
        assert list(found) == ["logits", "hidden", "least"]
        for key, values in found.items():
            np.testing.assert_allclose(values, wanted[key], atol=2e-3)
    for bad, match in (
        (x, "2 arrays"),
        ((x, mask, x), "2 arrays"),
        ({"x": x}, "by the names x, mask"),
        ((x, mask[:7]), "as many of every input"),
        ((x, mask[:, :3]), "shape"),
    ):
        with pytest.raises(InputError, match=match):
            graph.run(bad)


def test_several_inputs_without_any_contrast_are_refused():
    ones, zeros = np.ones((40, 6)), np.zeros((40, 4))
    for given in ((ones, zeros), {"x": ones, "mask": zeros}):
        with pytest.raises(InputError, match="calibration images: expected numbers that differ, got 1 alone"):
            quantize(Two(), given)
    quantize(Two(), (np.random.default_rng(0).random((40, 6)), zeros + 1))


@pytest.mark.parametrize("scales", ["channel", "power-of-two"])
def test_a_layer_that_is_called_twice_has_one_matrix(scales):
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.conv(self.conv(x).relu())

    module = Shared().eval()
    graph = quantize(module, IMAGES, scales=scales)
    (layer,) = graph.layers
    uses = [node for node in graph.nodes if isinstance(node, MatMul)]
    assert [node.matrix for node in uses] == [layer.name] * 2
    assert graph.positions(layer) == 2 * 144
    with torch.no_grad():
        np.testing.assert_allclose(graph.run(IMAGES), module(torch.tensor(IMAGES)), atol=1e-3)
    chip = isaac().program(graph)
    assert (chip.run(IMAGES).scores == graph.run(IMAGES)).all()


def test_a_network_that_looks_at_its_batch_is_run_for_one_input_after_the_other():
    module = Functional(lambda x: torch.stack([row.sigmoid() for row in x])).eval()
    graph = quantize(module, IMAGES, scales="channel")
    assert graph.one_by_one
    with torch.no_grad():
        np.testing.assert_allclose(graph.run(IMAGES[:5]), module(torch.tensor(IMAGES[:5])), atol=1e-3)


def test_batch_norm_that_no_layer_is_before_stays_exact():
    norm = nn.BatchNorm2d(3)
    norm(torch.tensor(IMAGES))
    module = nn.Sequential(norm, nn.Conv2d(3, 3, 1)).eval()
    assert not [node for node in quantize(module, IMAGES).nodes if node.kind == "float"]
    assert close(module)


def test_batch_norm_of_the_batch_itself_stays_in_floats():
    module = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)).eval()
    graph = quantize(module, IMAGES)
    assert [node.kind for node in graph.nodes if node.kind == "float"]
    with pytest.raises(InputError, match=r"integer operators only, got .* nodes in floats: layer '1' "):
        quantize(module, IMAGES, integers_only=True)


def test_wrong_shapes_nan_and_wrong_bits_are_refused():
    good = nn.Sequential(nn.Flatten(), nn.Linear(432, 4))
    assert quantize(good, IMAGES).run(IMAGES).shape == (40, 4)
    with pytest.raises(InputError, match=r"module Sequential: expected .* torch\.export can capture"):
        quantize(good, IMAGES[:, :, :5])
    with pytest.raises(InputError, match="at least one number"):
        quantize(good, IMAGES[:0])
    with pytest.raises(InputError, match="finite numbers"):
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
        with pytest.raises(InputError, match=r"^inputs: expected"):
            graph.run(bad)


class TwoBranches(nn.Module):
    """c(y + b(change(y))): `change` may overwrite what the sum reads as well."""

    def __init__(self, change) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(432, 9), nn.Linear(9, 9), nn.Linear(9, 4)
        self.change, self.idle = change, nn.Identity()

    def forward(self, x):
        y = self.a(x.flatten(1))
        return self.c(y + self.b(self.change(self.idle(y))))


@pytest.mark.parametrize(
    "change",
    [nn.ReLU(inplace=True), lambda y: nn.functional.relu(y, inplace=True), torch.relu_, lambda y: y.relu_()],
)
def test_operator_that_overwrites_what_is_read_again_means_what_it_means_in_torch(change):
    assert close(TwoBranches(change))


def test_operators_in_place_are_fine_where_nothing_else_reads():
    assert close(TwoBranches(nn.ReLU()))
    assert close(
        nn.Sequential(nn.Flatten(), nn.Linear(432, 9), nn.ReLU(inplace=True), nn.Linear(9, 4)).eval()
    )


def test_hooks_and_dropout_that_always_drops_are_refused():
    hooked = nn.Sequential(nn.Flatten(), nn.Linear(432, 4))
    hooked[1].register_forward_hook(lambda module, inputs, output: output * 2)
    with pytest.raises(InputError, match="layer '1': expected no forward hooks"):
        quantize(hooked, IMAGES)
    with pytest.raises(InputError, match="training"):
        quantize(Functional(lambda x: nn.functional.dropout(x, 0.5)), IMAGES)


def test_single_layer_is_a_network_and_no_layer_is_none():
    assert close(nn.Conv2d(3, 4, 3).eval())
    with pytest.raises(InputError, match="at least one linear or convolution layer"):
        quantize(nn.Flatten(), IMAGES)


@pytest.mark.parametrize("size", [1e-20, 1e-12, 1e16, 1e30])
def test_magnitudes_that_fixed_point_cannot_hold_are_refused(size):
    module = nn.Sequential(nn.Flatten(), nn.Linear(432, 4))
    with torch.no_grad():
        module[1].weight.mul_(size)
    with pytest.raises(InputError, match="scale the network or the images"):
        quantize(module, IMAGES)


@pytest.mark.parametrize(
    "images", [None, "images", IMAGES.astype(complex), torch.zeros(2, 3, dtype=torch.cfloat)]
)
def test_calibration_images_that_are_no_real_numbers_are_refused(images):
    with pytest.raises(InputError, match="images: expected"):
        quantize(nn.Sequential(nn.Flatten(), nn.Linear(432, 4)), images)


def test_images_in_any_memory_order_are_taken():
    module = nn.Sequential(nn.Flatten(), nn.Linear(432, 4))
    expected = quantize(module, IMAGES).run(IMAGES)
    for images in (IMAGES[::-1], IMAGES.astype(">f4"), torch.tensor(IMAGES)):
        assert (quantize(module, images).run(IMAGES) == expected).all()
