"""My own module, my own data, my own chip: one subject, asked all three questions."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

import xbarsim as xb


class Residual(nn.Module):
    """16 numbers to 4 classes, with a shortcut."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        hidden = torch.relu(self.first(x))
        return self.last(torch.relu(hidden + self.second(hidden)))


def points(count, seed):
    """Four clouds of points and the numbers of their clouds."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    clouds = rng.normal(0, 0.3, (count, 16)).astype(np.float32)
    clouds[np.arange(count), labels] += 1
    return clouds, labels


train, test = points(600, 1), points(200, 2)
module = xb.initialise(Residual, 0)
xb.fit(module, *train, xb.Recipe(epochs=20, batch_size=32, learning_rate=0.01), seed=0)

isaac = xb.accelerators.parse("isaac")
coarse = replace(isaac, name="coarse", array=replace(isaac.array, rows=64, adc=xb.AdcConfig(bits=7)))
subject = xb.Subject(module, coarse, train=train, test=test, name="residual")
print(subject, "-", subject.chip.resources["arrays"], "arrays")

stuck = xb.StuckCells(rate=0.05)
tasks = xb.grid(
    xb.Accuracy(),
    subjects=subject,
    faults=[xb.NoFaults(), stuck],
    repairs=[xb.AsItIs(), xb.Retrain(epochs=3)],
    trials=5,
)
found = xb.Detection(detector=xb.AdversarialPatterns(patterns=5))
tasks += xb.grid(found, subjects=subject, faults=[xb.NoFaults(), stuck], trials=5)
print(xb.collect(tasks))
