"""What fault-tolerant training costs: epochs with a method and without one, alternating.

One benchmark a pair; `ratio` among its extra figures is the median with the method over the median without,
so a busy machine slows both.
"""

import statistics

import numpy as np
import pytest

from accel_models.reram.chip import program
from accel_models.reram.config import accelerator
from networks.cnv import Cnv
from networks.lenet import LeNet
from networks.resnet import resnet20
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.rng import stream
from xbarsim.torch_bridge.injection import fault_aware
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.training.fault_aware import AllLayers, OneLayerAnEpoch
from xbarsim.training.loop import fit, initialise
from xbarsim.training.masking import FixStuckBits
from xbarsim.training.recipe import Recipe
from xbarsim.training.stochastic import StuckCellTraining

ROUNDS = 7


def images(shape, count):
    rng = np.random.default_rng(0)
    return rng.random((count, *shape), np.float32) - np.float32(0.5), rng.integers(0, 10, count)


def epochs_of(module, data, recipe, methods):
    """Seconds of an epoch, called again and again."""

    def run():
        return fit(module, *data, recipe, seed=0, methods=methods)[0].seconds

    run()
    return run


def compare(benchmark, without, with_method):
    pairs = [(without(), with_method()) for _ in range(ROUNDS)]
    plain, faulty = (statistics.median(column) for column in zip(*pairs, strict=True))
    benchmark.extra_info |= {"without_s": plain, "with_s": faulty, "ratio": faulty / plain}
    benchmark.pedantic(with_method, rounds=1)
    print(f"\n{benchmark.name}: {plain:.3f} s without, {faulty:.3f} s with, ratio {faulty / plain:.3f}")


@pytest.mark.parametrize("method", [AllLayers, OneLayerAnEpoch])
@pytest.mark.parametrize("unit", ["channel", "pixel", "element"])
def test_error_injection(benchmark, threads, method, unit):
    data, recipe = images((3, 32, 32), 400), Recipe(epochs=1, batch_size=100)
    module = initialise(lambda: Cnv(width=32), 0)
    faulty = fault_aware(module, StuckActivations(rate=0.05, unit=unit))
    compare(benchmark, epochs_of(module, data, recipe, []), epochs_of(faulty, data, recipe, [method()]))


def test_stuck_cells(benchmark, threads):
    data = images((3, 32, 32), 384)
    recipe = Recipe(epochs=1, batch_size=128, optimizer="sgd", learning_rate=1e-4)
    module = initialise(resnet20, 0)
    method = StuckCellTraining(StuckCells(rate=0.01), accelerator("isaac").array)
    compare(benchmark, epochs_of(module, data, recipe, []), epochs_of(module, data, recipe, [method]))


def test_fault_masking(benchmark, threads):
    """Against the same fixed-point network without faults, and against the float one (`float_ratio`)."""
    data, recipe = images((1, 28, 28), 1280), Recipe(epochs=1)
    module = initialise(LeNet, 0)
    chip = program(quantize(module, data[0][:64]), accelerator("isaac"))
    faults = StuckCells(rate=0.01).draw(chip.geometry, stream(1, "faults"))
    form = chip.config.array.format
    healthy = ChipModule(chip.graph, form)
    masked = ChipModule(chip.graph, form, chip.inject(faults).training_masks())
    plain = epochs_of(module, data, recipe, [])
    seconds = statistics.median(plain() for _ in range(ROUNDS))
    with_masks = epochs_of(masked, data, recipe, [FixStuckBits()])
    compare(benchmark, epochs_of(healthy, data, recipe, []), with_masks)
    ratio = benchmark.extra_info["with_s"] / seconds
    benchmark.extra_info["float_ratio"] = ratio
    print(f"{benchmark.name}: ratio to the float network {ratio:.3f}")
