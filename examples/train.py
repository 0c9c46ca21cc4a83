"""How do I train so that my network survives? Your own torch modules, on a FINN design and on crossbars."""

from torch import nn

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.from_graph import from_graph, image_pixels
from accel_models.reram.chip import program
from accel_models.reram.config import accelerator
from networks.datasets import load_dataset
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.metrics.intervals import mean_over_chips
from xbarsim.metrics.stability import stability_score
from xbarsim.rng import stream
from xbarsim.torch_bridge.finn_export import finn_graph
from xbarsim.torch_bridge.injection import fault_aware
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.torch_bridge.quantized import QuantActivation, QuantConv2d, QuantInput, QuantLinear
from xbarsim.training.fault_aware import AllLayers
from xbarsim.training.loop import accuracy, fit, initialise
from xbarsim.training.recipe import Recipe
from xbarsim.training.stochastic import StuckCellTraining

train, test = load_dataset("digits", "train"), load_dataset("digits", "test")


def ternary_network():
    """One-bit weights, ternary activations; 8 x 8 images."""
    return nn.Sequential(
        QuantInput(4, fraction=4, signed=False),
        QuantConv2d(1, 16, 3, weight_bits=1),
        nn.BatchNorm2d(16),
        QuantActivation(2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        QuantLinear(144, 10, weight_bits=1),
    )


# a faulty PE sticks a channel of a quantized network
stuck_channels = StuckActivations(rate=0.1, unit="channel")
recipe = Recipe(epochs=15, batch_size=32, learning_rate=0.02, schedule="cosine")
for name in ("plain", "fault-aware"):
    module = initialise(ternary_network, 0)
    methods = [] if name == "plain" else [AllLayers()]
    trained = module if name == "plain" else fault_aware(module, stuck_channels)
    fit(trained, train.images, train.labels, recipe, seed=0, methods=methods)

    graph = finn_graph(module, train.images.shape[1:])
    design = FinnConfig().program(from_graph(graph))
    faults = design.fault_list(stuck_channels.kinds)
    results = simulate_faults(design, faults, image_pixels(graph, test.images), test.labels)
    assert results.baseline_hits == accuracy(module, test.images, test.labels)[0]  # the same classes
    print(f"{name}: {results.baseline_hits} of {results.shots} right, {results.hits.min()} at worst")

# stuck cells disturb the weights of a network on crossbars
stuck_cells = StuckCells(rate=0.03)
isaac = accelerator("isaac")
module = initialise(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), 0)
fit(module, train.images, train.labels, Recipe(epochs=15, learning_rate=0.01), seed=0)
pretrained = accuracy(module, test.images, test.labels)[0] / len(test.labels)
for name in ("pretrained", "progressive"):
    if name == "progressive":
        stages = [StuckCells(rate=0.01), StuckCells(rate=0.02), stuck_cells]
        method = StuckCellTraining(stages, isaac.array, epochs_each=5)
        fit(module, train.images, train.labels, Recipe(epochs=15), seed=0, methods=[method])
    chip = program(quantize(module, train.images[:500]), isaac)
    maps = [stuck_cells.draw(chip.geometry, stream(1, "faults", trial)) for trial in range(20)]
    rates = [run.accuracy(test.labels) for run in chip.run_each(maps, test.images)]
    retrained = accuracy(module, test.images, test.labels)[0] / len(test.labels)
    score = stability_score(pretrained, retrained, sum(rates) / len(rates))
    print(f"{name}: {retrained:.1%} without faults, {mean_over_chips(rates)} on 20 chips")
    print(f"    Stability Score {score:.2f}")
