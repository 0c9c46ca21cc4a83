"""What do faulty neurons do to a spiking network, and how do I train so that it survives them?"""

import numpy as np

import xbarsim as xb

train, test = xb.load_dataset("digits", "train"), xb.load_dataset("digits", "test")
recipe = xb.Recipe(epochs=15, batch_size=32, learning_rate=3e-3)
always = xb.NeuronFaultKind.nasf  # always spikes
faulty = xb.FaultyNeurons(kind="nasf", ratio=0.1)

for name in ("plain", "fault-tolerant"):
    module = xb.initialise(lambda: xb.Snn((64, 64, 10)), 0)
    universe = xb.FaultUniverse(geometry=module.geometry)
    methods = [xb.NeuronFaultTraining(universe, always, 0.05)] if name == "fault-tolerant" else []
    xb.fit(module, train.images, train.labels, recipe, seed=0, methods=methods)

    # ten chips with the same faults for both networks, and the same spikes of every image
    subject = xb.Subject(module, "spiking", test=test, name=name)
    results = xb.collect(xb.grid(xb.Accuracy(), subjects=subject, faults=[xb.NoFaults(), faulty], trials=10))
    print(results.table(by=["network", "faults"]))

# the same weights in ReRAM cells: stuck cells become faults of synapses
chip, isaac = subject.chip, xb.accelerators.parse("isaac")
base, cells = xb.program_on_cells(module.geometry, chip.weights, isaac)
stuck = xb.StuckCells(rate=0.005)
found = []
for trial in range(5):
    faults = stuck.draw(cells.geometry, xb.stream(1, "cells", trial))
    found.append(xb.with_faulty_cells(base, cells, faults).run(test.images).accuracy(test.labels))
print(f"{np.mean(found):.1%} right with 0.5 % of the cells stuck")

# which images, shown how often, find single neurons that always spike?
lists = universe.sample(always, 0.1, xb.stream(1, "single faults", 0)).each()
candidates = test.images[:20]
fault_free = xb.Recorder(chip, [chip], candidates, seed=2)
recorded = xb.Recorder(chip, [chip.inject(faults) for faults in lists], candidates, seed=3)
made = xb.generate_test(fault_free, recorded, len(candidates), repetitions=(1, 2, 4))
alarms = made.test.alarms(made.test.sessions(fault_free, 2000)[0])
inferences, count = made.test.inferences, len(made.power)
print(f"{inferences} inferences find {made.found} of {count} faults; false alarms {alarms}")
