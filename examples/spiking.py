"""What do faulty neurons do to a spiking network, and how do I train so that it survives them?"""

import numpy as np

from accel_models.reram.config import accelerator
from accel_models.spiking.cells import program_on_cells, with_faulty_cells
from accel_models.spiking.chip import classes_of, run_many
from accel_models.spiking.config import SpikingConfig
from accel_models.spiking.recorder import Recorder
from networks.datasets import load_dataset
from networks.snn import Snn
from xbarsim.detection.spiking import generate_test
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.rng import stream
from xbarsim.torch_bridge.spiking import spiking_network
from xbarsim.training.loop import fit, initialise
from xbarsim.training.recipe import Recipe
from xbarsim.training.spiking import NeuronFaultTraining

train, test = load_dataset("digits", "train"), load_dataset("digits", "test")
recipe = Recipe(epochs=15, batch_size=32, learning_rate=3e-3)
kind = NeuronFaultKind.nasf  # always spikes

for name in ("plain", "fault-tolerant"):
    module = initialise(lambda: Snn((64, 64, 10)), 0)
    universe = FaultUniverse(geometry=module.geometry)
    methods = [NeuronFaultTraining(universe, kind, 0.05)] if name == "fault-tolerant" else []
    fit(module, train.images, train.labels, recipe, seed=0, methods=methods)

    # ten chips with the same faults for both networks, and the same spikes of every image
    chip = SpikingConfig().program(spiking_network(module))
    lists = [universe.sample(kind, 0.1, stream(1, "faults", trial)) for trial in range(10)]
    counts = run_many(chip, [chip.inject(faults) for faults in lists], test.images)
    right = (classes_of(counts) == test.labels).mean(axis=1)
    healthy = chip.run(test.images).accuracy(test.labels)
    print(f"{name}: {healthy:.1%} right without faults, {right.mean():.1%} with faults of {universe}")

# the same weights in ReRAM cells: stuck cells become faults of synapses
base, cells = program_on_cells(module.geometry, chip.weights, accelerator("isaac"))
stuck = [StuckCells(rate=0.005).draw(cells.geometry, stream(1, "cells", trial)) for trial in range(5)]
counts = run_many(base, [with_faulty_cells(base, cells, faults) for faults in stuck], test.images)
found = np.mean(classes_of(counts) == test.labels)
print(f"{found:.1%} right with 0.5 % of the cells stuck")

# which images, shown how often, find single neurons that always spike?
lists = universe.sample(kind, 0.1, stream(1, "single faults", 0)).each()
candidates = test.images[:20]
fault_free = Recorder(chip, [chip], candidates, seed=2)
faulty = Recorder(chip, [chip.inject(faults) for faults in lists], candidates, seed=3)
made = generate_test(fault_free, faulty, len(candidates), repetitions=(1, 2, 4))
alarms = made.test.alarms(made.test.sessions(fault_free, 2000)[0])
inferences, faults = made.test.inferences, len(made.power)
print(f"{inferences} inferences find {made.found} of {faults} faults; false alarms {alarms}")
