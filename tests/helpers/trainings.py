"""A small network, its data and a recipe for the tests of trainings."""

import numpy as np
from torch import nn

from xbarsim.faults.activations import StuckActivations
from xbarsim.torch_bridge.injection import fault_aware
from xbarsim.torch_bridge.quantized import QuantActivation
from xbarsim.training.recipe import Recipe

EPOCHS, IMAGES, BATCH = 5, 40, 10


def data(images=IMAGES):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, images)
    return rng.normal(labels[:, None, None, None] / 4, 1, (images, 2, 6, 6)).astype(np.float32), labels


def plain():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), QuantActivation(2), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 8), QuantActivation(2), nn.Dropout(0.3), nn.Linear(8, 4),
    )  # fmt: skip


def injected():
    return fault_aware(plain(), StuckActivations(rate=0.2))


def recipe(optimizer="adam", **settings):
    kept = {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": 0.01, "schedule": "cosine", **settings}
    return Recipe(optimizer=optimizer, augment="crop-flip", **kept)


def stop_at(batch):
    def stop(done, total, loss):
        assert total == EPOCHS * IMAGES // BATCH
        if done == batch:
            raise KeyboardInterrupt

    return stop
