"""How do I train so that my network survives? Your own torch modules, on a FINN chip and on crossbars."""

from torch import nn

import xbarsim as xb

train, test = xb.load_dataset("digits", "train"), xb.load_dataset("digits", "test")


def ternary_network():
    """One-bit weights, ternary activations; 8 x 8 images."""
    return nn.Sequential(
        xb.QuantInput(4, fraction=4, signed=False),
        xb.QuantConv2d(1, 16, 3, weight_bits=1),
        nn.BatchNorm2d(16),
        xb.QuantActivation(2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        xb.QuantLinear(144, 10, weight_bits=1),
    )


# a faulty PE sticks a channel of a quantized network
recipe = xb.Recipe(epochs=15, batch_size=32, learning_rate=0.02, schedule="cosine")
for name in ("plain", "fault-aware"):
    module = xb.initialise(ternary_network, 0)
    methods = [] if name == "plain" else [xb.AllLayers()]
    trained = module if name == "plain" else xb.fault_aware(module, xb.StuckActivations(rate=0.1))
    xb.fit(trained, train.images, train.labels, recipe, seed=0, methods=methods)

    chip = xb.program(module.eval(), "finn", calibrate=train.images)  # keeps the module's own integers
    found = xb.every_fault(chip, xb.SingleFaults("channel"), test)
    assert found.healthy_hits == xb.accuracy(module, test.images, test.labels)[0]  # the same classes
    print(f"{name}: {found.healthy_hits} of {found.shots} right, {found.hits.min()} at worst")

# stuck cells disturb the weights of a network on crossbars
stuck, isaac = xb.StuckCells(rate=0.03), xb.accelerators.parse("isaac")
module = xb.initialise(
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), 0
)
xb.fit(module, train.images, train.labels, xb.Recipe(epochs=15, learning_rate=0.01), seed=0)
pretrained = xb.accuracy(module, test.images, test.labels)[0] / len(test)
for name in ("pretrained", "progressive"):
    if name == "progressive":
        stages = [xb.StuckCells(rate=0.01), xb.StuckCells(rate=0.02), stuck]
        method = xb.StuckCellTraining(stages, isaac.array, epochs_each=5)
        xb.fit(module, train.images, train.labels, xb.Recipe(epochs=15), seed=0, methods=[method])
    chip = xb.program(module.eval(), isaac, calibrate=train.images)
    faults = [stuck.draw(chip.geometry, xb.stream(1, "faults", trial)) for trial in range(20)]
    on_chips = [run.accuracy(test.labels) for run in chip.run_each(faults, test.images)]
    retrained = xb.accuracy(module, test.images, test.labels)[0] / len(test)
    score = xb.stability_score(pretrained, retrained, sum(on_chips) / len(on_chips))
    print(f"{name}: {retrained:.1%} without faults, {xb.mean_over_chips(on_chips)} on 20 chips")
    print(f"    Stability Score {score:.2f}")
