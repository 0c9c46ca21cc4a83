"""Timings of FINN boards: fault-free images, and campaigns of single faults.

Random weights take as long as trained ones to run, but faults spread otherwise, so the campaign needs the
shipped parameter files.
"""

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.finn.board import read_board
from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.presets import presets
from networks.datasets import load_dataset, pixels_of
from tests.helpers.finn_networks import random_network
from xbarsim.faults.pe import PeFaultKind

IMAGES = 1024
CAMPAIGN_IMAGES = 128


class Sign(nn.Module):
    """The activation of a W1A1 network."""

    def forward(self, x):
        return torch.sign(x)


def torch_twin(name):
    """The same layers in float32, without batch norms, which would only slow it down."""
    preset, layers = presets()[name], []
    for shape in preset.layers:
        if shape.kernel > 1:
            layers.append(nn.Conv2d(shape.shape[2], shape.rows, shape.kernel, bias=False))
        else:
            if not any(isinstance(m, nn.Flatten) for m in layers):
                layers.append(nn.Flatten())
            layers.append(nn.Linear(shape.columns, shape.rows, bias=False))
        if shape.output is not None:
            layers.append(Sign())
        if shape.pool > 1:
            layers.append(nn.MaxPool2d(shape.pool))
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("name", ["cnvW1A1", "lfcW1A1"])
def test_torch_board(benchmark, name, threads):
    module, first = torch_twin(name), presets()[name].layers[0].shape
    x = torch.rand(IMAGES, first[2], *first[:2])
    with torch.no_grad():
        assert len(benchmark.pedantic(lambda: module(x), rounds=3, warmup_rounds=1)) == IMAGES


@pytest.mark.parametrize("name", presets())
def test_board(benchmark, name, threads):
    rng = np.random.default_rng(0)
    design = FinnConfig().program(random_network(name, rng))
    images = rng.integers(0, 256, (IMAGES, *design.network.image), dtype=np.uint8)
    design.classify(images[:2])
    assert len(benchmark.pedantic(lambda: design.classify(images), rounds=5)) == IMAGES


def test_campaign_of_channels(benchmark, threads, data_folder):
    design = FinnConfig().program(read_board(data_folder / "bnn-pynq" / "cifar10" / "cnvW1A1"))
    data = load_dataset("cifar10", "test", limit=CAMPAIGN_IMAGES)
    images, labels = pixels_of(data), data.labels
    faults = design.fault_list([PeFaultKind.channel])
    simulate_faults(design, faults.take(np.arange(1)), images[:2], labels[:2])
    run = benchmark.pedantic(lambda: simulate_faults(design, faults, images, labels), rounds=2)
    assert len(run.hits) == len(faults)
