"""What do stuck cells do to my network? Your own torch module on faulty chips."""

from torch import nn

from accel_models.reram.chip import program
from accel_models.reram.config import accelerator
from networks.datasets import load_dataset
from xbarsim.faults.sampling import mix_presets, sample_by_rate
from xbarsim.metrics.intervals import mean_over_chips
from xbarsim.rng import stream
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.training.loop import fit
from xbarsim.training.recipe import Recipe

CHIPS = 10

train, test = load_dataset("digits", "train"), load_dataset("digits", "test")
module = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(128, 10),
)
recipe = Recipe(epochs=10, batch_size=32, learning_rate=0.01)
fit(module, train.images, train.labels, recipe, seed=0)

graph = quantize(module, train.images[:500], weight_bits=16, activation_bits=16)
chip = program(graph, accelerator("isaac"))
print(f"{chip.placement.arrays} arrays, {chip.placement.occupancy:.0%} of their cells used")


def accuracy(some_chip):
    """Share of the test images that a chip gets right."""
    return some_chip.run(test.images).accuracy(test.labels)


print(f"healthy: {accuracy(chip):.1%}")
for rate in (0.001, 0.01, 0.03):
    mix = mix_presets()["measured"]
    maps = [sample_by_rate(chip.geometry, rate, mix=mix, rng=stream(1, "faults", t)) for t in range(CHIPS)]
    print(f"{rate:.1%} of the cells stuck: {mean_over_chips([accuracy(chip.inject(m)) for m in maps])}")
