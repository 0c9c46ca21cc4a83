"""What is said when images, activations and weights do not fit a network's integers."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.finn.from_graph import image_pixels
from accel_models.reram.config import isaac
from networks.catalogue import network
from networks.checkpoints import load_checkpoint
from networks.datasets import load_dataset
from networks.zoo import zoo_path
from xbarsim.errors import InputError
from xbarsim.graph.saturation import CalibrationWarning, RoundingWarning, SaturationWarning
from xbarsim.programs import program
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.training.loop import initialise

CLEAN = ("digits-mlp", "mlp", "lenet", "convnet-quick", "resnet20")


def _trained(name):
    entry = network(name)
    module = initialise(entry.build, 0)
    load_checkpoint(zoo_path(name), module)
    return module.eval(), entry.dataset


@pytest.fixture(scope="module")
def digits():
    module, _ = _trained("digits-mlp")
    images = load_dataset("digits", "test", limit=100).images
    return quantize(module, load_dataset("digits", "train", limit=500).images), images


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("name", CLEAN)
def test_no_clean_network_of_the_zoo_warns(name, bits):
    module, data = _trained(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        typical = load_dataset(data, "train", limit=200).images
        graph = quantize(module, typical, weight_bits=bits, activation_bits=bits)
        graph.run(load_dataset(data, "test", limit=16).images)


@pytest.mark.filterwarnings("ignore:node:xbarsim.graph.saturation.SaturationWarning")  # behind the input
@pytest.mark.parametrize("wrong", [lambda x: x * 255, lambda x: x - 5, lambda x: -x, lambda x: x * 1e30])
def test_images_of_another_scale_are_said_once(digits, wrong):
    graph, images = digits
    words = r"^input 'input': [\d.]+ % of the values lie outside 0\.\.2 and saturate; scale the inputs"
    with pytest.warns(SaturationWarning, match=words) as said:
        isaac().program(graph).run(wrong(images))
    assert len([one for one in said if str(one.message).startswith("input")]) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, ">u2"])
def test_bytes_are_refused_where_floats_were_calibrated(digits, dtype):
    graph, images = digits
    for run in (graph.run, isaac().program(graph).run):
        with pytest.raises(
            InputError, match=r"^input 'input': expected integers in 0\.\.2, .*divide bytes by 255"
        ):
            run((images * 255).astype(dtype))


def test_integers_within_the_range_are_numbers(digits):
    graph, images = digits
    whole = images.round()
    assert (graph.run(whole.astype(np.uint8)) == graph.run(whole)).all()


def test_pixels_of_a_design_are_checked_as_its_graph_is():
    module = initialise(lambda: nn.Sequential(nn.Linear(4, 3)), 0)
    x = np.random.default_rng(0).random((20, 4))
    graph = quantize(module, x, weight_bits=4, activation_bits=7, scales="power-of-two")
    with pytest.warns(SaturationWarning, match="scale the inputs"):
        image_pixels(graph, x * 255)


def test_activations_beyond_their_calibration_are_said():
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    with torch.no_grad():  # differences of neighbours, which calibration images without contrast do not have
        module[0].weight.copy_(torch.eye(4).roll(1, 1).sub(torch.eye(4)).repeat(2, 1))
        module[0].bias.zero_()
    dark = np.full((50, 4), 0.5) + np.eye(50, 4) * 1e-3
    graph = quantize(module, dark, activation_bits=8, scales="power-of-two")
    bright = np.random.default_rng(0).random((50, 4))
    with pytest.warns(SaturationWarning, match=r"^node '0\.out': .* 0\.\.0\.00\d+ and .*calibrate on"):
        graph.run(bright)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph.run(bright, watched=False)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_calibration_images_of_one_number_are_refused(value):
    with pytest.raises(
        InputError, match=f"calibration images: expected numbers that differ, got {value:g} alone"
    ):
        quantize(nn.Linear(4, 3), np.full((10, 4), value))


def test_bytes_do_not_calibrate():
    with pytest.raises(
        InputError, match="calibration images: expected floating-point numbers, got uint8; hand in"
    ):
        quantize(nn.Linear(4, 3), np.arange(40, dtype=np.uint8).reshape(10, 4))


def test_a_weight_that_rounds_its_layer_to_zero_is_said():
    module = initialise(lambda: nn.Linear(4, 8), 0)
    with torch.no_grad():
        module.weight[0, 0] = 1e6
    with pytest.warns(
        RoundingWarning, match=r"^layer '0' \(Linear\): 96\.9 % of the weights are rounded to zero .* 1e\+06;"
    ):
        quantize(nn.Sequential(module), np.random.default_rng(0).random((10, 4)))


@pytest.mark.parametrize(("count", "words"), [(4, "4 inputs"), (1, "1 input"), (31, "31 inputs")])
def test_calibration_on_few_inputs_is_said_once(count, words):
    images = np.random.default_rng(0).random((count, 4))
    with pytest.warns(CalibrationWarning) as said:
        quantize(nn.Linear(4, 3), images)
    (only,) = said
    assert str(only.message).startswith(f"calibrated on {words}: ") and "\n" not in str(only.message)


def test_calibration_on_enough_inputs_is_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantize(nn.Linear(4, 3), np.random.default_rng(0).random((32, 4)))


def test_programming_a_chip_says_it_too():
    images = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    with pytest.warns(CalibrationWarning, match="^calibrated on 5 inputs"):
        program(nn.Linear(4, 3), "isaac", calibrate=images)
