"""Spiking networks: the event-driven kernel against the torch loop, encoding included, and many chips.

Pairs alternate; `ratio` is the median of the loop's time over the kernel's. Images are as sparse as MNIST's:
19 % of the pixels are not 0.
"""

import statistics
import time

import numpy as np
import pytest
import torch

from accel_models.spiking.chip import run_many
from accel_models.spiking.config import SpikingConfig
from networks.snn import Snn
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, SpikingGeometry
from xbarsim.rng import stream
from xbarsim.torch_bridge.spiking import spiking_network
from xbarsim.training.loop import fit, initialise
from xbarsim.training.recipe import Recipe

ROUNDS = 7
COUNT = 1920


def sparse_images(count=COUNT):
    rng = np.random.default_rng(0)
    x = rng.random((count, 1, 28, 28), np.float32)
    return x * (rng.random(x.shape) < 0.19), rng.integers(0, 10, count)


def compare(benchmark, kernel, loop, count):
    kernel(), loop()
    pairs = [(timed(kernel), timed(loop)) for _ in range(ROUNDS)]
    fast, slow = (statistics.median(column) for column in zip(*pairs, strict=True))
    benchmark.extra_info |= {"per_s": count / fast, "loop_per_s": count / slow, "ratio": slow / fast}
    benchmark.pedantic(kernel, rounds=1)
    rates = f"{count / fast:.0f} images/s, loop {count / slow:.0f}"
    print(f"\n{benchmark.name}: {rates}, ratio {slow / fast:.2f}")


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@pytest.mark.parametrize("steps", [10, 20])
def test_forward(benchmark, threads, steps):
    images = torch.from_numpy(sparse_images()[0])
    modules = [initialise(lambda e=e: Snn(steps=steps, engine=e), 0) for e in ("kernel", "loop")]

    def run(module):
        with torch.no_grad():
            for batch in images.split(64):
                module(batch)

    compare(benchmark, lambda: run(modules[0]), lambda: run(modules[1]), COUNT)


@pytest.mark.parametrize("steps", [10, 20])
def test_training(benchmark, threads, steps):
    data, recipe = sparse_images(), Recipe(epochs=1)
    modules = [initialise(lambda e=e: Snn(steps=steps, engine=e), 0) for e in ("kernel", "loop")]
    runs = [lambda m=m: fit(m, *data, recipe, seed=0) for m in modules]
    compare(benchmark, *runs, COUNT)


@pytest.mark.parametrize(("kind", "ratio"), [("hsf", 0.2), ("nasf", 0.1)])
def test_many_chips(benchmark, threads, kind, ratio):
    chip = SpikingConfig().program(spiking_network(initialise(Snn, 0)))
    universe = FaultUniverse(geometry=SpikingGeometry())
    draw = [universe.sample(NeuronFaultKind[kind], ratio, stream(0, "faults", t)) for t in range(10)]
    chips, images = [chip.inject(faults) for faults in draw], sparse_images(500)[0]
    run = lambda: run_many(chip, chips, images)  # noqa: E731
    alone = lambda: [run_many(chip, [one], images) for one in chips]  # noqa: E731
    compare(benchmark, run, alone, 500 * len(chips))
