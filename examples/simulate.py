"""What do stuck cells do to my network? Your own torch module on faulty chips."""

from torch import nn

import xbarsim as xb

CHIPS = 10

train, test = xb.load_dataset("digits", "train"), xb.load_dataset("digits", "test")
module = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(128, 10),
)
xb.fit(module, train.images, train.labels, xb.Recipe(epochs=10, batch_size=32, learning_rate=0.01), seed=0)

chip = xb.program(module, "isaac", calibrate=train.images)
print(f"{chip.resources['arrays']} arrays, fault-free: {chip.run(test.images).accuracy(test.labels):.1%}")
for rate in (0.001, 0.01, 0.03):
    model = xb.StuckCells(rate=rate)
    faults = [model.draw(chip.geometry, xb.stream(1, "faults", trial)) for trial in range(CHIPS)]
    found = [run.accuracy(test.labels) for run in chip.run_each(faults, test.images)]
    print(f"{rate:.1%} of the cells stuck: {xb.mean_over_chips(found)}")
